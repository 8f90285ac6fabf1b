"""Customers found by attributes, before one is created."""

from __future__ import annotations

import pytest

from identity.model import RecordRef
from identity.service import Identity
from matching.errors import AttributesInvalid
from tests.identity.stores import bits_between, find_cid, stated, tell, withdrawn
from tests.promises.small_model import NUMBERS, attributes_of


def test_a_customer_is_found_with_its_weight_and_its_records(identity: Identity) -> None:
    tell(
        identity, stated("1", email=("ann",)), stated("2", "one", email=("ann",)), stated("3", email=("bob",))
    )

    [hit] = identity.search(attributes_of({"email": ("ann",)}))

    assert hit.cid == find_cid(identity, "1")
    assert hit.records == (RecordRef("crm", "1"), RecordRef("one", "2"))
    assert hit.weight == bits_between({"email": ("ann",)}, {"email": ("ann",)})
    assert hit.probability == pytest.approx(1 / (1 + 2**-hit.weight))


def test_the_best_customer_comes_first_and_its_best_record_counts(identity: Identity) -> None:
    tell(
        identity,
        stated("1", email=("ann",), website=("w",)),
        stated("2", city=("rome",)),
        stated("3", email=("ann",)),
    )
    assert find_cid(identity, "1") == find_cid(identity, "3")

    asked = {"email": ("ann",), "city": ("rome",), "website": ("w",)}
    hits = identity.search(attributes_of(asked))

    assert [(hit.cid, hit.weight) for hit in hits] == [
        (find_cid(identity, "1"), bits_between(asked, {"email": ("ann",), "website": ("w",)})),
        (find_cid(identity, "2"), bits_between(asked, {"city": ("rome",)})),
    ]


def test_no_more_customers_come_than_asked_for(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", city=("rome",)))

    [hit] = identity.search(attributes_of({"email": ("ann",), "city": ("rome",)}), limit=1)

    assert hit.cid == find_cid(identity, "1")


def test_what_would_not_link_is_not_found(identity: Identity) -> None:
    tell(identity, stated("1", website=("w",)), stated("2", email=("bob",), city=("rome",)))

    assert identity.search(attributes_of({"website": ("w",), "email": ("ann",), "city": ("rome",)})) == []


def test_a_key_that_too_many_hold_finds_nobody(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=("ann",), place=f"p{n}") for n in range(NUMBERS.holders_max)))
    assert identity.search(attributes_of({"email": ("ann",)}))

    tell(identity, stated("x", email=("ann",), place="px"))

    assert identity.search(attributes_of({"email": ("ann",)})) == []


def test_withdrawn_records_are_not_found(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    tell(identity, withdrawn("1", version=2))

    assert identity.search(attributes_of({"email": ("ann",)})) == []


def test_a_caller_sees_records_of_its_own_sources_only(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", "one", email=("ann",)))

    [hit] = identity.search(attributes_of({"email": ("ann",)}), sources=["one"])

    assert hit.records == (RecordRef("one", "2"),)
    assert identity.search(attributes_of({"email": ("ann",)}), sources=["trusty"]) == []


def test_a_search_stores_nothing(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    _, cursor = identity.changes(None, limit=10)

    identity.search(attributes_of({"email": ("bob",)}))

    assert identity.changes(cursor, limit=10)[0] == []
    assert identity.search(attributes_of({"email": ("bob",)})) == []


def test_attributes_of_a_wrong_shape_are_refused(sqlite_identity: Identity) -> None:
    with pytest.raises(AttributesInvalid, match="family_name"):
        sqlite_identity.search({"family_name": ["x"]})


def test_attributes_that_say_nothing_find_nobody(sqlite_identity: Identity) -> None:
    tell(sqlite_identity, stated("1"))

    assert sqlite_identity.search({}) == []
