"""A store of its own and a records topic on the real broker: what the tests of workers work with.

Invariant: topics, group and store are the test's own; the messages of one key go to one partition. Processes are
forked from a server that has loaded this program, so that a worker is there in a tenth of a second.
Elsewhere: the broker (`tests.services.kafka`), the small world (`tests.promises.world`).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess

import orjson
from confluent_kafka import Producer
from sqlalchemy import text

from identity.model import Cid
from identity.service import Identity
from streams.kafka_options import KafkaAddress
from streams.offsets import OffsetBook
from streams.topics import TopicNames
from streams.worker import Worker, WorkerPlan
from tests.identity.stores import Place
from tests.promises.world import Clock
from tests.services.kafka import create_topics

__all__ = ["WAIT_S_MAX", "Stream", "Told", "crosswalk_of", "envelope", "plain", "wait_until"]

WAIT_S_MAX = 60.0
Crosswalk = set[frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Told:
    """A message that a source sends."""

    key: bytes | None
    value: bytes | None
    source: str = "crm"
    headers: tuple[tuple[str, bytes], ...] = ()


def plain(key: str, attributes: Mapping[str, object] | None, *, source: str = "crm", **more: object) -> Told:
    """Return a plain statement, or with None a withdrawal."""
    value = None if attributes is None else orjson.dumps({"attributes": attributes, **more})
    return Told(key.encode(), value, source)


def envelope(
    op: str,
    row: Mapping[str, object],
    lsn: int,
    *,
    source: str = "crm",
    before: Mapping[str, object] | None = None,
) -> Told:
    """Return a change as Debezium tells it; the table's key is `id`."""
    value = {
        "before": before if op != "d" else {"id": row["id"]},
        "after": None if op == "d" else dict(row),
        "source": {"lsn": lsn, "ts_ms": 1_690_000_000_000 + lsn},
        "op": op,
    }
    return Told(orjson.dumps({"id": row["id"]}), orjson.dumps(value), source)


@dataclass
class Stream:
    """A store, and the topics of its sources."""

    bootstrap: str
    prefix: str
    place: Place
    options: dict[str, str] = field(default_factory=dict)

    @property
    def topics(self) -> TopicNames:
        return TopicNames(self.prefix)

    def create(self, sources: Iterable[str] = ("crm",), *, partitions: int = 3) -> None:
        """Create the topics of these sources."""
        create_topics(
            self.bootstrap, [self.topics.records(source) for source in sources], partitions=partitions
        )

    def open_identity(self, *, first_cid: int = 0) -> Identity:
        """Open the store; it is closed with the test's place."""
        return self.place.open_identity(first_cid=first_cid)

    def send(self, messages: Iterable[Told]) -> None:
        """Produce messages and wait until the broker has them."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "linger.ms": 0}
        )
        for one in messages:
            producer.produce(
                self.topics.records(one.source), value=one.value, key=one.key, headers=list(one.headers)
            )
        assert producer.flush(WAIT_S_MAX) == 0

    def worker(
        self, identity: Identity, *, member: str | None = "a", batch: int = 50, **more: object
    ) -> Worker:
        """Return a worker; a restarted one of the same member takes its partitions over at once.

        One without a name of its own leaves the group when it ends, and the others take over.
        """
        options = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200", **self.options}
        if member is not None:
            options["group.instance.id"] = member
        plan = WorkerPlan(KafkaAddress(self.bootstrap, options), self.topics, batch)
        given = {"clock": Clock(), "monotonic_s": time.monotonic, "tell": _tell, **more}
        return Worker(identity, plan, **given)  # type: ignore[arg-type]

    def consumed(self, identity: Identity) -> int:
        return sum(state.consumed for state in OffsetBook(identity.store).list_states())

    @contextmanager
    def running(self, identity: Identity, **more: object) -> Iterator[threading.Event]:
        """Run a worker in a thread; what stops it is raised at the end."""
        stopping = threading.Event()
        failures: list[BaseException] = []
        worker = self.worker(identity, **more)  # type: ignore[arg-type]

        def run() -> None:
            try:
                worker.run(stopping)
            except BaseException as exc:  # noqa: BLE001 - raised below, in the test's thread
                failures.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield stopping
        finally:
            stopping.set()
            thread.join(WAIT_S_MAX)
        if failures:
            raise failures[0]

    def take_all(self, identity: Identity, count: int, **more: object) -> None:
        """Run a worker until so many messages were consumed in all."""
        with self.running(identity, **more):
            wait_until(lambda: self.consumed(identity) >= count)

    def spawn(
        self, *, step: str = "", after: int = 0, member: str | None = "a", first_cid: int, batch: int = 50
    ) -> ForkServerProcess:
        """Start a worker in a process of its own; it kills itself when it has come to a step so often."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(
            target=_work,
            args=(
                replace(self, place=Place(self.place.database_url, self.place.directory)),
                step,
                after,
                member,
                first_cid,
                batch,
            ),
            daemon=True,
        )
        process.start()
        return process


def wait_until(holds: Callable[[], bool], what: str = "it") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.02)


def crosswalk_of(identity: Identity) -> Crosswalk:
    """Return which live records stand together."""
    groups: dict[Cid, set[tuple[str, str]]] = {}
    with identity.store.read() as connection:
        for source, key, cid in connection.execute(
            text("SELECT source, key, cid FROM record WHERE status = 'live'")
        ):
            groups.setdefault(cid, set()).add((source, key))
    return {frozenset(names) for names in groups.values()}


def _work(stream: Stream, step: str, after: int, member: str | None, first_cid: int, batch: int) -> None:
    identity = stream.open_identity(first_cid=first_cid)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    left = after

    def count(name: str) -> None:
        nonlocal left
        if name == step:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    stream.worker(identity, member=member, batch=batch, step=count).run(stopping)
    identity.close()


def _tell(level: int, event: str, /, **fields: object) -> None:
    logging.getLogger("sameas.test").log(level, "%s %s", event, fields)
