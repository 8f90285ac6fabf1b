"""Records that stand apart because too much is linked to them, and what glues them.

A component holds 6 profiles here, and one shared e-mail in one city is a link at every threshold: each record of a
chain has an e-mail in common with the next.
"""

from __future__ import annotations

import orjson
import pytest

from identity import oversized
from identity.model import RecordCommand, RecordRef, Verdict
from identity.oversized import Oversized, count_oversized, find_oversized
from identity.scoring_models import store_model
from identity.service import Identity
from matching.block import compile_revealer
from matching.scoring_model import load_scoring_model
from tests.identity.stores import Place, find_cid, stated, tell, withdrawn
from tests.promises.small_model import NUMBERS, small_model

LAST = len(NUMBERS.thresholds)
TOO_MANY = NUMBERS.component_max + 1
Shown = list[tuple[int, list[tuple[str, str, int]]]]


@pytest.fixture
def identity(place: Place) -> Identity:
    """An identity under a model whose last threshold a shared e-mail and city reach."""
    document = orjson.loads(small_model().document) | {"link_thresholds_millibits": [1000, 2000, 3000]}
    store_model(place.open_store(), load_scoring_model(orjson.dumps(document)), now=0)
    return place.open_identity()


def chain(
    name: str, *, count: int = TOO_MANY, shop: tuple[int, ...] = (), source: str = "crm"
) -> list[RecordCommand]:
    """Return records of which each links to the next; those of the places `shop` have one more e-mail in common."""
    return [
        stated(
            f"{name}{at}",
            source,
            email=(f"{name}{at}", f"{name}{at + 1}", *([f"shop-{name}"] if at in shop else [])),
            city=(f"town-{name}",),
        )
        for at in range(count)
    ]


def found_in(identity: Identity, sources: tuple[str, ...] | None = None) -> Oversized:
    model = identity.resolver.model
    reveal = compile_revealer(model, hash_key=identity.store.sealer.blocking_hash_key)
    return find_oversized(
        identity.store, partitioner=identity.resolver.partitioner, reveal=reveal, sources=sources
    )


def shown(found: Oversized) -> Shown:
    return [
        (len(group.pids), [(one.rule, one.value, len(one.pids)) for one in group.values])
        for group in found.groups
    ]


def count(identity: Identity) -> int:
    return count_oversized(identity.store, identity.resolver.model)


def test_a_store_in_which_nothing_is_too_large_has_nothing_to_report(identity: Identity) -> None:
    tell(identity, *chain("a", count=NUMBERS.component_max))

    assert found_in(identity) == Oversized(0, (), is_complete=True)
    assert count(identity) == 0


def test_records_too_many_at_the_last_threshold_are_told_with_the_values_that_glue_them(
    identity: Identity,
) -> None:
    tell(identity, *chain("a", count=8, shop=(0, 3, 5, 7)), stated("other", email=("ann",)))

    found = found_in(identity)

    assert (found.record_count, found.is_complete) == (8, True)
    [(profiles, values)] = shown(found)
    assert profiles == 8
    assert values[0] == ("email", "shop-a@web.de", 4)
    assert values[1:] == [("email", f"a{at}@web.de", 2) for at in range(1, 5)]
    assert len({find_cid(identity, f"a{at}") for at in range(8)}) == 8
    assert count(identity) == 8


def test_groups_that_no_link_connects_are_told_apart_largest_first(identity: Identity) -> None:
    tell(identity, *chain("a"), *chain("b", count=9))

    assert [profiles for profiles, _ in shown(found_in(identity))] == [9, 7]


def test_a_value_under_which_nobody_links_is_not_what_glues(identity: Identity) -> None:
    tell(
        identity,
        *(
            stated(
                f"a{at}",
                email=(f"a{at}", f"a{at + 1}"),
                city=("town-a",),
                website=() if at % 2 else ("fan",),
            )
            for at in range(TOO_MANY)
        ),
    )

    [(profiles, values)] = shown(found_in(identity))

    assert profiles == TOO_MANY
    assert {rule for rule, _, _ in values} == {"email"}


def test_a_key_that_too_many_hold_glues_nothing(identity: Identity) -> None:
    tell(identity, *chain("a", shop=(0, 2, 4, 6)), stated("far", email=("shop-a",), city=("ulm",)))

    [(_, values)] = shown(found_in(identity))

    assert "shop-a@web.de" not in {value for _, value, _ in values}


def test_a_judgement_takes_its_records_together_and_out_of_nothing_else(identity: Identity) -> None:
    tell(identity, *chain("a"))
    refs = [RecordRef("crm", f"a{at}") for at in (0, 6)]
    identity.judge(Verdict.SAME, refs[:1], refs[1:], reason="seen", author="steward")

    found = found_in(identity)

    assert find_cid(identity, "a0") == find_cid(identity, "a6")
    assert (found.record_count, [profiles for profiles, _ in shown(found)]) == (7, [7])


def test_what_the_evidence_of_a_same_as_links_belongs_to_the_group(identity: Identity) -> None:
    """The first of one chain is stated to be that of the other; without it an e-mail they share does not link them."""
    tell(identity, *chain("a"), *chain("b", count=TOO_MANY, source="trusty"))
    apart = shown(found_in(identity))
    first = RecordRef("trusty", "b0")
    tell(identity, stated("a0", email=("a0", "a1", "b0"), city=("town-a",), same_as=first))

    assert [profiles for profiles, _ in apart] == [7, 7]
    assert [profiles for profiles, _ in shown(found_in(identity))] == [14]


def test_what_is_small_again_is_not_told_any_more(identity: Identity) -> None:
    tell(identity, *chain("a"))
    assert count(identity) == TOO_MANY

    tell(identity, withdrawn("a6"))

    assert (count(identity), found_in(identity).groups) == (0, ())


def test_who_is_bound_to_sources_is_shown_what_their_records_hold(identity: Identity) -> None:
    ours, theirs = chain("a", shop=(0, 3, 5)), chain("a", shop=(0, 3, 5), source="trusty")
    tell(identity, *ours[:4], *theirs[4:])

    everything, own, none = (found_in(identity, sources) for sources in (None, ("trusty",), ("one",)))

    assert shown(everything)[0][1][0] == ("email", "shop-a@web.de", 3)
    assert own.record_count == 3
    assert shown(own)[0][0] == 3
    assert ("email", "shop-a@web.de", 1) in shown(own)[0][1]
    assert not {"a1@web.de", "a2@web.de"} & {value for _, value, _ in shown(own)[0][1]}
    assert none == Oversized(0, (), is_complete=True)


@pytest.mark.parametrize(
    ("limit", "most"), [("RECORDS_MAX", 5), ("KEYS_MAX", 2), ("PAIRS_MAX", 3), ("GROUPS_MAX", 1)]
)
def test_what_is_too_much_to_look_at_is_counted_and_the_report_says_so(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    tell(identity, *chain("a"), *chain("b"))
    assert found_in(identity).is_complete
    monkeypatch.setattr(oversized, limit, most)

    found = found_in(identity)

    assert (found.record_count, found.is_complete) == (2 * TOO_MANY, False)


def test_the_records_are_found_by_an_index_of_their_own(identity: Identity) -> None:
    """Else a report would read every record of the store."""
    tell(identity, *chain("a"))
    statements: list[str] = []
    explain = "EXPLAIN " if identity.store.is_postgres else "EXPLAIN QUERY PLAN "
    with identity.store.read() as connection:
        for what in ("count(*)", "rid, pid"):
            query = (
                f"{explain} SELECT {what} FROM record WHERE component_level = {LAST} "
                "AND component_level > 0 AND component_id IS NOT NULL"
            )
            statements.append(" ".join(str(row) for row in connection.exec_driver_sql(query)))

    assert [text for text in statements if "record_stricter" not in text] == []
