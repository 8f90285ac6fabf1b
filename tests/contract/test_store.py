"""One suite for every store: what the port `identity.store.WriteTransaction` promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.model import RecordRef
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import SqlStore, open_store, store_url
from matching.errors import SameasError


class Broken(Exception):
    """Breaks a transaction off."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    database_url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    url = store_url(database_url, tmp_path)
    migrate_store(url)
    store = open_store(url, store_key=b"k" * 32)
    yield store
    store.close()


def test_ids_are_never_given_twice_and_rise_within_a_call(store: SqlStore) -> None:
    given: list[int] = []
    for count in (1, 3, 2500, 7):
        with store.write() as tx:
            ids = list(tx.new_ids(count))
        assert len(ids) == count
        assert ids == sorted(ids)
        given.extend(ids)

    assert len(set(given)) == len(given)


def test_a_tick_is_at_least_the_clock_and_later_than_every_earlier_one(store: SqlStore) -> None:
    ticks = []
    for now in (1000, 5000, 2000, 2000, 9000):
        with store.write() as tx:
            ticks.append(tx.tick(now))

    assert ticks == sorted(set(ticks))
    assert ticks[1] >= 5000
    assert ticks[-1] >= 9000


def test_a_broken_transaction_leaves_nothing(store: SqlStore) -> None:
    def write_and_break() -> None:
        with store.write() as tx:
            tx.insert_rows("profile", [(1, b"d")])
            raise Broken

    with pytest.raises(Broken):
        write_and_break()

    with store.write() as tx:
        assert tx.find_pids([b"d"]) == {}


def test_holders_of_a_key_are_read_up_to_the_limit(store: SqlStore) -> None:
    with store.write() as tx:
        tx.insert_rows("blocking_key", [(7, pid) for pid in range(5)] + [(-8, 1)])

    with store.write() as tx:
        held = tx.read_holders([7, -8, 9], limit=3)

    assert len(held[7]) == 3
    assert held[-8] == [1]
    assert 9 not in held


def test_rows_are_updated_and_deleted_by_their_columns(store: SqlStore) -> None:
    with store.write() as tx:
        tx.insert_rows("profile", [(1, b"a"), (2, b"b"), (3, b"c")])
        tx.update_rows("profile", ("pid",), ("digest",), [(2, b"z")])
        tx.delete_rows("profile", ("pid",), [(3,)])

    with store.write() as tx:
        assert tx.find_pids([b"a", b"b", b"c", b"z"]) == {b"a": 1, b"z": 2}


def test_locks_may_be_taken_again_and_for_nothing(store: SqlStore) -> None:
    with store.write() as tx:
        tx.lock_judgements()
        tx.lock([])
        tx.lock([-5, 0, 2**63 - 1])
        tx.lock([-5])
        tx.lock_components([1, 2**40])


def test_what_is_not_there_is_absent(store: SqlStore) -> None:
    with store.write() as tx:
        assert tx.read_records([RecordRef("crm", "1")]) == {}
        assert tx.read_records([]) == {}
        assert tx.read_profiles([1]) == {}
        assert tx.read_cids([]) == {}
        assert tx.count_records_of_profiles([4]) == {}
        assert not tx.is_load_running()


def test_questions_sent_together_are_answered_in_order(store: SqlStore) -> None:
    with store.write() as tx:
        tx.insert_rows("blocking_key", [(7, 1), (7, 2), (8, 3)])
        tx.insert_rows("profile", [(1, b"a")])

        answers = tx.at_once(
            tx.ask_lock([7, 8]),
            tx.ask_holders([7, 8, 9], limit=5),
            tx.ask_pids([b"a", b"z"]),
            tx.ask_records([]),
            tx.ask_load_running(),
            tx.ask_contracts_in_force(),
        )

    _, holders, pids, records, is_running, contracts = answers
    assert {key: sorted(found) for key, found in holders.items()} == {7: [1, 2], 8: [3]}
    assert pids == {b"a": 1}
    assert (records, is_running, contracts) == ({}, False, {})


def test_a_question_sees_what_was_asked_before_it_and_an_error_among_them_ends_the_transaction(
    store: SqlStore,
) -> None:
    def ask_wrongly() -> None:
        with store.write() as tx:
            tx.insert_rows("profile", [(1, b"a")])
            wrong = tx._ask("SELECT nothing FROM nowhere", (), list)
            tx.at_once(tx.ask_pids([b"a"]), wrong, tx.ask_load_running())

    with pytest.raises(SameasError):
        ask_wrongly()

    with store.write() as tx:
        assert tx.find_pids([b"a"]) == {}
