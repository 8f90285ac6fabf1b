"""Both stores, by one suite: what a transaction reads is what was written, and what may be opened.

Elsewhere: locks, limits and rolled back writes of the port (`tests/contract/test_store.py`); translated errors
and sealing (`tests/identity/store_sql`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, text

from identity.errors import StoreMigrating, StoreRefused
from identity.history import HistoryRow
from identity.model import (
    FOREVER,
    Cid,
    CidStatus,
    JudgementClass,
    KeyStatus,
    RecordRef,
    Verdict,
)
from identity.service import Identity
from identity.store import CidRow, RecordRow
from identity.store_sql import tables
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import REVISION, SqlStore, check_sqlite_version, open_store, store_url
from identity.store_sql.transaction import SqlTransaction
from tests.identity.stores import STORE_KEY, Place, find_cid, stated, tell, withdrawn

ONE, TWO, THREE = (RecordRef("crm", key) for key in "123")


@pytest.fixture
def store(place: Place) -> SqlStore:
    return place.open_store()


class Broken(Exception):
    """Breaks a transaction off."""


def take_ids_and_break(store: SqlStore, count: int) -> None:
    with store.write() as tx:
        tx.new_ids(count)
        raise Broken


def row_of(tx: SqlTransaction, ref: RecordRef) -> RecordRow:
    return tx.read_records([ref])[ref]


# -------------------------------------------------------------------------------------- records, profiles


def test_a_record_is_read_by_name_by_id_by_profile_and_by_component(identity: Identity) -> None:
    tell(
        identity,
        stated("1", email=("ann",)),
        stated("2", email=("ann",), place="x"),
        stated("3", city=("rome",)),
    )

    with identity.store.write() as tx:
        held = tx.read_records([ONE, TWO, RecordRef("crm", "9")])
        one, two = held[ONE], held[TWO]
        assert one.pid is not None
        assert one.component_id is not None

        assert held.keys() == {ONE, TWO}
        assert (one.ref, one.cid, one.status) == (ONE, find_cid(identity, "1"), "live")
        assert tx.read_records_by_rid([one.rid, 10**12]) == [one]
        assert tx.read_records_of_profiles([one.pid]) == [one]
        assert sorted(tx.read_members([one.component_id])) == sorted([one, two])
        assert tx.read_components_of_profiles([one.pid]) == [(one.pid, one.component_id)]


def test_records_of_one_profile_are_counted(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",)), stated("3", email=("bob",)))

    with identity.store.write() as tx:
        pid, other = row_of(tx, ONE).pid, row_of(tx, THREE).pid
        assert pid is not None
        assert other is not None

        assert pid == row_of(tx, TWO).pid
        assert tx.count_records_of_profiles([pid, other, 10**12]) == {pid: 2, other: 1}


def test_a_withdrawn_record_is_read_by_name_and_is_a_member_of_nothing(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    with identity.store.write() as tx:
        before = row_of(tx, ONE)
    assert before.pid is not None
    assert before.component_id is not None

    tell(identity, withdrawn("1", version=2))

    with identity.store.write() as tx:
        after = row_of(tx, ONE)
        assert (after.status, after.pid, after.component_id, after.cid) == (
            "withdrawn",
            None,
            None,
            before.cid,
        )
        assert tx.read_members([before.component_id]) == []
        assert tx.read_records_of_profiles([before.pid]) == []


def test_profiles_are_read_with_their_source_and_found_by_digest(identity: Identity, place: Place) -> None:
    tell(identity, stated("1", email=("ann",)))

    with place.open_store().write() as tx:
        pid = row_of(tx, ONE).pid
        assert pid is not None
        [(digest, _)] = [
            (bytes(row.digest), row.pid) for row in tx.connection.execute(tables.profile.select())
        ]
        source, profile = tx.read_profiles([pid, 10**12])[pid]

        assert source == "crm"
        assert ("ann@web.de",) in profile
        assert tx.find_pids([digest, b"other"]) == {digest: pid}
        assert tx.find_pids([]) == {}


def test_versions_are_read_opened_and_listed_in_the_order_of_arrival(identity: Identity) -> None:
    tell(identity, stated("1", version=2, email=("ann",)))
    tell(identity, stated("1", version=1, effective_at=5, email=("bob",)))
    tell(identity, withdrawn("1", version=3))

    with identity.store.write() as tx:
        row = row_of(tx, ONE)
        facts = tx.list_version_facts(row.rid)
        assert [(number, effective_at) for number, effective_at, _ in facts] == [(2, None), (1, 5), (3, None)]
        assert len({digest for *_, digest in facts}) == 3
        assert tx.list_version_facts(10**12) == []
        current = tx.read_version(row.vid)
        assert (current.rid, current.version, current.statement, current.profile) == (row.rid, 3, None, None)
        assert (current.author, current.superseded_at) == ("test", FOREVER)


def test_a_statement_is_opened_as_it_was_stated(identity: Identity) -> None:
    command = stated("1", email=("ann",), alternate_keys={"old": "7"}, same_as=TWO)
    tell(identity, command)

    with identity.store.write() as tx:
        statement = tx.read_version(row_of(tx, ONE).vid).statement

    assert statement == {
        "attributes": command.attributes,
        "alternate_keys": {"old": "7"},
        "same_as": ["crm", "2"],
    }


# ---------------------------------------------------------------------------------------- history, CIDs


def test_open_history_is_ordered_by_the_sources_time_and_leaves_closed_rows_out(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=1, effective_at=1000, email=("ann",)))
    tell(identity, stated("2", email=("bob",)), stated("3", email=("bob",), place="x"))
    [second] = tell(identity, stated("1", version=2, effective_at=2000, email=("bob",)))

    with identity.store.write() as tx:
        rid = row_of(tx, ONE).rid
        history = tx.read_open_history([rid, 10**12])

    assert history[rid] == [
        HistoryRow(1000, 2000, second.known_at, FOREVER, first.cid, KeyStatus.LIVE),
        HistoryRow(2000, FOREVER, second.known_at, FOREVER, second.cid, KeyStatus.LIVE),
    ]
    assert history.keys() == {rid}


def test_cids_are_read_with_their_state_now(identity: Identity) -> None:
    one, two = tell(identity, stated("1", email=("ann",)), stated("2", city=("rome",)))
    tell(identity, stated("3", email=("ann",), city=("rome",)))
    kept, gone = Cid(str(one.cid)), Cid(str(two.cid))

    with identity.store.write() as tx:
        assert tx.read_cids([kept, gone, Cid("none")]) == {
            kept: CidRow(kept, CidStatus.LIVE, ()),
            gone: CidRow(gone, CidStatus.MERGED, (kept,)),
        }


def test_only_retired_cids_that_may_live_again_count_as_borne(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    [two] = tell(identity, stated("2", city=("rome",)))
    tell(identity, stated("3", email=("ann",), city=("rome",)))

    with identity.store.write() as tx:
        rids = [row_of(tx, ref).rid for ref in (ONE, TWO)]

        assert tx.read_borne(rids) == {rids[1]: [two.cid]}


def test_the_smallest_record_of_a_cid_is_so_by_its_bytes(identity: Identity) -> None:
    """A linguistic collation would put `_` before `B`, and `a` before both."""
    tell(identity, *(stated(key, email=("ann",)) for key in ("_", "a", "b", "B")))

    with identity.store.write() as tx:
        assert tx.find_smallest_live_record(find_cid(identity, "a")) == RecordRef("crm", "B")
        assert tx.find_smallest_live_record(Cid("none")) is None


# -------------------------------------------------------------------------------------------- judgements


def test_a_judgement_is_read_by_id_and_its_records_by_name(identity: Identity) -> None:
    tell(identity, *(stated(key, email=(key,)) for key in "123"))
    judgement_id = identity.judge(Verdict.DIFFERENT, [TWO, ONE], [THREE], reason="asked", author="ann")

    with identity.store.write() as tx:
        [row] = tx.read_judgements([judgement_id, "none"])
        named = tx.find_named([tx.sealer.ref_hash(ref) for ref in (ONE, THREE)])

    assert (row.verdict, row.judgement_class) == (Verdict.DIFFERENT, JudgementClass.STEWARD)
    assert (row.left, row.right, row.reason, row.author) == ((ONE, TWO), (THREE,), "asked", "ann")
    assert row.stated_by_rid is None
    assert sorted((one.ref, one.judgement_id, one.stating_rid) for one in named) == [
        (ONE, judgement_id, 0),
        (THREE, judgement_id, 0),
    ]


def test_a_withdrawn_judgement_is_not_in_force(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    judgement_id = identity.judge(Verdict.SAME, [ONE], [TWO], reason="", author="ann")
    identity.withdraw_judgement(judgement_id, author="ann")

    with identity.store.write() as tx:
        assert tx.read_judgements([judgement_id]) == []
        assert tx.find_named([tx.sealer.ref_hash(ONE)]) == []


def test_what_a_record_states_is_found_from_both_sides(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    tell(identity, stated("2", email=("bob",), same_as=ONE))

    with identity.store.write() as tx:
        rid = row_of(tx, TWO).rid
        [stating] = tx.find_stated([rid])
        assert (stating.ref, stating.judgement_id, stating.stating_rid) == (ONE, "", rid)
        assert tx.find_named([tx.sealer.ref_hash(ONE)]) == [stating]


def test_the_judgement_that_a_trusted_source_stated_is_found_by_its_record(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    tell(identity, stated("9", "trusty", email=("bob",), same_as=ONE))

    with identity.store.write() as tx:
        rid = row_of(tx, RecordRef("trusty", "9")).rid
        [row] = tx.read_judgements_stated_by([rid])

    assert (row.verdict, row.stated_by_rid) == (Verdict.SAME, rid)
    assert {*row.left, *row.right} == {ONE, RecordRef("trusty", "9")}


# ------------------------------------------------------------------------------------------------- others


def test_contracts_in_force_are_read_with_their_retirement(identity: Identity) -> None:
    identity.put_source("crm", {"domain": "sales", "owner": "b"}, author="ann")
    identity.retire_source("one", author="ann")

    with identity.store.write() as tx:
        assert tx.read_contracts_in_force() == {"crm": (2, False), "one": (1, True), "trusty": (1, False)}


def test_what_is_noted_as_unsettled_twice_is_noted_once(store: SqlStore) -> None:
    with store.write() as tx:
        tx.add_unsettled([("key", 1), ("key", 1), ("record", 1)])
        tx.add_unsettled([("key", 1), ("key", -(2**63))])
        tx.add_unsettled([])

    with store.read() as connection:
        noted = {tuple(row) for row in connection.execute(tables.unsettled.select())}
    assert noted == {("key", 1), ("record", 1), ("key", -(2**63))}


@pytest.mark.parametrize("count", [1, 39, 40, 3000])
def test_rows_of_any_number_are_inserted_as_they_are(store: SqlStore, count: int) -> None:
    """Few rows and many go different ways on PostgreSQL."""
    rows = [
        (
            number,
            7,
            None,
            FOREVER,
            5,
            6,
            b"\x00\xff",
            1,
            "änn\n\t\\N\U0001f600",
            None,
            b"" if number % 2 else b"x",
        )
        for number in range(count)
    ]

    with store.write() as tx:
        tx.insert_rows("record_version", rows)

    with store.read() as connection:
        found = connection.execute(tables.record_version.select().order_by(tables.record_version.c.vid)).all()
    assert [tuple(row) for row in found] == rows


def test_rows_are_updated_and_deleted_where_all_the_named_columns_equal(store: SqlStore) -> None:
    with store.write() as tx:
        tx.insert_rows("blocking_key", [(h, pid) for h in (1, 2) for pid in (1, 2)])
        tx.update_rows("blocking_key", ("h", "pid"), ("pid",), [(1, 2, 9)])
        tx.delete_rows("blocking_key", ("h", "pid"), [(2, 1), (2, 8)])
        for write in (tx.insert_rows, lambda table, rows: tx.delete_rows(table, ("h",), rows)):
            write("blocking_key", [])

    with store.read() as connection:
        found = {tuple(row) for row in connection.execute(tables.blocking_key.select())}
    assert found == {(1, 1), (1, 9), (2, 2)}


def test_nothing_is_seen_before_the_transaction_ends_and_then_all_of_it(place: Place) -> None:
    ours, theirs = place.open_store(), place.open_store()
    count = text("SELECT count(*) FROM profile")

    with ours.write() as tx:
        tx.insert_rows("profile", [(1, b"a"), (2, b"b")])
        with theirs.read() as connection:
            before = connection.scalar(count)
    with theirs.read() as connection:
        after = connection.scalar(count)

    assert (before, after) == (0, 2)


def test_a_read_sees_one_state_throughout(place: Place) -> None:
    ours, theirs = place.open_store(), place.open_store()
    count = text("SELECT count(*) FROM profile")

    with theirs.read() as connection:
        before = connection.scalar(count)
        with ours.write() as tx:
            tx.insert_rows("profile", [(1, b"a")])
        after = connection.scalar(count)

    assert (before, after) == (0, 0)


# -------------------------------------------------------------------------------------------- ids, ticks


@pytest.mark.service
def test_connections_that_the_server_ended_meanwhile_are_replaced_before_they_are_used(
    kept_database: str, sqlite_place: Place
) -> None:
    store = Place(kept_database, sqlite_place.directory).open_store()
    with store.read() as one, store.write() as tx:
        pids = [
            connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            for connection in (one, tx.connection)
        ]
    with psycopg.connect(kept_database, autocommit=True) as admin:
        ended = admin.execute(
            "SELECT bool_and(pg_terminate_backend(p, 10000)) FROM unnest(%s::int4[]) p", [pids]
        )
        assert ended.fetchone() == (True,)

    with store.read() as one, store.write() as tx:
        answers = [connection.exec_driver_sql("SELECT 1").scalar() for connection in (one, tx.connection)]

    assert answers == [1, 1]
    store.close()


def test_a_single_statement_sees_the_newest_commit_of_another_program(place: Place) -> None:
    ours, theirs = place.open_store(), place.open_store()
    with ours.read_newest() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM source").scalar() == 0

    with theirs.write() as tx:
        tx.connection.execute(insert(tables.source).values(name="crm", contract_version=1))

    with ours.read_newest() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM source").scalar() == 1


def test_ticks_grow_across_programs_also_when_a_clock_steps_back(place: Place) -> None:
    stores = [place.open_store(), place.open_store()]

    ticks = []
    for number, now in enumerate((5000, 3000, 3000, 9000, 1, 9000, 9000)):
        with stores[number % 2].write() as tx:
            ticks.append(tx.tick(now))

    assert ticks == sorted(set(ticks))
    assert ticks[0] == 5000
    assert ticks[3] == 9000


def test_ids_kept_by_any_program_never_come_again_whatever_was_rolled_back(place: Place) -> None:
    stores = [place.open_store(), place.open_store()]

    kept: list[int] = []
    for number in range(6):
        with pytest.raises(Broken):
            take_ids_and_break(stores[number % 2], 5 + number * 300)
        with stores[(number + 1) % 2].write() as tx:
            kept.extend(tx.new_ids(3 + number * 300))

    assert len(set(kept)) == len(kept)
    assert min(kept) > 0


def test_no_ids_are_given_when_none_are_asked_for(store: SqlStore) -> None:
    with store.write() as tx:
        assert list(tx.new_ids(0)) == []


# ---------------------------------------------------------------------------------------------- opening


def test_a_store_opened_with_another_key_is_refused(place: Place) -> None:
    place.open_store()

    with pytest.raises(StoreRefused, match="store key"):
        place.open_store(store_key=b"x" * 32)


def test_a_key_of_a_wrong_length_is_refused_before_it_is_written_down(place: Place) -> None:
    with pytest.raises(StoreRefused, match="32 bytes"):
        place.open_store(store_key=b"k" * 31)

    place.open_store()


def test_without_a_key_the_store_keeps_its_own_and_every_program_finds_it(place: Place) -> None:
    first, second = place.open_store(store_key=None), place.open_store(store_key=None)

    assert first.sealer.fingerprint == second.sealer.fingerprint


@pytest.mark.parametrize("version", ["3.51.2", "3.46.1", "3.9.0", "2.99.99"])
def test_an_sqlite_that_may_lose_commits_is_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(StoreRefused, match=rf"SQLite {version} .*pysqlite3"):
        check_sqlite_version(SimpleNamespace(sqlite_version=version))


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.100.0", "4.0.0"])
def test_a_sound_sqlite_is_taken(version: str) -> None:
    check_sqlite_version(SimpleNamespace(sqlite_version=version))


def test_a_commit_on_sqlite_is_on_the_disk_when_it_returns(sqlite_place: Place) -> None:
    store = sqlite_place.open_store()

    with store.write() as tx:
        assert tx.connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert tx.connection.scalar(text("PRAGMA synchronous")) == 2


def test_a_store_without_tables_asks_for_a_migration(sqlite_place: Place) -> None:
    with pytest.raises(StoreMigrating, match="sameas migrate"):
        open_store(sqlite_place.url, store_key=STORE_KEY)


@pytest.mark.parametrize(("revision", "error"), [("0000", StoreMigrating), ("9999", StoreRefused)])
def test_tables_of_another_revision_are_not_touched(
    sqlite_place: Place, revision: str, error: type[Exception]
) -> None:
    with sqlite_place.open_store().write() as tx:
        tx.connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})

    with pytest.raises(error, match=revision):
        open_store(sqlite_place.url, store_key=STORE_KEY)


@pytest.mark.parametrize("url", ["mysql://localhost/x", "oracle://localhost/x"])
def test_a_store_is_sqlite_or_postgresql(sqlite_place: Place, url: str) -> None:
    with pytest.raises(StoreRefused, match="SQLite or PostgreSQL"):
        store_url(url, sqlite_place.directory)


# -------------------------------------------------------------------------------------------- migrating


def test_migrating_again_changes_nothing(place: Place) -> None:
    identity = place.open_identity()
    [answer] = tell(identity, stated("1", email=("ann",)))

    assert migrate_store(place.url) == (REVISION, REVISION)
    assert find_cid(identity, "1") == answer.cid


def test_a_new_store_is_migrated_to_the_revision_of_the_program(sqlite_place: Place) -> None:
    assert migrate_store(sqlite_place.url) == (None, REVISION)


def test_the_migrations_make_the_tables_that_the_program_reads(place: Place) -> None:
    store = place.open_store()

    with store.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)

    assert differences == []


@pytest.mark.service
def test_a_migration_waits_for_the_writes_that_have_begun(kept_database: str, sqlite_place: Place) -> None:
    store = Place(kept_database, sqlite_place.directory).open_store()
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

    with ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            tx.lock([])
            migration = pool.submit(migrate_store, store_url(kept_database, sqlite_place.directory))
            while not tx.connection.scalar(waiting):
                assert not migration.done()
        assert migration.result(timeout=10) == (REVISION, REVISION)
    store.close()
