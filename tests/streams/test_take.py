"""One batch: what is stored together, in which order messages are taken, what comes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson
import pytest

from identity.errors import InvariantBroken, StoreBusy
from identity.model import KeyStatus, Outcome, RecordRef
from identity.service import Identity
from identity.store_sql.transaction import SqlTransaction
from streams.fate import Fate
from streams.offsets import Advance, OffsetBook, OffsetMoved
from tests.identity.stores import find_cid, stated, tell
from tests.promises.audit import assert_sound
from tests.streams.stream import Told, envelope, plain
from tests.streams.taking import TABLE, Taking, count_events

ANN, BEN = {"email": "ann@web.de"}, {"email": "ben@web.de"}
UNSENT = "__debezium_unavailable_value"


@pytest.fixture
def taking(identity: Identity) -> Taking:
    identity.put_source("crm", TABLE, author="test")
    return Taking(identity)


def attributes_of(identity: Identity, key: str) -> object:
    with identity.store.inspect() as tx:
        row = tx.read_records([RecordRef("crm", key)])[RecordRef("crm", key)]
        statement = tx.read_version(row.vid).statement
    assert statement is not None
    return statement["attributes"]


def status_of(identity: Identity, key: str) -> KeyStatus:
    return identity.look_up([RecordRef("crm", key)]).rows[0][1]


def test_statements_become_records_and_the_offset_moves_past_them(taking: Taking) -> None:
    tally = taking.take(plain("1", ANN), plain("2", ANN), plain("3", BEN))

    assert tally == {Fate.APPLIED: 3}
    assert find_cid(taking.identity, "1") == find_cid(taking.identity, "2")
    [state] = taking.offsets.list_states()
    assert (state.next_offset, state.consumed, state.tally[Fate.APPLIED]) == (3, 3, 3)
    assert_sound(taking.identity)


def test_every_message_has_one_fate_and_their_sum_is_what_was_consumed(taking: Taking) -> None:
    tally = taking.take(
        envelope("c", {"id": "1", "mail": "ann@web.de"}, 10),
        envelope("c", {"id": "1", "mail": "ann@web.de"}, 10),
        envelope("u", {"id": "1", "mail": "old@web.de"}, 5),
        Told(b"k", orjson.dumps({"ts_ms": 1})),
        Told(b"k", b"{"),
        plain("2", {"email": {}}),
        plain("3", None),
        envelope("d", {"id": "1"}, 20),
        Told(b'{"id":"1"}', None),
    )

    assert tally == {
        Fate.APPLIED: 2,
        Fate.DUPLICATE: 1,
        Fate.STALE: 1,
        Fate.IGNORED: 2,
        Fate.REJECTED: 3,
    }
    [state] = taking.offsets.list_states()
    assert state.consumed == state.tally.total() == 9


def test_messages_about_one_record_are_taken_in_transactions_of_their_own(taking: Taking) -> None:
    taken = taking.take_together(
        taking.slice(plain("1", ANN, version=1), plain("2", BEN), plain("1", BEN, version=2), plain("3", BEN))
    )

    assert [one.message_count for one in taken] == [2]
    assert taking.take(plain("1", BEN, version=2), plain("3", BEN)) == {Fate.APPLIED: 2}
    assert attributes_of(taking.identity, "1") == {"email": ["ben@web.de"]}


def test_a_batch_holds_several_partitions_each_up_to_a_record_that_it_has(taking: Taking) -> None:
    taken = taking.take_together(
        taking.slice(plain("1", ANN), number=0),
        taking.slice(plain("2", ANN), plain("1", BEN), number=1),
    )

    assert [(one.partition.number, one.message_count) for one in taken] == [(0, 1), (1, 1)]
    assert {one.partition.number: one.next_offset for one in taking.offsets.list_states()} == {0: 1, 1: 1}


def test_who_lost_the_partition_stores_nothing(taking: Taking) -> None:
    stale = taking.slice(plain("1", ANN), plain("bad", {"email": {}}))
    taking.take(plain("9", BEN))

    with pytest.raises(OffsetMoved):
        taking.take_together(stale)

    assert status_of(taking.identity, "1") is KeyStatus.UNKNOWN
    assert taking.list_open() == []


def test_without_the_compare_and_set_what_was_taken_twice_is_seen_in_the_counts(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: a worker that lost its partition and goes on."""
    messages = taking.slice(plain("1", ANN), plain("2", BEN))
    taking.take_together(messages)
    advance = OffsetBook.advance

    def advance_from_anywhere(tx: SqlTransaction, advances: Sequence[Advance], *, now: int) -> None:
        moved = [replace(one, expected=one.next_offset) for one in advances]
        advance(tx, moved, now=now)

    monkeypatch.setattr(OffsetBook, "advance", advance_from_anywhere)
    taking.take_together(messages)

    [state] = taking.offsets.list_states()
    assert state.consumed == 2 * state.next_offset


@pytest.mark.parametrize("stop_at", ["read", "written"])
def test_whatever_breaks_a_batch_off_leaves_all_as_it_was(taking: Taking, stop_at: str) -> None:
    class Broken(Exception):
        pass

    def stop(name: str) -> None:
        if name == stop_at:
            raise Broken

    messages = taking.slice(plain("1", ANN), plain("bad", {"email": {}}))
    broken = Taking(taking.identity, stop)

    with pytest.raises(Broken):
        broken.take_together(messages)

    assert status_of(taking.identity, "1") is KeyStatus.UNKNOWN
    assert [state.consumed for state in taking.offsets.list_states()] == [0]
    assert taking.list_open() == []


def test_a_failure_of_the_store_is_no_reject(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise StoreBusy("busy")

    with monkeypatch.context() as patch:
        patch.setattr(type(taking.identity), "resolve_together", busy)
        with pytest.raises(StoreBusy):
            taking.take(plain("1", ANN))

    assert taking.list_open() == []
    assert taking.take(plain("1", ANN)) == {Fate.APPLIED: 1}


def test_a_fault_stops_before_the_offset_moves(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_fault(self: Identity, commands: object, keep: Callable[..., None]) -> None:
        with self.store.write() as tx:
            keep(tx, [InvariantBroken("broken")])

    monkeypatch.setattr(Identity, "resolve_together", answer_fault)

    with pytest.raises(InvariantBroken):
        taking.take(plain("1", ANN))

    assert [state.consumed for state in taking.offsets.list_states()] == [0]


# --------------------------------------------------------------------------------------- what comes again


def test_the_same_messages_again_change_nothing(taking: Taking) -> None:
    told = [
        plain("1", ANN),
        plain("1", BEN),
        plain("1", None),
        plain("2", ANN, version=4),
        plain("2", BEN, version=5),
        plain("3", {"email": {}}),
        envelope("c", {"id": "4", "mail": "ann@web.de"}, 10),
        envelope("u", {"id": "4", "mail": UNSENT, "town": "Ulm"}, 11),
        envelope("u", {"id": "4", "mail": "ben@web.de", "town": UNSENT}, 12),
        envelope("d", {"id": "4"}, 13),
        Told(b'{"id":"4"}', None),
    ]
    taking.take(*told)
    events, rejects = count_events(taking.identity), taking.list_open()

    taking.offsets.reposition(taking.partition().topic, partition=None, next_offset=0)
    tally = taking.take(*told)

    assert tally[Fate.APPLIED] == 0
    assert tally.total() == len(told)
    assert count_events(taking.identity) == events
    assert taking.list_open() == rejects
    assert status_of(taking.identity, "1") is KeyStatus.WITHDRAWN
    assert_sound(taking.identity)


def test_a_statement_that_only_arrival_orders_is_taken_if_it_was_passed_over_before(taking: Taking) -> None:
    taking.take(plain("1", ANN))
    taking.offsets.reposition(taking.partition().topic, partition=None, next_offset=5)
    taking.take(plain("1", BEN))
    taking.offsets.reposition(taking.partition().topic, partition=None, next_offset=1)

    assert taking.take(plain("2", ANN)) == {Fate.APPLIED: 1}


# ---------------------------------------------------------------------------------------- values not sent


def test_a_value_that_was_not_sent_is_the_one_held(taking: Taking) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de", "town": "Ulm"}, 10))

    tally = taking.take(envelope("u", {"id": "1", "mail": UNSENT, "town": "Bonn"}, 11))

    assert tally == {Fate.APPLIED: 1}
    assert attributes_of(taking.identity, "1") == {"email": ["ann@web.de"], "birth_place": "Bonn"}


def test_a_late_change_is_completed_from_what_was_so_at_its_time(taking: Taking) -> None:
    taking.take(
        envelope("c", {"id": "1", "mail": "ann@web.de", "town": "Ulm"}, 10),
        envelope("u", {"id": "1", "mail": "ben@web.de", "town": "Ulm"}, 20),
    )

    assert taking.take(envelope("u", {"id": "1", "mail": UNSENT, "town": "Bonn"}, 15)) == {Fate.STALE: 1}

    # Other content under this number would be a conflict.
    [again] = tell(taking.identity, stated("1", version=15, email=("ann",), place="Bonn"))
    assert again.outcome is Outcome.STALE


def test_a_value_that_was_never_held_is_a_reject(taking: Taking) -> None:
    tally = taking.take(envelope("u", {"id": "1", "mail": UNSENT}, 11))

    assert tally == {Fate.REJECTED: 1}
    assert [one.code for one in taking.list_open()] == ["value_unavailable"]


def test_a_change_of_a_refused_statement_waits_behind_it(taking: Taking) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 10))
    taking.take(envelope("u", {"id": "1", "mail": {"a": 1}}, 11))

    tally = taking.take(envelope("u", {"id": "1", "mail": UNSENT, "town": "Ulm"}, 12))

    assert tally == {Fate.WAITING: 1}
    assert [one.origin_place for one in taking.list_open()] == [1, 2]
    assert attributes_of(taking.identity, "1") == {"email": ["ann@web.de"]}


def test_a_batch_is_read_anew_when_another_version_came_between(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 10))
    came: list[object] = []

    def come_between(name: str) -> None:
        if name == "read" and not came:
            came.append(name)
            tell(taking.identity, stated("1", version=11, email=("ben",)))

    slow = Taking(taking.identity, come_between)

    assert slow.take(envelope("u", {"id": "1", "mail": UNSENT, "town": "Ulm"}, 12)) == {Fate.APPLIED: 1}
    assert attributes_of(taking.identity, "1") == {"email": ["ben@web.de"], "birth_place": "Ulm"}


# ----------------------------------------------------------------------------------------------- contracts


@pytest.mark.parametrize("value", [{"id": "1", "e": "ann@web.de"}, {"id": "1"}])
def test_messages_are_read_by_the_contract_in_force_at_the_commit(
    taking: Taking, value: dict[str, object]
) -> None:
    put: list[object] = []

    def put_between(name: str) -> None:
        if name == "read" and not put:
            put.append(name)
            taking.identity.put_source(
                "crm", {**TABLE, "mapping": {"email": "e", "birth_place": "town"}}, author="test"
            )

    slow = Taking(taking.identity, put_between)

    slow.take(envelope("c", {**value, "town": "Ulm"}, 10))

    expected = {"birth_place": "Ulm"} | ({"email": ["ann@web.de"]} if "e" in value else {})
    assert attributes_of(taking.identity, "1") == expected


def test_a_reject_of_a_contract_replaced_meanwhile_is_read_anew(taking: Taking) -> None:
    put: list[object] = []

    def put_between(name: str) -> None:
        if name == "read" and not put:
            put.append(name)
            taking.identity.put_source("crm", {**TABLE, "mapping": {"email": "e"}}, author="test")

    slow = Taking(taking.identity, put_between)

    assert slow.take(envelope("c", {"id": "1", "mail": {"a": 1}, "e": "ann@web.de"}, 10)) == {Fate.APPLIED: 1}
    assert taking.list_open() == []


def test_a_contract_that_cannot_be_compiled_refuses_its_own_messages_only(taking: Taking) -> None:
    taking.identity.put_source("erp", {"domain": "sales", "key": "id", "mapping": {"shoe": "s"}}, author="t")

    taken = taking.take_together(
        taking.slice(plain("1", ANN)), taking.slice(envelope("c", {"id": "2"}, 1), source="erp")
    )

    assert [one.tally for one in taken] == [{Fate.APPLIED: 1}, {Fate.REJECTED: 1}]
    assert [one.code for one in taking.list_open()] == ["mapping_invalid"]


def test_a_retired_source_takes_no_statement_any_more(taking: Taking) -> None:
    taking.identity.retire_source("crm", author="test")

    assert taking.take(plain("1", ANN)) == {Fate.REJECTED: 1}
    assert [one.code for one in taking.list_open()] == ["source_retired"]


# ------------------------------------------------------------------------- changes of more than one record


def renamed(old: str, new: str, lsn: int, **row: object) -> tuple[Told, Told, Told]:
    """Return the three messages of a changed primary key: a deletion, its tombstone, a creation."""
    to_new = (("__debezium.newkey", orjson.dumps({"id": new})),)
    to_old = (("__debezium.oldkey", orjson.dumps({"id": old})),)
    deleted = envelope("d", {"id": old}, lsn)
    created = envelope("c", {"id": new, **row}, lsn)
    return (
        Told(deleted.key, deleted.value, headers=to_new),
        Told(deleted.key, None, headers=to_new),
        Told(created.key, created.value, headers=to_old),
    )


@pytest.mark.parametrize("is_old_first", [True, False])
@pytest.mark.parametrize("mail", ["ann@web.de", "ben@web.de", UNSENT])
def test_a_changed_key_keeps_the_cid_whichever_event_comes_first(
    taking: Taking, is_old_first: bool, mail: str
) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de", "town": "Ulm"}, 10))
    cid = find_cid(taking.identity, "1")
    deleted, tombstone, created = renamed("1", "2", 20, mail=mail, town="Bonn")

    if is_old_first:
        taking.take(deleted, tombstone, number=1)
        assert find_cid(taking.identity, "2") == cid
        taking.take(created, number=2)
    else:
        taking.take(created, number=2)
        taking.take(deleted, tombstone, number=1)

    assert find_cid(taking.identity, "2") == cid
    assert status_of(taking.identity, "1") is KeyStatus.RENAMED
    email = "ann@web.de" if mail == UNSENT else mail
    assert attributes_of(taking.identity, "2") == {"email": [email], "birth_place": "Bonn"}
    assert_sound(taking.identity)


@pytest.mark.parametrize("is_old_first", [True, False])
def test_a_changed_key_told_again_changes_nothing(taking: Taking, is_old_first: bool) -> None:
    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 10))
    deleted, tombstone, created = renamed("1", "2", 20, mail=UNSENT, town="Bonn")
    events = [(deleted, 1), (tombstone, 1), (created, 2)]
    events = events if is_old_first else [*events[2:], *events[:2]]
    for one, number in events:
        taking.take(one, number=number)
    taking.take(envelope("u", {"id": "2", "mail": "ben@web.de"}, 30), number=2)
    told = count_events(taking.identity)

    for one, number in [*events, *reversed(events)]:
        tally = taking.take(one, number=number)
        assert not tally[Fate.APPLIED] + tally[Fate.REJECTED], (one, tally)

    assert count_events(taking.identity) == told
    assert attributes_of(taking.identity, "2") == {"email": ["ben@web.de"]}
    assert_sound(taking.identity)


def test_a_key_used_before_by_a_record_that_is_gone_takes_the_renamed_ones_cid(taking: Taking) -> None:
    taking.take(
        envelope("c", {"id": "2", "mail": "ben@web.de"}, 1),
        envelope("d", {"id": "2"}, 15),
        envelope("c", {"id": "1", "mail": "ann@web.de"}, 10),
    )
    cid = find_cid(taking.identity, "1")
    deleted, _, created = renamed("1", "2", 20, mail="ann@web.de")

    taking.take(deleted, number=1)
    taking.take(created, number=2)

    assert find_cid(taking.identity, "2") == cid


def test_a_changed_key_of_a_record_never_seen_states_the_new_one(taking: Taking) -> None:
    deleted, _, created = renamed("1", "2", 20, mail="ann@web.de")

    assert taking.take(deleted, number=1) == {Fate.IGNORED: 1}
    assert taking.take(created, number=2) == {Fate.APPLIED: 1}

    assert find_cid(taking.identity, "2")


def truncation(lsn: int) -> Told:
    return Told(None, orjson.dumps({"op": "t", "source": {"lsn": lsn}, "before": None, "after": None}))


def test_a_truncation_withdraws_what_is_older_and_comes_alone_in_its_order(taking: Taking) -> None:
    before = [
        envelope("c", {"id": "1", "mail": "ann@web.de"}, 10),
        envelope("c", {"id": "2", "mail": "ben@web.de"}, 60),
    ]

    [taken] = taking.take_together(taking.slice(*before, truncation(50), envelope("c", {"id": "3"}, 70)))
    tally = taking.take(truncation(50), envelope("c", {"id": "4", "mail": "ann@web.de"}, 40))

    assert taken.message_count == 2
    assert tally == {Fate.APPLIED: 1, Fate.STALE: 1}
    statuses = [status_of(taking.identity, key) for key in "1234"]
    assert statuses == [KeyStatus.WITHDRAWN, KeyStatus.LIVE, KeyStatus.UNKNOWN, KeyStatus.UNKNOWN]
    assert_sound(taking.identity)


def test_a_truncation_interrupted_before_its_offset_moved_is_taken_again(taking: Taking) -> None:
    class Broken(Exception):
        pass

    def stop(name: str) -> None:
        if name == "written":
            raise Broken

    taking.take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 10))
    with pytest.raises(Broken):
        Taking(taking.identity, stop).take(truncation(50))
    told = count_events(taking.identity)

    assert taking.take(truncation(50)) == {Fate.APPLIED: 1}

    assert count_events(taking.identity) == told
    assert status_of(taking.identity, "1") is KeyStatus.WITHDRAWN
