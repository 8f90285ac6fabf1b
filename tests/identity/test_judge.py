"""Judgements: what is refused, what sleeps, what binds the partition now (P3, P8)."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.errors import JudgementRefused
from identity.judge import (
    Admission,
    Bindings,
    JudgementFact,
    bindings,
    check_judgement,
    expand_pairs,
    order_pair,
    require_sound,
)
from identity.model import JudgementClass, RecordRef, Verdict

STEWARD, ISSUER = JudgementClass.STEWARD, JudgementClass.ISSUER
RECORDS = [RecordRef("crm", letter) for letter in "abcdef"]
A, B, C, D, E, F = RECORDS
ALL = frozenset(RECORDS)


def same(name: str, *refs: RecordRef, by: JudgementClass = STEWARD) -> JudgementFact:
    return JudgementFact(name, Verdict.SAME, by, left=refs[:1], right=refs[1:])


def different(
    name: str, left: list[RecordRef], right: list[RecordRef], by: JudgementClass = STEWARD
) -> JudgementFact:
    return JudgementFact(name, Verdict.DIFFERENT, by, left=tuple(left), right=tuple(right))


def test_a_same_joins_all_its_records_by_a_chain() -> None:
    assert expand_pairs(same("1", C, A, B, A)) == [(A, B), (B, C)]


def test_a_different_parts_each_left_record_from_each_right_one() -> None:
    assert expand_pairs(different("1", [B, A], [D, C])) == [(A, C), (A, D), (B, C), (B, D)]


@pytest.mark.parametrize(
    "fact",
    [
        same("1", A),
        same("1", A, A),
        different("1", [A], []),
        different("1", [], [A]),
        different("1", [A, B], [B, C]),
    ],
)
def test_a_judgement_that_can_never_hold_is_refused(fact: JudgementFact) -> None:
    with pytest.raises(JudgementRefused):
        require_sound(fact)


@pytest.mark.parametrize("fact", [same("1", A, B), different("1", [A, B], [C])])
def test_a_judgement_that_can_hold_is_sound(fact: JudgementFact) -> None:
    require_sound(fact)


def test_a_judgement_that_contradicts_nothing_is_admitted() -> None:
    in_force = [same("1", A, B), different("2", [A], [C])]

    assert check_judgement(same("3", C, D), in_force) == Admission()


def test_a_different_that_contradicts_a_same_through_a_third_record_names_the_chain() -> None:
    in_force = [same("1", A, B), same("2", B, C), same("3", C, D), different("4", [A], [E])]

    assert check_judgement(different("5", [A], [C]), in_force) == Admission(conflicts=("1", "2"))


def test_a_same_that_would_breach_a_different_names_it_with_the_chain_to_it() -> None:
    in_force = [same("1", A, B), different("2", [A], [C]), same("3", C, D), same("4", E, F)]

    assert check_judgement(same("5", B, D), in_force) == Admission(conflicts=("1", "2", "3"))


def test_a_lower_class_may_not_contradict_a_higher_one() -> None:
    assert check_judgement(same("2", A, B, by=ISSUER), [different("1", [A], [B])]).conflicts == ("1",)


def test_a_lower_class_may_not_contradict_a_higher_one_together_with_its_own() -> None:
    in_force = [different("1", [A], [C]), same("2", A, B, by=ISSUER)]

    assert check_judgement(same("3", B, C, by=ISSUER), in_force).conflicts == ("1", "2")


def test_a_higher_class_puts_a_lower_one_that_it_contradicts_to_sleep() -> None:
    in_force = [same("1", A, B, by=ISSUER), same("2", C, D, by=ISSUER)]

    assert check_judgement(different("3", [A], [B]), in_force) == Admission(sleeps=("1",))


def test_of_a_chain_of_lower_ones_only_as_many_sleep_as_must() -> None:
    in_force = [same("9", A, B, by=ISSUER), same("1", B, C, by=ISSUER)]

    assert check_judgement(different("5", [A], [C]), in_force) == Admission(sleeps=("1",))


def test_what_slept_before_is_not_named_again() -> None:
    in_force = [different("1", [A], [B]), same("2", A, B, by=ISSUER)]

    assert check_judgement(different("3", [A], [B]), in_force) == Admission()


def test_a_sleeper_of_its_own_class_still_counts_against_a_new_judgement() -> None:
    in_force = [different("1", [A], [B]), same("2", A, B, by=ISSUER)]

    assert check_judgement(different("3", [A], [B], by=ISSUER), in_force).conflicts == ("2",)


def test_a_judgement_on_withdrawn_records_still_counts_against_a_new_one() -> None:
    in_force = [same("1", A, B), same("2", B, C)]

    refused = check_judgement(different("3", [A], [C]), in_force)

    assert bindings(in_force, {A, C}).joined == ()
    assert refused.conflicts == ("1", "2")


def test_nothing_binds_without_judgements() -> None:
    assert bindings([], ALL) == Bindings()


def test_same_records_are_joined_and_different_ones_are_kept_apart() -> None:
    found = bindings([same("1", A, B), same("2", B, C), different("3", [D], [A, E])], ALL)

    assert found.joined == (frozenset({A, B, C}),)
    assert found.apart == {(A, D), (D, E)}
    assert found.lifting == (frozenset({A, B}), frozenset({B, C}))
    assert found.asleep == ()


def test_a_same_holds_for_its_records_that_are_left_when_one_is_withdrawn() -> None:
    assert bindings([same("1", A, B, C)], {A, C}).joined == (frozenset({A, C}),)


def test_p8_a_judgement_sleeps_while_a_record_is_withdrawn_and_holds_again_when_it_returns() -> None:
    facts = [same("1", A, B), different("2", [A], [C])]

    assert bindings(facts, {A}) == Bindings()
    assert bindings(facts, {A, B, C}).joined == (frozenset({A, B}),)


def test_a_weaker_judgement_sleeps_only_while_the_stronger_ones_can_hold() -> None:
    facts = [same("1", A, B), same("2", B, C), different("3", [A], [C], by=ISSUER)]

    assert bindings(facts, ALL).asleep == ("3",)
    assert bindings(facts, {A, C}).apart == {(A, C)}


def test_a_stronger_judgement_puts_a_weaker_one_to_sleep_whichever_came_first() -> None:
    facts = [same("1", A, B, by=ISSUER), different("2", [A], [B])]

    found = bindings(facts, ALL)

    assert found == Bindings(apart=frozenset({(A, B)}), asleep=("1",))
    assert found == bindings(facts[::-1], ALL)


def test_within_a_class_keeping_apart_goes_before_joining() -> None:
    facts = [same("1", B, C), same("2", A, B, by=ISSUER), different("3", [A], [C], by=ISSUER)]

    assert bindings(facts, ALL).asleep == ("2",)


refs = st.sampled_from(RECORDS)
classes = st.sampled_from([STEWARD, ISSUER])


@st.composite
def judgement_sets(draw: st.DrawFn) -> list[JudgementFact]:
    facts: list[JudgementFact] = []
    for number in range(draw(st.integers(0, 8))):
        named = draw(st.lists(refs, min_size=2, max_size=4, unique=True))
        cut = draw(st.integers(1, len(named) - 1))
        verdict = draw(st.sampled_from(Verdict))
        facts.append(
            JudgementFact(str(number), verdict, draw(classes), tuple(named[:cut]), tuple(named[cut:]))
        )
    return facts


live_sets = st.frozensets(refs)


def without_ids(found: Bindings) -> tuple[object, ...]:
    return found.joined, found.apart, frozenset(found.lifting)


@given(judgement_sets(), live_sets)
def test_what_binds_never_joins_records_that_it_keeps_apart(
    facts: list[JudgementFact], live: frozenset[RecordRef]
) -> None:
    found = bindings(facts, live)

    for group in found.joined:
        assert group <= live
        assert not any(order_pair(*pair) in found.apart for pair in combinations(group, 2))
    assert len(frozenset().union(*found.joined)) == sum(map(len, found.joined))
    assert all(one in live and other in live for one, other in found.apart)


@pytest.mark.slow
@given(judgement_sets(), live_sets, st.randoms(use_true_random=False))
def test_p3_what_binds_depends_on_neither_order_nor_ids(
    facts: list[JudgementFact], live: frozenset[RecordRef], shuffler: Random
) -> None:
    shuffled = shuffler.sample(facts, len(facts))
    renamed = [
        JudgementFact(f"{place}", fact.verdict, fact.judgement_class, fact.right, fact.left)
        for place, fact in enumerate(shuffled)
    ]

    assert bindings(shuffled, live).asleep == bindings(facts, live).asleep
    assert without_ids(bindings(renamed, live)) == without_ids(bindings(facts, live))


@given(judgement_sets(), live_sets)
def test_waking_any_one_sleeper_would_contradict(
    facts: list[JudgementFact], live: frozenset[RecordRef]
) -> None:
    asleep = bindings(facts, live).asleep
    held = [fact for fact in facts if fact.id not in asleep]

    for sleeper in (fact for fact in facts if fact.id in asleep):
        woken = JudgementFact("w", sleeper.verdict, ISSUER, sleeper.left, sleeper.right)
        assert not bindings(held, live).asleep
        assert bindings([*held, woken], live).asleep


@pytest.mark.slow
@given(judgement_sets())
def test_a_judgement_is_refused_exactly_when_its_class_and_higher_ones_cannot_hold_with_it(
    facts: list[JudgementFact],
) -> None:
    in_force: list[JudgementFact] = []
    for fact in facts:
        admission = check_judgement(fact, in_force)
        by_id = {other.id: other for other in in_force}
        assert {*admission.conflicts, *admission.sleeps} <= by_id.keys()
        if admission.conflicts:
            named = [by_id[name] for name in admission.conflicts]
            assert all(other.judgement_class in {fact.judgement_class, STEWARD} for other in named), (
                "only its own or a higher class refuses a judgement"
            )
            assert bindings([*named, fact], ALL).asleep, "the judgements named contradict it by themselves"
            continue
        assert all(by_id[name].judgement_class is ISSUER for name in admission.sleeps)
        before, after = bindings(in_force, ALL).asleep, bindings([*in_force, fact], ALL).asleep
        assert set(admission.sleeps) == set(after) - set(before)
        assert fact.id not in after
        in_force.append(fact)


@pytest.mark.slow
@given(judgement_sets(), live_sets)
def test_p8_admitted_judgements_of_one_class_never_contradict_whoever_returns_or_is_withdrawn(
    facts: list[JudgementFact], live: frozenset[RecordRef]
) -> None:
    in_force: list[JudgementFact] = []
    for fact in facts:
        if not check_judgement(fact, in_force).conflicts:
            in_force.append(fact)

    stewards = [fact for fact in in_force if fact.judgement_class is STEWARD]
    issuers = [fact for fact in in_force if fact.judgement_class is ISSUER]
    assert bindings(stewards, live).asleep == bindings(issuers, live).asleep == ()
    assert {fact.id for fact in stewards}.isdisjoint(bindings(in_force, live).asleep)
