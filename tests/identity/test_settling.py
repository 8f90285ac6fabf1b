"""What is unsettled is worked off: a changed contract resolves its source again."""

from __future__ import annotations

import socket

import pytest
from sqlalchemy import insert

from identity.model import CauseKind, EventType, Outcome, RecordCommand, RecordRef
from identity.service import Identity
from identity.store_sql import tables
from matching.model import column_position
from tests.identity.stores import find_cid, stated, tell, withdrawn

PHONES = column_position("phones")


def settle(identity: Identity) -> None:
    while identity.settle_some():  # a call ends after half a second, which may be little on a busy machine
        pass


def test_one_record_a_customer_parts_the_records_of_its_source(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), website=("w",)))
    assert find_cid(identity, "1") == find_cid(identity, "2")
    identity.put_source("crm", {"domain": "sales", "one_per_customer": True}, author="test")

    settle(identity)

    assert find_cid(identity, "1") != find_cid(identity, "2")


def test_without_one_record_a_customer_they_are_joined_again(identity: Identity) -> None:
    tell(identity, stated("1", "one", email=("ann",)), stated("2", "one", email=("ann",), website=("w",)))
    assert find_cid(identity, "1", "one") != find_cid(identity, "2", "one")
    identity.put_source("one", {"domain": "sales"}, author="test")

    settle(identity)

    assert find_cid(identity, "1", "one") == find_cid(identity, "2", "one")


def test_another_region_reads_the_stored_statements_again(identity: Identity) -> None:
    tell(identity, RecordCommand(RecordRef("crm", "1"), {"phone": ["030 901820"]}))
    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")

    settle(identity)

    with identity.store.inspect() as tx:
        row = tx.read_records([RecordRef("crm", "1")])[RecordRef("crm", "1")]
        profile = tx.read_version(row.vid).profile
    assert row.contract_version == 2
    assert profile is not None
    assert profile[PHONES] == ("4930901820",)


def test_trust_in_same_as_turns_evidence_into_a_judgement(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    tell(identity, stated("2", email=("bob",), same_as=RecordRef("crm", "1")))
    assert find_cid(identity, "1") != find_cid(identity, "2")
    identity.put_source("crm", {"domain": "sales", "trust": {"same_as": True}}, author="test")

    settle(identity)

    assert find_cid(identity, "1") == find_cid(identity, "2")


def test_without_trust_a_judgement_is_evidence_again(identity: Identity) -> None:
    tell(identity, stated("1", "trusty", email=("ann",)))
    tell(identity, stated("2", "trusty", email=("bob",), same_as=RecordRef("trusty", "1")))
    assert find_cid(identity, "1", "trusty") == find_cid(identity, "2", "trusty")
    identity.put_source("trusty", {"domain": "sales"}, author="test")

    settle(identity)

    assert find_cid(identity, "1", "trusty") != find_cid(identity, "2", "trusty")


def test_the_contract_is_named_as_the_cause_of_what_it_changes(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), website=("w",)))
    _, cursor = identity.changes(None, limit=10)
    identity.put_source("crm", {"domain": "sales", "one_per_customer": True}, author="test")

    settle(identity)

    [event] = identity.changes(cursor, limit=10)[0]
    assert event.type is EventType.SPLIT
    assert event.cause.kind is CauseKind.CONTRACT


def test_what_no_rule_changes_tells_nothing(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    _, cursor = identity.changes(None, limit=10)
    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")

    settle(identity)

    assert identity.changes(cursor, limit=10)[0] == []


def test_the_same_statement_after_a_new_contract_is_settled_is_unchanged(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")
    settle(identity)

    assert tell(identity, stated("1", version=1, email=("ann",)))[0].outcome is Outcome.UNCHANGED


def test_a_record_withdrawn_before_it_is_read_again_stays_withdrawn(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")
    tell(identity, withdrawn("1", version=2))

    settle(identity)

    assert identity.look_up([RecordRef("crm", "1")]).rows[0][1] == "withdrawn"


def test_work_is_done_in_parts_when_less_is_asked_for(identity: Identity) -> None:
    tell(identity, *(stated(str(number), email=(f"p{number}",)) for number in range(3)))
    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")

    assert identity.settle_some(limit=2) == 1
    assert identity.settle_some(limit=2) == 0


def test_nothing_to_do_is_done_at_once(identity: Identity) -> None:
    assert identity.settle_some() == 0
    assert identity.unsettled() == 0


@pytest.mark.parametrize(("holder", "left"), [("4194305", 0), ("1", 1)])
def test_what_a_load_left_is_taken_over_once_its_process_is_gone(
    sqlite_identity: Identity, holder: str, left: int
) -> None:
    """No process has a number above the kernel's greatest; number 1 always lives."""
    with sqlite_identity.store.write() as tx:
        tx.connection.execute(
            insert(tables.record_load).values(
                id="l1", source="crm", author="ann", started_at=0, ended_at=None, state="running",
                holder=f"{socket.gethostname()}:{holder}", beat_at=0,
            )
        )  # fmt: skip
        tx.add_unsettled([("load-key", 17)])

    assert sqlite_identity.settle_some() == left


@pytest.mark.parametrize(("beat_at", "left"), [(0, 0), (1_700_000_000_000_000, 1)])
def test_a_load_on_another_machine_is_taken_over_when_its_last_slice_is_long_ago(
    sqlite_identity: Identity, beat_at: int, left: int
) -> None:
    with sqlite_identity.store.write() as tx:
        tx.connection.execute(
            insert(tables.record_load).values(
                id="l1", source="crm", author="ann", started_at=0, ended_at=None, state="running",
                holder="elsewhere:1", beat_at=beat_at,
            )
        )  # fmt: skip
        tx.add_unsettled([("load-key", 17)])

    assert sqlite_identity.settle_some() == left
