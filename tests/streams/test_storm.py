"""Nothing is lost, doubled or out of order while workers, relays, broker and store die; and a checker that can tell.

The long form, a hundred thousand messages with connections cut half-open, runs in `make soak`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaUnavailable, run_private_broker
from deploy.local.postgres import PostgresUnavailable, run_private_postgres_server
from identity.errors import StoreUnreachable
from identity.model import RecordAnswer, RecordCommand
from identity.resolve import Keep
from identity.service import Identity
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from streams import offsets
from streams.offsets import OffsetBook
from streams.relay import RelayStep
from streams.take import STEPS
from tests.streams.anomalies import find_anomalies
from tests.streams.relays import CarelessRelay, create_topics, run_and_be_killed, tell_all
from tests.streams.storm import (
    SOURCE,
    Happening,
    Statement,
    Storm,
    StormPlan,
    draw_statements,
    read_history,
    send,
)
from tests.streams.stream import Stream, wait_until
from tests.streams.taking import TABLE

pytestmark = [pytest.mark.slow, pytest.mark.service]


def test_ten_thousand_messages_arrive_once_and_in_order_whatever_dies(tmp_path: Path) -> None:
    try:
        with run_private_broker() as broker, run_private_postgres_server() as postgres:

            def restart_broker() -> None:
                broker.kill()
                broker.start()

            def restart_postgres() -> None:
                postgres.kill()
                postgres.start()

            storm = Storm(
                StormPlan(),
                postgres.url,
                broker.bootstrap,
                tmp_path,
                "storm",
                happenings=[
                    Happening("broker restarts", 0.25, restart_broker),
                    Happening("PostgreSQL restarts", 0.5, restart_postgres),
                ],
            )
            report = storm.run()
    except (KafkaUnavailable, PostgresUnavailable) as exc:
        pytest.skip(f"a server of its own: {exc}")

    assert find_anomalies(report.history) == {}
    assert report.found_customers == report.expected_customers
    failpoints = [f"worker {step}" for step in STEPS] + [f"relay {step}" for step in RelayStep]
    assert report.kills == dict.fromkeys(failpoints, 1)
    assert report.happened["rebalances"] >= 4


# ------------------------------------------------------------------------------------------ planted faults

SMALL = StormPlan(message_count=300, key_count=60, partitions=3)


def run_small(
    stream: Stream, statements: list[Statement], *, run_workers: Callable[[Identity, int], None]
) -> dict[str, list[str]]:
    """Send statements, let workers take them and a relay tell them; return the anomalies."""
    identity = stream.open_identity(first_cid=10**6)
    identity.put_source(SOURCE, TABLE, author="test")
    stream.create([SOURCE], partitions=SMALL.partitions)
    sent = send(stream.bootstrap, stream.topics.records(SOURCE), statements, partitions=SMALL.partitions)
    run_workers(identity, len(statements))
    tell_all(identity, stream.bootstrap, stream.prefix)
    return find_anomalies(read_history(identity, stream.bootstrap, stream.topics, statements, sent))


def run_two_that_both_own_all(stream: Stream, identity: Identity, count: int) -> None:
    """Run two workers of which Kafka gives each every partition: each is the other's zombie."""
    other = stream.open_identity(first_cid=10**9)
    with stream.running(identity, member=None, batch=20), stream.running(other, member=None, batch=20):
        wait_until(lambda: sum(one.next_offset for one in OffsetBook(identity.store).list_states()) >= count)


def test_two_workers_that_both_believe_to_own_the_partitions_take_each_message_once(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = itertools.count()
    monkeypatch.setattr("streams.worker.group_of", lambda topics: f"{topics.prefix}-{next(groups)}")

    found = run_small(
        stream,
        draw_statements(SMALL),
        run_workers=lambda identity, count: run_two_that_both_own_all(stream, identity, count),
    )

    assert found == {}


def test_without_the_compare_and_set_of_offsets_the_checker_is_red(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: offsets move whatever they stand at, so that both workers' batches are stored."""
    groups = itertools.count()
    monkeypatch.setattr("streams.worker.group_of", lambda topics: f"{topics.prefix}-{next(groups)}")
    unfenced = offsets._ADVANCE.replace(" AND held.next_offset = moved.column3", "")
    assert unfenced != offsets._ADVANCE
    monkeypatch.setattr(offsets, "_ADVANCE", unfenced)

    found = run_small(
        stream,
        draw_statements(SMALL),
        run_workers=lambda identity, count: run_two_that_both_own_all(stream, identity, count),
    )

    assert "duplicate" in found


def test_with_offsets_committed_early_the_checker_is_red(
    sqlite_stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: offsets are stored in a transaction of their own, before the results, and the process ends once."""
    resolve_together = Identity.resolve_together
    batches = itertools.count(1)

    class Foreseen(Exception):
        pass

    def store_offset_first(self: Identity, commands: list[RecordCommand], keep: Keep) -> object:
        foreseen: list[RecordAnswer | SameasError] = []

        def foresee(_tx: SqlTransaction, answers: list[RecordAnswer | SameasError]) -> None:
            foreseen[:] = answers
            raise Foreseen

        with pytest.raises(Foreseen):
            resolve_together(self, commands, foresee)
        with self.store.write() as tx:
            keep(tx, foreseen)
        if next(batches) == 2:
            raise StoreUnreachable("the process ends here")
        return resolve_together(self, commands, lambda _tx, _answers: None)

    monkeypatch.setattr(Identity, "resolve_together", store_offset_first)

    found = run_small(
        sqlite_stream,
        draw_statements(SMALL),
        run_workers=lambda identity, count: sqlite_stream.take_all(identity, count, batch=20),
    )

    assert "lost-write" in found


def test_with_a_relay_that_moves_its_place_first_the_checker_is_red(
    sqlite_stream: Stream,
) -> None:
    """A planted fault: what is not told yet counts as told when the relay is killed."""

    stream = sqlite_stream

    def run_workers(identity: Identity, count: int) -> None:
        stream.take_all(identity, count)
        create_topics(stream.bootstrap, stream.prefix, sources=[SOURCE])
        place = stream.place
        run_and_be_killed(
            place.database_url,
            place.directory,
            stream.bootstrap,
            stream.prefix,
            RelayStep.PRODUCED,
            kind=CarelessRelay,
        )

    found = run_small(stream, draw_statements(SMALL), run_workers=run_workers)

    assert {"unseen", "fold"} & found.keys()
