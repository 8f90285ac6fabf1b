"""Workers on the real broker: killed, joined and parted, replayed; nothing is lost, nothing is done twice.

What is compared in the end: the same statements, told to another store one after the other.
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from identity.errors import StoreFull, StoreUnreachable
from identity.model import RecordAnswer, RecordCommand, RecordRef
from identity.resolve import Keep
from identity.service import Identity
from identity.store_sql.faults import LockTableFull
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from matching.standardise import clean_attributes
from streams.errors import MessagesLost
from streams.fate import Fate
from streams.offsets import OffsetBook
from streams.take import STEPS
from tests.promises.audit import assert_sound
from tests.promises.world import make_identity
from tests.services.kafka import create_topics
from tests.streams.stream import (
    Crosswalk,
    Stream,
    Told,
    crosswalk_of,
    envelope,
    plain,
    wait_until,
)
from tests.streams.taking import TABLE, count_events

pytestmark = [pytest.mark.slow, pytest.mark.service]

SHOP = "shop"
"""A source whose rows come from a table; its contract is the test's own."""

Statement = tuple[str, dict[str, object] | None, int]


def draw_statements(seed: int, count: int) -> list[Statement]:
    """Return statements of some forty records, each with a greater version than the one before."""
    chance = random.Random(seed)
    statements: list[Statement] = []
    for version in range(1, count + 1):
        key = f"k{chance.randrange(40)}"
        attributes: dict[str, object] | None = {"email": f"u{chance.randrange(25)}@web.de"}
        if chance.random() < 0.1:
            attributes = None
        statements.append((key, attributes, version))
    return statements


def as_messages(statements: Sequence[Statement]) -> list[Told]:
    """Return the statements as envelopes and as plain messages, in turn."""
    messages = []
    for key, attributes, version in statements:
        if attributes is None:
            messages.append(envelope("d", {"id": key}, version, source=SHOP))
        elif version % 2:
            messages.append(envelope("u", {"id": key, "mail": attributes["email"]}, version, source=SHOP))
        else:
            messages.append(plain(key, attributes, source=SHOP, version=version))
    return messages


def told_directly(directory: Path, statements: Sequence[Statement]) -> tuple[Crosswalk, int]:
    """Return crosswalk and number of versions of a store that was told the same over `resolve`."""
    identity = make_identity(None, directory)
    identity.put_source(SHOP, TABLE, author="test")
    for key, attributes, version in statements:
        cleaned = None if attributes is None else clean_attributes(attributes)
        [answer] = identity.resolve([RecordCommand(RecordRef(SHOP, key), cleaned, version=version)])
        assert not isinstance(answer, SameasError)
    found = crosswalk_of(identity), count_versions(identity)
    identity.close()
    return found


def assert_all_taken_once(stream: Stream, identity: Identity, count: int) -> None:
    """Assert that the offsets stand at the ends, and that what was consumed adds up to what was sent."""
    states = OffsetBook(identity.store).list_states()
    assert sum(state.next_offset for state in states) == count
    assert sum(state.consumed for state in states) == count
    for state in states:
        assert state.consumed == state.tally.total() == state.next_offset


def count_versions(identity: Identity) -> int:
    with identity.store.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM record_version")) or 0)


@pytest.fixture
def prepared(stream: Stream) -> tuple[Stream, Identity]:
    identity = stream.open_identity(first_cid=10**6)
    identity.put_source(SHOP, TABLE, author="test")
    stream.create([SHOP])
    return stream, identity


@pytest.fixture
def on_sqlite(sqlite_stream: Stream) -> tuple[Stream, Identity]:
    identity = sqlite_stream.open_identity(first_cid=10**6)
    identity.put_source(SHOP, TABLE, author="test")
    sqlite_stream.create([SHOP])
    return sqlite_stream, identity


def test_statements_and_envelopes_become_the_crosswalk_that_they_state(
    prepared: tuple[Stream, Identity], tmp_path: Path
) -> None:
    stream, identity = prepared
    statements = draw_statements(1, 300)
    stream.send(as_messages(statements))

    stream.take_all(identity, 300)

    assert (crosswalk_of(identity), count_versions(identity)) == told_directly(
        tmp_path / "direct", statements
    )
    assert_all_taken_once(stream, identity, 300)
    assert_sound(identity)


def test_a_worker_killed_at_any_step_and_started_again_loses_nothing_and_repeats_nothing(
    prepared: tuple[Stream, Identity], tmp_path: Path
) -> None:
    stream, identity = prepared
    statements = draw_statements(2, 180)
    stream.send(as_messages(statements))

    for round_number, step in enumerate(STEPS, start=1):
        process = stream.spawn(step=step, after=1, first_cid=round_number * 10**9, batch=20)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    consumed_of_killed = stream.consumed(identity)
    stream.take_all(identity, 180)

    assert 0 < consumed_of_killed < 180
    assert (crosswalk_of(identity), count_versions(identity)) == told_directly(
        tmp_path / "direct", statements
    )
    assert_all_taken_once(stream, identity, 180)
    told, versions = count_events(identity), count_versions(identity)
    OffsetBook(identity.store).reposition(stream.topics.records(SHOP), partition=None, next_offset=0)
    stream.take_all(identity, 360)
    assert (count_events(identity), count_versions(identity)) == (told, versions)
    assert_sound(identity)


def test_an_offset_stored_before_its_records_is_seen_as_a_loss(
    on_sqlite: tuple[Stream, Identity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: what the other tests assert is red when offsets are stored in a transaction of their own."""
    stream, identity = on_sqlite
    statements = draw_statements(3, 200)
    stream.send(as_messages(statements))
    resolve_together = Identity.resolve_together
    batches: list[int] = []

    class Foreseen(Exception):
        pass

    def store_offset_first(self: Identity, commands: Sequence[RecordCommand], keep: Keep) -> object:
        batches.append(len(commands))
        foreseen: list[RecordAnswer | SameasError] = []

        def foresee(_tx: SqlTransaction, answers: list[RecordAnswer | SameasError]) -> None:
            foreseen[:] = answers
            raise Foreseen

        with pytest.raises(Foreseen):
            resolve_together(self, commands, foresee)
        with self.store.write() as tx:
            keep(tx, foreseen)
        if len(batches) == 2:
            raise StoreUnreachable("the process ends here")
        return resolve_together(self, commands, lambda _tx, _answers: None)

    monkeypatch.setattr(Identity, "resolve_together", store_offset_first)
    stream.take_all(identity, 200, batch=20)

    assert_all_taken_once(stream, identity, 200)
    assert count_versions(identity) == told_directly(tmp_path / "direct", statements)[1] - batches[1]


def test_two_workers_share_the_partitions_while_members_come_and_go(
    prepared: tuple[Stream, Identity], tmp_path: Path
) -> None:
    stream, identity = prepared
    statements = draw_statements(5, 360)
    messages = as_messages(statements)
    first = stream.spawn(member=None, first_cid=2 * 10**9, batch=20)
    for part, start in enumerate(range(0, 360, 120)):
        stream.send(messages[start : start + 120])
        with stream.running(identity, member=None, batch=20):
            wait_until(lambda part=part: stream.consumed(identity) >= 120 * part + 60)  # type: ignore[misc]
    wait_until(lambda: stream.consumed(identity) == 360)
    assert first.pid is not None
    first.terminate()
    first.join(60)

    assert first.exitcode == 0
    assert (crosswalk_of(identity), count_versions(identity)) == told_directly(
        tmp_path / "direct", statements
    )
    assert_all_taken_once(stream, identity, 360)
    assert_sound(identity)


def test_a_source_registered_while_a_worker_runs_is_taken_without_a_restart(
    on_sqlite: tuple[Stream, Identity],
) -> None:
    stream, identity = on_sqlite
    stream.options["topic.metadata.refresh.interval.ms"] = "500"
    with stream.running(identity):
        stream.send([plain("1", {"email": "ann@web.de"}, source=SHOP)])
        wait_until(lambda: stream.consumed(identity) == 1)

        identity.put_source("late", {"domain": "sales"}, author="test")
        create_topics(stream.bootstrap, [stream.topics.records("late")])
        stream.send([plain("1", {"email": "ann@web.de"}, source="late")])

        wait_until(lambda: stream.consumed(identity) == 2)

    assert crosswalk_of(identity) == {frozenset({(SHOP, "1"), ("late", "1")})}


def test_a_store_that_is_away_full_or_out_of_locks_is_waited_for_and_nothing_becomes_a_reject(
    on_sqlite: tuple[Stream, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, identity = on_sqlite
    stream.send([plain(f"k{number}", {"email": f"u{number}@web.de"}, source=SHOP) for number in range(40)])
    resolve_together = Identity.resolve_together
    failures = [StoreUnreachable("away"), StoreFull("full"), LockTableFull("locks")]
    sizes: list[int] = []

    def fail_first(self: Identity, commands: Sequence[RecordCommand], keep: Keep) -> object:
        sizes.append(len(commands))
        if failures and len(commands) > 1:
            raise failures.pop(0)
        return resolve_together(self, commands, keep)

    monkeypatch.setattr(Identity, "resolve_together", fail_first)
    stream.take_all(identity, 40, batch=10)

    assert not failures
    assert max(sizes) > 5 >= max(sizes[3:])
    assert_all_taken_once(stream, identity, 40)
    assert sum(state.tally[Fate.APPLIED] for state in OffsetBook(identity.store).list_states()) == 40


def test_what_is_unsettled_is_worked_off_while_there_is_nothing_to_take(
    on_sqlite: tuple[Stream, Identity],
) -> None:
    stream, identity = on_sqlite
    stream.send([plain("1", {"email": "ann@web.de"}, source=SHOP)])
    stream.take_all(identity, 1)
    identity.put_source(SHOP, {**TABLE, "region": "DE"}, author="test")
    assert identity.unsettled() > 0

    with stream.running(identity):
        wait_until(lambda: identity.unsettled() == 0)


def test_an_offset_that_kafka_does_not_have_stops_the_worker(on_sqlite: tuple[Stream, Identity]) -> None:
    stream, identity = on_sqlite
    stream.send([plain("1", {"email": "ann@web.de"}, source=SHOP)])
    stream.take_all(identity, 1)
    topic = stream.topics.records(SHOP)
    OffsetBook(identity.store).reposition(topic, partition=None, next_offset=1_000)

    with pytest.raises(MessagesLost, match=topic):
        stream.worker(identity).run(threading.Event())
