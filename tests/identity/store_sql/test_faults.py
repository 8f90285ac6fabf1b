"""What drivers raise, as errors of identity."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import psycopg.errors
import pysqlite3.dbapi2 as sqlite
import pytest
import sqlalchemy.exc
from sqlalchemy import text

from identity.errors import InvariantBroken, StoreBusy, StoreFull, StoreMigrating, StoreUnreachable
from identity.model import RecordAnswer
from identity.store_sql.faults import LockTableFull, TransactionConflict, translating
from identity.store_sql.opening import SqlStore, open_store, store_url
from matching.errors import SameasError
from tests.identity.stores import STORE_KEY, Place, find_cid, stated, tell

CANARY = "canary@web.de"

BY_STATE: list[tuple[str, type[SameasError]]] = [
    ("40001", TransactionConflict),
    ("40P01", TransactionConflict),
    ("23505", TransactionConflict),
    ("53200", LockTableFull),
    ("55P03", StoreBusy),
    ("53100", StoreFull),
    ("42P01", StoreMigrating),
    ("42703", StoreMigrating),
    ("42883", StoreMigrating),
    ("08006", StoreUnreachable),
    ("57P01", StoreUnreachable),
    ("57014", StoreUnreachable),
    ("53300", StoreUnreachable),
    ("23502", InvariantBroken),
    ("22P02", InvariantBroken),
]


def translate(error: Exception) -> SameasError:
    with pytest.raises(SameasError) as translated, translating():
        raise error
    assert CANARY not in str(translated.value)
    return translated.value


@pytest.mark.parametrize(("state", "expected"), BY_STATE)
def test_an_error_of_postgresql_is_told_by_its_state(state: str, expected: type[SameasError]) -> None:
    assert type(translate(psycopg.errors.lookup(state)(CANARY))) is expected


@pytest.mark.parametrize(("state", "expected"), BY_STATE)
def test_an_error_that_sqlalchemy_wrapped_is_told_as_what_it_wraps(
    state: str, expected: type[SameasError]
) -> None:
    original = psycopg.errors.lookup(state)(CANARY)

    assert type(translate(sqlalchemy.exc.DBAPIError(CANARY, {}, original))) is expected


def test_a_lost_connection_has_no_state_and_is_told() -> None:
    assert type(translate(psycopg.OperationalError(CANARY))) is StoreUnreachable
    assert type(translate(psycopg.InterfaceError(CANARY))) is StoreUnreachable


def test_a_pool_without_a_free_connection_is_busy() -> None:
    assert type(translate(sqlalchemy.exc.TimeoutError(CANARY))) is StoreBusy


def test_an_error_of_an_unknown_driver_is_told() -> None:
    assert type(translate(sqlalchemy.exc.DBAPIError(CANARY, {}, OSError(CANARY)))) is StoreUnreachable


def test_what_can_be_tried_again_says_so() -> None:
    for state, expected in BY_STATE:
        assert translate(psycopg.errors.lookup(state)(CANARY)).retryable == (expected is not InvariantBroken)


def test_errors_of_identity_and_of_others_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), translating():
        raise ZeroDivisionError


# ---------------------------------------------------------------------------------------------- SQLite


def test_a_write_lock_held_by_another_is_busy(sqlite_place: Place) -> None:
    store = sqlite_place.open_store()
    path = sqlite_place.url.database

    with (
        store.write(),
        closing(sqlite.connect(path, timeout=0, isolation_level=None)) as other,
        pytest.raises(StoreBusy),
        translating(),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_a_full_disk_refuses_the_batch_and_keeps_what_was_there(sqlite_place: Place) -> None:
    identity = sqlite_place.open_identity()
    [kept] = tell(identity, stated("kept", email=("ann",)))
    with identity.store.write() as tx:
        pages = tx.connection.scalar(text("PRAGMA page_count"))
        tx.connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    with pytest.raises(StoreFull) as refused:
        identity.resolve([stated(str(number), place="x" * 500) for number in range(200)])

    assert refused.value.code == "store_full"
    assert find_cid(identity, "kept") == kept.cid
    assert len(identity.changes(None, limit=10)[0]) == 1


def test_a_store_is_whole_again_once_the_disk_has_room(sqlite_place: Place) -> None:
    identity = sqlite_place.open_identity()
    with identity.store.write() as tx:
        pages = tx.connection.scalar(text("PRAGMA page_count"))
        tx.connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    commands = [stated(str(number), place="x" * 500) for number in range(200)]
    with pytest.raises(StoreFull):
        identity.resolve(commands)

    with identity.store.write() as tx:
        tx.connection.execute(text("PRAGMA max_page_count = 1000000"))

    assert all(isinstance(answer, RecordAnswer) for answer in identity.resolve(commands))


def test_a_broken_constraint_is_a_broken_invariant(sqlite_place: Place) -> None:
    store = sqlite_place.open_store()

    with pytest.raises(InvariantBroken), store.write() as tx:
        tx.insert_rows("profile", [(1, b"a"), (1, b"b")])


def test_a_missing_table_asks_for_a_migration(place: Place) -> None:
    store = place.open_store()

    with pytest.raises(StoreMigrating), store.read() as connection:
        connection.execute(text("SELECT 1 FROM no_such_table"))


def test_a_file_that_is_no_store_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "sameas.db"
    path.write_bytes(b"this is a letter, not a database\n" * 200)

    with pytest.raises(StoreUnreachable):
        open_store(store_url(None, tmp_path), store_key=STORE_KEY)

    assert path.read_bytes().startswith(b"this is a letter")


# ------------------------------------------------------------------------------------------ PostgreSQL


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    """Nothing listens on port 1 of this machine."""
    url = store_url("postgresql://nobody@127.0.0.1:1/nothing", Path())

    with pytest.raises(StoreUnreachable):
        open_store(url, store_key=STORE_KEY)


def lock_impatiently(store: SqlStore) -> None:
    with store.write() as waiter:
        waiter.connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
        waiter.lock([17])


@pytest.mark.service
def test_a_lock_held_by_another_is_busy(kept_database: str, tmp_path: Path) -> None:
    place = Place(kept_database, tmp_path)
    ours, theirs = place.open_store(), place.open_store()

    with ours.write() as holder:
        holder.lock([17])
        with pytest.raises(StoreBusy):
            lock_impatiently(theirs)
    place.close()


@pytest.mark.service
def test_the_same_row_written_twice_is_a_conflict_to_be_run_again(kept_database: str, tmp_path: Path) -> None:
    place = Place(kept_database, tmp_path)
    store = place.open_store()

    with pytest.raises(TransactionConflict), store.write() as tx:
        tx.insert_rows("profile", [(1, b"a"), (1, b"b")])
    place.close()
