"""Drive messages through Kafka, workers, PostgreSQL and a relay while things break, and keep what is needed to judge it.

1. A source sends numbered statements at a steady rate; a reader that stays polls what is told.
2. A worker and a relay run as processes that kill themselves (SIGKILL) at each of their failpoints in turn, and are started
   again; a second worker joins and leaves, so that partitions move; broker and PostgreSQL are killed and started again;
   connections freeze half-open and are reset later (`tests.streams.cutting_proxy`).
3. When all is sent, has happened, is taken and told, everything is stopped and read: a `History` for
   `tests.streams.anomalies`.

Invariant: what happens when is drawn from the seed, but for the speed of the machine. What has to come out does not
depend on it: customers are the live keys that share an e-mail.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeVar

import orjson
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from sqlalchemy import text

from identity.service import Identity
from matching.errors import SameasError
from service.clock import SystemClock
from streams.kafka_options import KafkaAddress
from streams.offsets import OffsetBook
from streams.outbox import BEGINNING, Outbox
from streams.relay import RelayStep
from streams.take import STEPS
from streams.topics import TopicNames
from streams.worker import Worker, WorkerPlan
from tests.promises.world import make_identity
from tests.services.kafka import create_topics
from tests.streams.anomalies import History, Polled, Sent, StoredKey, count_repeats
from tests.streams.relays import Notes, build, read_all
from tests.streams.stream import envelope, plain
from tests.streams.taking import TABLE

__all__ = [
    "SOURCE",
    "Happening",
    "Statement",
    "Storm",
    "StormPlan",
    "StormReport",
    "as_message",
    "draw_statements",
    "read_history",
    "send",
]

SOURCE = "shop"
_TICK_S = 0.05
_SLOW_RATE = 40.0
_QUIET_S = 120.0
"""So long nothing may move before a storm is called stuck."""
_OPTIONS = {
    # A process that is killed is missed soon; what a broker's restart interrupts is tried again soon.
    "session.timeout.ms": "6000",
    "heartbeat.interval.ms": "500",
    "reconnect.backoff.max.ms": "500",
    "socket.timeout.ms": "10000",
}

_STORE_AWAY = 3
"""How a process ends that could not open its store."""

Answer = TypeVar("Answer")
Statement = tuple[str, str | None, int]
"""(key, e-mail or None for a withdrawal, version)."""


@dataclass(frozen=True)
class StormPlan:
    """How much is sent, and what happens meanwhile."""

    message_count: int = 10_000
    seed: int = 1
    key_count: int = 1_500
    rate: float = 600.0
    kills_each: int = 1
    rebalance_s: float = 3.0
    partitions: int = 6
    batch: int = 100


@dataclass(frozen=True)
class Happening:
    """Something that is done once a share of the messages is taken."""

    name: str
    at_share: float
    do: Callable[[], None]


@dataclass(frozen=True)
class StormReport:
    """What a storm left, and how much happened in it."""

    plan: StormPlan
    history: History
    found_customers: set[frozenset[str]]
    expected_customers: set[frozenset[str]]
    kills: Counter[str]
    happened: Counter[str]
    repeated_count: int
    event_count: int
    seconds: float


def draw_statements(plan: StormPlan) -> list[Statement]:
    """Return statements with growing versions, each of another content than the one before of its key."""
    chance = random.Random(plan.seed)
    statements: list[Statement] = []
    last: dict[str, str | None] = {}
    for version in range(1, plan.message_count + 1):
        key = f"k{chance.randrange(plan.key_count)}"
        # Two keys in three share their e-mail with another.
        email: str | None = f"u{chance.randrange(plan.key_count * 2 // 3)}@web.de"
        if last.get(key, email) == email:
            email = f"{key}@web.de"
        if last.get(key) is not None and chance.random() < 0.08:
            email = None
        last[key] = email
        statements.append((key, email, version))
    return statements


def as_message(statement: Statement) -> tuple[bytes, bytes | None]:
    """Return a statement as an envelope or as a plain message, in turn."""
    key, email, version = statement
    if email is None:
        told = envelope("d", {"id": key}, version, source=SOURCE)
    elif version % 2:
        told = envelope("u", {"id": key, "mail": email}, version, source=SOURCE)
    else:
        told = plain(key, {"email": email}, source=SOURCE, version=version)
    # One partition for all messages of a key, whatever form they have.
    return told.key or b"", told.value


@dataclass
class Storm:
    """One run.

    Args:
        url: of the PostgreSQL database; the processes' connections go there.
        bootstrap: of the broker, likewise.
        quiet_url, quiet_bootstrap: the same without what cuts connections, for whoever judges.
    """

    plan: StormPlan
    url: str
    bootstrap: str
    directory: Path
    prefix: str
    happenings: Sequence[Happening] = ()
    quiet_url: str = ""
    quiet_bootstrap: str = ""
    on_progress: Callable[[int], None] = lambda consumed: None
    kills: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.quiet_url = self.quiet_url or self.url
        self.quiet_bootstrap = self.quiet_bootstrap or self.bootstrap
        self._generations = count(1)
        self._is_all_over = threading.Event()
        self._is_ended = threading.Event()
        self._sent: list[Sent] = []
        self._failures: list[BaseException] = []

    def run(self) -> StormReport:
        """Run to the end and return what it left."""
        names = TopicNames(self.prefix)
        began = time.monotonic()
        identity = make_identity(self.quiet_url, self.directory, clock=SystemClock().now)
        try:
            identity.put_source(SOURCE, TABLE, author="test")
            topics = [names.records(SOURCE), names.crosswalk, names.cids, names.customers]
            topics += [names.assignments(SOURCE), names.rejects(SOURCE)]
            create_topics(self.quiet_bootstrap, topics, partitions=self.plan.partitions)
            statements = draw_statements(self.plan)
            reader = _Reader(self.quiet_bootstrap, names.crosswalk, identity)
            threads = [
                threading.Thread(target=self._guard, args=(lambda: self._send(statements, names),)),
                threading.Thread(target=self._guard, args=(lambda: reader.run(self._is_ended),)),
            ]
            for thread in threads:
                thread.start()
            try:
                self._weather(identity, len(statements))
            finally:
                self._is_all_over.set()
                self._is_ended.set()
                for thread in threads:
                    thread.join()
            if self._failures:
                raise self._failures[0]
            history = read_history(
                identity,
                self.quiet_bootstrap,
                names,
                statements,
                self._sent,
                polled=reader.polled,
                uncommitted=reader.uncommitted,
            )
            return StormReport(
                self.plan,
                history,
                found_customers=_read_customers(identity),
                expected_customers=_expect_customers(statements),
                kills=self.kills,
                happened=self.happened,
                repeated_count=count_repeats(history.log),
                event_count=len(history.outbox),
                seconds=time.monotonic() - began,
            )
        finally:
            identity.close()

    # -- what goes on -------------------------------------------------------------------------------------

    def _send(self, statements: Sequence[Statement], names: TopicNames) -> None:
        """Send at the plan's rate; the last tenth is held back until all that is to happen has happened."""
        held_back = len(statements) * 9 // 10
        began, rate = time.monotonic(), self.plan.rate

        def keep_pace(producer: Producer, number: int) -> None:
            nonlocal began, rate
            if number >= held_back and rate == self.plan.rate:
                # Slowly, so that there is traffic while the rest happens.
                began, rate = time.monotonic() - number / _SLOW_RATE, _SLOW_RATE
            while (ahead_s := number / rate - (time.monotonic() - began)) > 0:
                if rate == _SLOW_RATE and self._is_all_over.is_set():
                    return
                producer.poll(min(ahead_s, 0.1))

        topic = names.records(SOURCE)
        self._sent = send(
            self.quiet_bootstrap, topic, statements, partitions=self.plan.partitions, keep_pace=keep_pace
        )

    def _weather(self, identity: Identity, message_count: int) -> None:
        """Keep the processes running, and let happen what is planned, until all is taken and told."""
        rounds = range(self.plan.kills_each)
        chance = random.Random(-self.plan.seed)
        worker = _Slot(
            "worker",
            partial(self._spawn, _run_worker, "steady"),
            steps=[step for _ in rounds for step in STEPS],
            chance=chance,
        )
        relay = _Slot(
            "relay",
            partial(self._spawn, _run_relay, None),
            steps=[step.value for _ in rounds for step in RelayStep],
            chance=chance,
        )
        joiner = _Slot("joiner", partial(self._spawn, _run_worker, None), steps=[], chance=chance)
        slots = (worker, relay, joiner)
        left = sorted(self.happenings, key=lambda one: one.at_share)
        progress, moved_at, joined_at = 0, time.monotonic(), time.monotonic()
        try:
            while True:
                for slot in slots:
                    killed_at = slot.keep_running()
                    if killed_at is not None:
                        self.kills[killed_at] += 1
                now_s = time.monotonic()
                if now_s - joined_at >= self.plan.rebalance_s:
                    joiner.leave_and_join()
                    self.happened["rebalances"] += 2
                    joined_at = now_s
                consumed = _ask(lambda: _consumed(identity), progress)
                self.on_progress(consumed)
                if consumed > progress:
                    progress, moved_at = consumed, now_s
                if left and consumed >= left[0].at_share * message_count:
                    happening = left.pop(0)
                    happening.do()
                    self.happened[happening.name] += 1
                    moved_at = time.monotonic()
                if not left and not worker.left and not relay.left:
                    self._is_all_over.set()
                    if consumed >= message_count and _ask(lambda: _is_all_told(identity), otherwise=False):
                        return
                assert not self._failures, self._failures
                assert time.monotonic() - moved_at < _QUIET_S, self._describe(consumed, left, slots)
                time.sleep(_TICK_S)
        finally:
            for slot in slots:
                slot.end()

    def _describe(self, consumed: int, left: Sequence[Happening], slots: Sequence[_Slot]) -> str:
        waiting = [one.name for one in left] + [step for slot in slots for step in slot.left]
        return f"stuck after {consumed} messages (seed {self.plan.seed}); still to happen: {waiting}"

    def _spawn(
        self, program: Callable[[_Order], None], member: str | None, step: str, after: int
    ) -> ForkServerProcess:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        order = _Order(
            self.url,
            str(self.directory),
            self.bootstrap,
            self.prefix,
            self.plan.batch,
            step,
            after,
            member,
            first_cid=next(self._generations) * 10**9,
        )
        process = context.Process(target=program, args=(order,), daemon=True)
        process.start()
        return process

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as exc:  # noqa: BLE001 - raised in the thread that runs the storm
            self._failures.append(exc)


def send(
    bootstrap: str,
    topic: str,
    statements: Sequence[Statement],
    *,
    partitions: int,
    keep_pace: Callable[[Producer, int], None] = lambda producer, number: None,
) -> list[Sent]:
    """Send the statements, those of a key to one partition, and return them as the broker acknowledged them.

    Args:
        keep_pace: called before each statement with its number; may wait.
    """
    sent: list[Sent] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 1,
            "reconnect.backoff.max.ms": 500,
        }
    )

    def note(statement: Statement, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        offset, number = message.offset(), message.partition()
        assert offset is not None
        assert number is not None
        sent.append(Sent((topic, number), offset, statement[0], statement[2]))

    for number, statement in enumerate(statements):
        keep_pace(producer, number)
        key, value = as_message(statement)
        producer.produce(
            topic,
            value,
            key,
            partition=sum(statement[0].encode()) % partitions,
            on_delivery=partial(note, statement),
        )
        producer.poll(0)
    assert producer.flush(_QUIET_S) == 0
    assert len(sent) == len(statements)
    return sent


def read_history(
    identity: Identity,
    bootstrap: str,
    names: TopicNames,
    statements: Sequence[Statement],
    sent: Sequence[Sent],
    *,
    polled: Sequence[Polled] = (),
    uncommitted: Sequence[Polled] = (),
) -> History:
    """Return the history of a run that has ended."""
    return History(
        sent=sent,
        consumed={
            (state.partition.topic, state.partition.number): (
                state.next_offset,
                state.consumed,
                state.tally.total(),
            )
            for state in OffsetBook(identity.store).list_states()
        },
        stored=_read_stored(identity),
        expected_versions=Counter(key for key, _, _ in statements),
        outbox=dict(_iter_outbox(identity)),
        polls=[polled],
        log=[_as_polled(message) for message in read_all(bootstrap, names.crosswalk)[names.crosswalk]],
        polled_uncommitted=uncommitted,
    )


class _Slot:
    """One process at a time, started again whenever it ends."""

    def __init__(
        self,
        name: str,
        start: Callable[..., ForkServerProcess],
        *,
        steps: Sequence[str],
        chance: random.Random,
    ) -> None:
        self.left = list(steps)
        self._name = name
        self._start = start
        self._chance = chance
        self._process: ForkServerProcess | None = None

    def keep_running(self) -> str | None:
        """Start the process if it is not there; return the failpoint at which it was killed since the last call."""
        killed_at = None
        if self._process is not None and not self._process.is_alive():
            self._process.join()
            if self._process.exitcode == -signal.SIGKILL:
                killed_at = f"{self._name} {self.left.pop(0)}"
            else:
                # It could not open its store, which was away: whoever runs it starts it again.
                assert self._process.exitcode == _STORE_AWAY, f"{self._name}: {self._process.exitcode}"
            self._process.close()
            self._process = None
        if self._process is None:
            step = self.left[0] if self.left else ""
            self._process = self._start(step, self._chance.randrange(1, 4))
        return killed_at

    def leave_and_join(self) -> None:
        """Let the process leave its group, and start another one."""
        self.end()
        self.keep_running()

    def end(self) -> None:
        """Stop the process in order."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.join(_QUIET_S)
        # Terminated before it has come to listen to signals, or killed at its failpoint just now.
        ends = (0, _STORE_AWAY, -signal.SIGKILL, -signal.SIGTERM)
        assert self._process.exitcode in ends, f"{self._name}: {self._process.exitcode}"
        self._process.close()
        self._process = None


class _Reader:
    """A consumer of committed messages that stays through everything."""

    def __init__(self, bootstrap: str, topic: str, identity: Identity) -> None:
        self.polled: list[Polled] = []
        self.uncommitted: list[Polled] = []
        self._bootstrap = bootstrap
        self._topic = topic
        self._identity = identity

    def run(self, is_ended: threading.Event) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "storm-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "reconnect.backoff.max.ms": 500,
            }
        )
        try:
            partitions = consumer.list_topics(self._topic, timeout=60).topics[self._topic].partitions
            consumer.assign([TopicPartition(self._topic, number, 0) for number in partitions])
            for batch in count():
                found = consumer.consume(500, timeout=0.1)
                if not found and is_ended.is_set():
                    return
                messages = [_as_polled(one, batch) for one in found if one.error() is None]
                self.polled += messages
                self._check_committed(messages)
        finally:
            consumer.close()

    def _check_committed(self, messages: Sequence[Polled]) -> None:
        """Whoever reads a message finds its event in the store; nobody can look while the store is away."""
        if not messages:
            return
        query = text("SELECT key, key_version FROM record WHERE source = :source AND key = ANY(:keys)")
        try:
            with self._identity.store.read() as connection:
                rows = connection.execute(query, {"source": SOURCE, "keys": [one.key for one in messages]})
                reached: dict[str, int] = {key: version for key, version in rows}  # noqa: C416 - rows are no pairs to mypy
        except SameasError:
            return
        self.uncommitted += [one for one in messages if one.version > reached.get(one.key, 0)]


def _as_polled(message: Message, batch: int = 0) -> Polled:
    raw, offset = message.value() or b"", message.offset()
    value = orjson.loads(raw)
    assert offset is not None
    place = (str(message.topic()), message.partition() or 0)
    state = (value["cid"], value["status"], value["version"])
    return Polled(place, offset, value["key"], value["version"], raw, state, batch)


def _read_stored(identity: Identity) -> dict[str, StoredKey]:
    with identity.store.read() as connection:
        versions: dict[str, Counter[int]] = defaultdict(Counter)
        for key, version in connection.execute(
            text("SELECT r.key, v.version FROM record_version v JOIN record r ON r.rid = v.rid")
        ):
            versions[key][version] += 1
        return {
            key: StoredKey(versions[key], version, (cid, status, key_version))
            for key, version, cid, status, key_version in connection.execute(
                text("SELECT key, version, cid, status, key_version FROM record")
            )
        }


def _iter_outbox(identity: Identity) -> Iterator[tuple[tuple[str, int], tuple[str | None, str, int]]]:
    place = BEGINNING
    while True:
        batch = Outbox(identity).read(place, limit=1_000)
        if not batch.keys:
            return
        for event, status in batch.keys:
            yield (event.key, event.version), (event.cid, status.value, event.version)
        place = batch.end


def _read_customers(identity: Identity) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    with identity.store.read() as connection:
        for key, cid in connection.execute(text("SELECT key, cid FROM record WHERE status = 'live'")):
            groups[cid].add(key)
    return set(map(frozenset, groups.values()))


def _expect_customers(statements: Sequence[Statement]) -> set[frozenset[str]]:
    current = {key: email for key, email, _ in statements}
    groups: dict[str, set[str]] = defaultdict(set)
    for key, email in current.items():
        if email is not None:
            groups[email].add(key)
    return set(map(frozenset, groups.values()))


def _consumed(identity: Identity) -> int:
    return sum(state.consumed for state in OffsetBook(identity.store).list_states())


def _is_all_told(identity: Identity) -> bool:
    return Outbox(identity).find_oldest_untold() is None


def _ask(question: Callable[[], Answer], otherwise: Answer) -> Answer:
    """Return what the store answers, or something else while it is away."""
    try:
        return question()
    except SameasError:
        return otherwise


# ------------------------------------------------------------------------------------------- processes


@dataclass(frozen=True)
class _Order:
    """What a process is told; it kills itself when it comes to `step` for the `after`-th time."""

    url: str
    directory: str
    bootstrap: str
    prefix: str
    batch: int
    step: str
    after: int
    member: str | None
    first_cid: int


def _run_worker(order: _Order) -> None:
    logging.disable(logging.CRITICAL)
    stopping = threading.Event()
    identity = _open(order)
    options = {**_OPTIONS, **({} if order.member is None else {"group.instance.id": order.member})}
    worker = Worker(
        identity,
        WorkerPlan(KafkaAddress(order.bootstrap, options), TopicNames(order.prefix), order.batch),
        clock=SystemClock().now,
        monotonic_s=time.monotonic,
        tell=_say_nothing,
        step=_killer(order.step, order.after),
    )
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    worker.run(stopping)
    identity.close()


def _run_relay(order: _Order) -> None:
    logging.disable(logging.CRITICAL)
    identity = _open(order)
    kill = _killer(order.step, order.after)
    relay = build(
        identity,
        order.bootstrap,
        order.prefix,
        notes=Notes(),
        reached=lambda at: kill(at.value),
        batch_max=order.batch,
        options={name: _OPTIONS[name] for name in ("reconnect.backoff.max.ms", "socket.timeout.ms")},
        now=SystemClock().now,
    )
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    # Beside this thread, as `sameas relay` does: a signal never finds its own lock taken.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(relay.run).result()
    identity.close()


def _open(order: _Order) -> Identity:
    try:
        return make_identity(
            order.url, Path(order.directory), clock=SystemClock().now, first_cid=order.first_cid
        )
    except SameasError:
        os._exit(_STORE_AWAY)


def _killer(step: str, after: int) -> Callable[[str], None]:
    left = after

    def reach(name: str) -> None:
        nonlocal left
        if name == step:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach


def _say_nothing(level: int, event: str, /, **fields: Any) -> None:
    """A storm says much that nobody reads."""
