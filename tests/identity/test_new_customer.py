"""Customers whose key is their CID from birth (approach 4)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from identity.errors import (
    CustomerExists,
    IdempotencyConflict,
    SourceRetired,
    SourceUnknown,
    StatementRefused,
)
from identity.model import KeyStatus, Outcome, RecordAnswer, RecordRef, Verdict
from identity.service import Identity
from matching.errors import AttributesInvalid, SameasError
from tests.identity.stores import Place, find_cid, stated, tell
from tests.promises.small_model import attributes_of

ANN = attributes_of({"email": ("ann",)})
ZED = attributes_of({"website": ("zed",)})


def create(
    identity: Identity, attributes: dict[str, object] = ANN, *, token: str = "t1", source: str = "trusty"
) -> RecordAnswer:
    return identity.create_customer(source, attributes, idempotency_key=token, author="shop")


def test_a_new_customer_gets_a_new_cid_which_is_the_key(identity: Identity) -> None:
    answer = create(identity)

    assert answer.outcome is Outcome.ISSUED
    assert answer.is_new
    assert answer.ref == RecordRef("trusty", str(answer.cid))
    assert find_cid(identity, str(answer.cid), "trusty") == answer.cid


def test_a_customer_known_from_another_source_gives_its_cid_as_the_key(identity: Identity) -> None:
    [known] = tell(identity, stated("1", email=("ann",)))

    answer = create(identity)

    assert answer.outcome is Outcome.LINKED
    assert (answer.cid, answer.ref.key) == (known.cid, known.cid)


def test_the_same_request_again_answers_the_same_and_stores_nothing(identity: Identity) -> None:
    first = create(identity)
    _, cursor = identity.changes(None, limit=10)

    assert create(identity) == first
    assert identity.changes(cursor, limit=10)[0] == []


def test_the_same_request_is_answered_the_same_by_another_program(place: Place) -> None:
    first = create(place.open_identity())

    assert create(place.open_identity(first_cid=100)) == first


def test_an_idempotency_key_used_for_other_attributes_is_a_conflict(identity: Identity) -> None:
    create(identity)

    with pytest.raises(IdempotencyConflict):
        create(identity, attributes_of({"email": ("bob",)}))


def test_two_sources_may_use_the_same_idempotency_key(identity: Identity) -> None:
    first = create(identity)

    second = create(identity, source="one")

    assert (second.ref.source, second.cid) == ("one", first.cid)


def test_a_second_record_of_the_same_customer_is_refused_by_the_name_of_the_first(identity: Identity) -> None:
    first = create(identity)
    _, cursor = identity.changes(None, limit=10)

    with pytest.raises(CustomerExists, match=str(first.cid)):
        create(identity, token="t2")

    assert identity.changes(cursor, limit=10)[0] == []


def test_a_refused_request_leaves_its_idempotency_key_free(identity: Identity) -> None:
    create(identity)
    with pytest.raises(CustomerExists):
        create(identity, token="t2")

    assert create(identity, attributes_of({"email": ("bob",)}), token="t2").outcome is Outcome.ISSUED


def lose_cid(identity: Identity) -> RecordAnswer:
    """Create a customer whose record then comes to a customer with more records and another CID."""
    created = create(identity, ZED)
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), place="x"))
    identity.judge(Verdict.SAME, [created.ref], [RecordRef("crm", "1")], reason="", author="ann")
    assert find_cid(identity, created.ref.key, "trusty") == find_cid(identity, "2") != created.cid
    return created


def test_the_key_stays_when_the_cid_of_the_record_changes(identity: Identity) -> None:
    created = lose_cid(identity)

    assert identity.get_cid(str(created.cid)).successors == (find_cid(identity, created.ref.key, "trusty"),)


def test_the_same_request_is_answered_with_the_first_cid_after_that_changed(identity: Identity) -> None:
    created = lose_cid(identity)

    assert create(identity, ZED) == created


def test_a_customer_whose_cid_is_the_key_of_anothers_record_cannot_be_created_under_it(
    identity: Identity,
) -> None:
    created = create(identity)
    tell(identity, stated("1", email=("ann",)))
    tell(identity, stated(created.ref.key, "trusty", email=("bob",)))
    assert find_cid(identity, "1") == created.cid != find_cid(identity, created.ref.key, "trusty")

    with pytest.raises(CustomerExists):
        create(identity, token="t2")


@pytest.mark.parametrize("token", ["", "x" * 256])
def test_an_idempotency_key_of_a_wrong_length_is_refused(sqlite_identity: Identity, token: str) -> None:
    with pytest.raises(StatementRefused):
        create(sqlite_identity, token=token)


def test_a_source_without_a_contract_is_unknown(sqlite_identity: Identity) -> None:
    with pytest.raises(SourceUnknown):
        create(sqlite_identity, source="nowhere")


def test_a_retired_source_creates_no_customers(sqlite_identity: Identity) -> None:
    sqlite_identity.retire_source("trusty", author="ann")

    with pytest.raises(SourceRetired):
        create(sqlite_identity)


def test_attributes_of_a_wrong_shape_are_refused_and_nothing_is_stored(sqlite_identity: Identity) -> None:
    with pytest.raises(AttributesInvalid):
        create(sqlite_identity, {"family_name": ["x"]})

    assert sqlite_identity.changes(None, limit=10)[0] == []


def race(identities: list[Identity], tokens: list[str]) -> list[RecordAnswer | SameasError]:
    """Return what creators at the same time are answered."""
    barrier = Barrier(len(identities))

    def run(identity: Identity, token: str) -> RecordAnswer | SameasError:
        barrier.wait()
        try:
            return create(identity, token=token)
        except SameasError as error:
            return error

    with ThreadPoolExecutor(len(identities)) as pool:
        return list(pool.map(run, identities, tokens))


def test_of_creators_at_the_same_time_one_creates_and_the_others_hear_of_its_record(place: Place) -> None:
    identities = [place.open_identity(first_cid=100 * number) for number in range(3)]

    answers = race(identities, ["t1", "t2", "t3"])

    [created] = [answer for answer in answers if isinstance(answer, RecordAnswer)]
    refused = [answer for answer in answers if isinstance(answer, CustomerExists)]
    assert len(refused) == 2
    assert all(str(created.cid) in str(error) for error in refused)
    assert identities[0].get_cid(str(created.cid)).records == (created.ref,)


def test_one_request_sent_twice_at_the_same_time_creates_one_record(place: Place) -> None:
    identities = [place.open_identity(first_cid=100 * number) for number in range(3)]

    answers = race(identities, ["t1", "t1", "t1"])

    [first, *others] = answers
    assert isinstance(first, RecordAnswer)
    assert others == [first, first]
    [(cid, status)] = identities[0].look_up([first.ref]).rows
    assert (cid, status) == (first.cid, KeyStatus.LIVE)
    assert len(identities[0].changes(None, limit=10)[0]) == 1
