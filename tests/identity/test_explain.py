"""Why two records stand together or apart."""

from __future__ import annotations

from typing import Any

import pytest

from identity.errors import RecordUnknown
from identity.model import Instant, RecordRef, Verdict
from identity.service import Identity
from tests.identity.stores import bits_between, find_cid, stated, tell, withdrawn
from tests.promises.small_model import NUMBERS, SAME_AS, small_model

ONE, TWO = RecordRef("crm", "1"), RecordRef("crm", "2")


def explain(
    identity: Identity, left: RecordRef = ONE, right: RecordRef = TWO, known_at: Instant | None = None
) -> dict[str, Any]:
    return identity.explain(left, right, known_at=known_at)


def test_each_comparison_is_told_with_its_level_and_bits_and_they_sum_to_the_weight(
    identity: Identity,
) -> None:
    one: dict[str, Any] = {"email": ("ann",), "city": ("rome",)}
    other: dict[str, Any] = {"email": ("ann",), "city": ("paris",)}
    tell(identity, stated("1", **one), stated("2", **other))

    told = explain(identity)

    levels = {one["name"]: (one["level"], one["bits"]) for one in told["comparisons"]}
    assert levels["email"][0] == "same"
    assert levels["city"][0] == "different"
    assert told["weight"] == bits_between(one, other)
    assert told["prior"] + sum(bits for _, bits in levels.values()) == pytest.approx(told["weight"])
    assert told["scoring_model"] == small_model().version


def test_records_that_link_are_the_same_and_bear_one_cid(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), website=("w",)))

    told = explain(identity)

    assert told["decision"] == "same"
    assert told["left"] == {"source": "crm", "key": "1", "cid": find_cid(identity, "1")}
    assert told["right"]["cid"] == find_cid(identity, "1")
    assert told["shared_keys"] == {"usable": 1, "too_common": 0}
    assert "They link with" in told["why"]


def test_a_weight_below_the_threshold_is_the_reason(identity: Identity) -> None:
    tell(identity, stated("1", website=("w",)), stated("2", website=("w",)), stated("3", website=("v",)))

    assert "below the link threshold of +1.0 bits" in explain(identity, right=RecordRef("crm", "3"))["why"]


def test_keys_that_too_many_hold_are_the_reason(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=("ann",), place=f"p{n}") for n in range(NUMBERS.holders_max + 1)))

    told = explain(identity)

    assert told["decision"] == "apart"
    assert told["shared_keys"] == {"usable": 0, "too_common": 1}
    assert "held by too many" in told["why"]


def test_a_constraint_is_the_reason(identity: Identity) -> None:
    tell(
        identity, stated("1", email=("ann",), kind="person"), stated("2", email=("ann",), kind="organisation")
    )

    told = explain(identity)

    assert told["constraint"] == "kind"
    assert told["why"] == "A constraint keeps them apart: kind."


def test_one_record_a_customer_is_a_constraint(identity: Identity) -> None:
    tell(identity, stated("1", "one", email=("ann",)), stated("2", "one", email=("ann",), website=("w",)))

    told = explain(identity, RecordRef("one", "1"), RecordRef("one", "2"))

    assert (told["decision"], told["constraint"]) == ("apart", "one_per_customer")


def test_a_judgement_is_the_reason_and_is_told_with_its_author(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), website=("w",)))
    judgement_id = identity.judge(Verdict.DIFFERENT, [ONE], [TWO], reason="met them", author="ann")

    told = explain(identity)

    assert told["why"] == "A judgement says that they are different."
    assert told["judgements"] == [
        {"id": judgement_id, "verdict": "different", "author": "ann", "reason": "met them"}
    ]


def test_a_judgement_that_they_are_the_same_is_the_reason(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    identity.judge(Verdict.SAME, [ONE], [TWO], reason="married", author="ann")

    told = explain(identity)

    assert (told["decision"], told["why"]) == ("same", "A judgement says that they are the same.")


def test_what_holds_two_records_together_may_be_a_third(identity: Identity) -> None:
    tell(
        identity,
        stated("1", email=("ann",)),
        stated("2", city=("rome",)),
        stated("3", email=("ann",), city=("rome",)),
    )
    assert find_cid(identity, "1") == find_cid(identity, "2")

    told = explain(identity)

    assert told["decision"] == "same"
    assert "other records of the customer" in told["why"]


def test_the_evidence_of_a_same_as_counts_in_the_weight(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    tell(identity, stated("2", city=("rome",), same_as=ONE))

    told = explain(identity)

    assert told["same_as"] == SAME_AS / 1000
    assert told["weight"] == bits_between({}, {}) + SAME_AS / 1000
    assert explain(identity, TWO, ONE)["weight"] == told["weight"]


def test_it_is_told_as_it_was_believed_then(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    then = tell(identity, stated("2", version=1, email=("ann",), website=("w",)))[0].known_at
    tell(identity, stated("2", version=2, email=("bob",)))

    assert explain(identity, known_at=then)["decision"] == "same"
    assert explain(identity, known_at=then)["weight"] > 0 > explain(identity)["weight"]
    assert explain(identity)["decision"] == "apart"


def test_a_judgement_made_later_was_no_reason_then(identity: Identity) -> None:
    then = tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), website=("w",)))[
        0
    ].known_at
    identity.judge(Verdict.DIFFERENT, [ONE], [TWO], reason="", author="ann")

    assert explain(identity, known_at=then)["judgements"] == []


def test_a_record_that_was_not_stated_by_then_is_unknown(identity: Identity) -> None:
    then = tell(identity, stated("1", email=("ann",)))[0].known_at
    tell(identity, stated("2", email=("ann",)))

    with pytest.raises(RecordUnknown):
        explain(identity, known_at=then)


def test_a_withdrawn_record_has_nothing_to_explain(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)), stated("2", email=("ann",)))
    tell(identity, withdrawn("1", version=2))

    with pytest.raises(RecordUnknown, match="withdrawn"):
        explain(identity)


def test_no_value_of_an_attribute_is_told(identity: Identity) -> None:
    tell(identity, stated("1", email=("canary",), city=("canaria",)), stated("2", email=("canary",)))

    assert "canar" not in str(explain(identity)).lower()
