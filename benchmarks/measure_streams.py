"""Streams: Kafka in, CID committed, Kafka out; one worker and one relay beside broker and PostgreSQL.

1. All records wait in Kafka; a worker and a relay start on a loaded store: records a second at saturation, counted
   where they come out, behind a warm-up.
2. Further records are sent at a steady 500 a second, whatever comes out: how long from when a record was due until a
   reader of `sameas.crosswalk` has its CID.
3. The same records are restated again and again: whether memory grows.
4. The first again with two workers.

Floor: the same messages through Kafka, rows, offsets and Kafka without logic (`benchmarks.kafka_floor`).
Elsewhere: that nothing is lost on the way (`tests.streams.storm`).
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import orjson
import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.figures import Figure, percentile
from benchmarks.machine import ROOT
from benchmarks.population import StreamedRecord
from benchmarks.process_tree import read_resident_bytes
from benchmarks.stage import Stage, run_sameas, start_sameas
from deploy.local.kafka import run_private_broker
from service.demo.population import SOURCES
from streams.topics import TopicNames

__all__ = ["measure_streams"]

RATE_MIN: Final = 1_500
LATENCY_MS_MAX: Final = 250
_STEADY_RATE: Final = 500.0
_WARM_UP: Final = 0.15
_PARTITIONS: Final = 12
_WAIT_S_MAX: Final = 1_800.0

_ALL_IS_TOLD: Final = """
INSERT INTO relay_cursor (name, known_at, seq, beat_at)
SELECT 'kafka', known_at, seq, 0 FROM event ORDER BY known_at DESC, seq DESC LIMIT 1
"""
"""What was loaded is not among what is measured."""

Ref = tuple[str, str]


def measure_streams(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    loaded = stage.loaded(stage.sizes.resolve)
    streamed = list({(one.source, one.key): one for one in loaded.population.streamed}.values())
    steady_count = min(len(streamed) // 2, int(_STEADY_RATE * stage.sizes.seconds))
    steady, waiting = streamed[:steady_count], streamed[steady_count:]
    with run_private_broker(java_options=()) as broker:
        floor = _measure_floor(stage, broker.bootstrap, waiting)
        with (
            stage.database(like=loaded.url) as url,
            _Run(stage, broker.bootstrap, "one", url) as run,
        ):
            alone = run.saturate(waiting, worker_count=1)
            yield Figure(
                "records in to CIDs out, one worker and one relay",
                alone,
                "records/s",
                at_least=RATE_MIN,
                floor=floor,
                note=f"{len(waiting):,} records waiting; store of {loaded.population.stored_count:,}",
            )
            latencies = run.send_steadily(steady)
            for percent in (50, 99):
                yield Figure(
                    f"record in to CID out at {_STEADY_RATE:.0f}/s, p{percent}",
                    percentile(latencies, percent) * 1_000,
                    "ms",
                    at_most=LATENCY_MS_MAX if percent == 99 else None,
                    note=f"{len(latencies):,} records",
                )
            rate, worker_growth, relay_growth = run.restate(waiting, count=stage.sizes.restated)
            note = f"{stage.sizes.restated:,} messages at {rate:,.0f}/s; since a fifth of them"
            yield Figure("memory that a worker gains", worker_growth / 2**20, "MB", at_most=32, note=note)
            yield Figure("memory that a relay gains", relay_growth / 2**20, "MB", at_most=32, note=note)
        with (
            stage.database(like=loaded.url) as url,
            _Run(stage, broker.bootstrap, "two", url) as run,
        ):
            both = run.saturate(waiting, worker_count=2)
    yield Figure(
        "records in to CIDs out, two workers and one relay",
        both,
        "records/s",
        note=f"{both / alone:.2f} × one, where broker and PostgreSQL want the same cores",
    )


class _Run:
    """Workers and a relay on one store, and a reader of what they tell."""

    def __init__(self, stage: Stage, bootstrap: str, prefix: str, url: str) -> None:
        self._stage = stage
        self._bootstrap = bootstrap
        self._names = TopicNames(prefix)
        self._url = url
        self._environment = {
            "SAMEAS_DATABASE_URL": url,
            "SAMEAS_DATA_DIR": str(stage.new_folder("streams")),
            "SAMEAS_KAFKA_BOOTSTRAP": bootstrap,
            "SAMEAS_TOPIC_PREFIX": prefix,
            "SAMEAS_TOPIC_PARTITIONS": str(_PARTITIONS),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._reader = _Reader(bootstrap, self._names.crosswalk)

    def __enter__(self) -> Self:
        run_sameas("topics", "apply", environment=self._environment)
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_ALL_IS_TOLD)
        self._stage.checkpoint()
        self._reader.start()
        self._start("relay")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.stop()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(60)

    def saturate(self, records: Sequence[StreamedRecord], *, worker_count: int) -> float:
        """Return the records a second of which CIDs come out while records wait, behind a warm-up."""
        _send(self._bootstrap, self._names, records)
        wanted = {(one.source, one.key) for one in records}
        for _ in range(worker_count):
            self._start("worker")
        self._await(lambda: self._reader.count_of(wanted) == len(wanted))
        arrived = sorted(self._reader.arrived[ref] for ref in wanted)
        warm = int(len(arrived) * _WARM_UP)
        return (len(arrived) - 1 - warm) / (arrived[-1] - arrived[warm])

    def send_steadily(self, records: Sequence[StreamedRecord]) -> list[float]:
        """Return the seconds from when each record was due until its CID came out."""
        producer = _producer(self._bootstrap)
        due: dict[Ref, float] = {}
        began = time.monotonic() + 0.1
        for number, one in enumerate(records):
            at = due[one.source, one.key] = began + number / _STEADY_RATE
            while (left_s := at - time.monotonic()) > 0:
                producer.poll(min(left_s, 0.01))
            _produce(producer, self._names, one, one.body())
        producer.flush()
        self._await(lambda: self._reader.count_of(due) == len(due))
        return [self._reader.arrived[ref] - at for ref, at in due.items()]

    def restate(self, records: Sequence[StreamedRecord], *, count: int) -> tuple[float, int, int]:
        """State records again with another content; return the rate, and how worker's and relay's memory grew."""
        producer = _producer(self._bootstrap)
        relay, worker = self._processes
        marks: list[tuple[float, list[int]]] = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            before = sent = _count_consumed(connection)
            end = before + count
            while (taken := _count_consumed(connection)) < end:
                if taken - before >= count // 5 and not marks:
                    marks.append(_weigh(worker, relay))
                while sent < min(end, taken + 20_000):
                    version, place = divmod(sent - before, len(records))
                    one = records[place]
                    language = ("de", "en")[version % 2]
                    body = {**one.body(), "version": version + 1}
                    body["attributes"] = {**one.attributes, "preferred_language": language}
                    _produce(producer, self._names, one, body)
                    sent += 1
                producer.flush()
                self._check()
                time.sleep(0.05)
            marks = marks or [_weigh(worker, relay)]
        (began, first), (ended, last) = marks[0], _weigh(worker, relay)
        growth = [after - before for before, after in zip(first, last, strict=True)]
        return (count - count // 5) / (ended - began), growth[0], growth[1]

    def _start(self, name: str) -> None:
        log = Path(self._environment["SAMEAS_DATA_DIR"]) / f"{name}-{len(self._processes)}.log"
        with log.open("wb") as stream:
            self._processes.append(start_sameas(name, environment=self._environment, output=stream.fileno()))

    def _await(self, is_done: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + _WAIT_S_MAX
        while not is_done():
            self._check()
            if time.monotonic() > give_up_at:
                raise RuntimeError("not all CIDs came out in time")
            time.sleep(0.2)  # rarely: counting wants the cores that are measured

    def _check(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                raise RuntimeError(
                    f"a process ended with {process.returncode}; its log is in its data directory"
                )


class _Reader:
    """Reads what is told of keys, and notes when each was told first."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.arrived: dict[Ref, float] = {}
        self._bootstrap = bootstrap
        self._topic = topic
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Read from the topic's beginning."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def count_of(self, wanted: Collection[Ref]) -> int:
        """Return how many of these keys were told."""
        if len(self.arrived) < len(wanted):
            return len(self.arrived)
        return sum(ref in self.arrived for ref in wanted)

    def _read(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": f"{self._topic}-reader",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
            }
        )
        try:
            consumer.assign([TopicPartition(self._topic, number, 0) for number in range(_PARTITIONS)])
            while not self._ended.is_set():
                # `consume` alone would wait for its time to be over.
                first = consumer.poll(0.1)
                found = [] if first is None else [first, *consumer.consume(500, timeout=0)]
                now_s = time.monotonic()
                for one in found:
                    if one.error() is None:
                        value = orjson.loads(one.value() or b"")
                        self.arrived.setdefault((value["source"], value["key"]), now_s)
        finally:
            consumer.close()


def _measure_floor(stage: Stage, bootstrap: str, records: Sequence[StreamedRecord]) -> float:
    """Return the records a second of the same way without logic."""
    names = TopicNames("floor")
    environment = {
        "SAMEAS_DATA_DIR": str(stage.new_folder("floor")),
        "SAMEAS_KAFKA_BOOTSTRAP": bootstrap,
        "SAMEAS_TOPIC_PREFIX": names.prefix,
        "SAMEAS_TOPIC_PARTITIONS": str(_PARTITIONS),
    }
    for source in SOURCES:
        contract = stage.population(stage.sizes.resolve).contract_of(source)
        run_sameas("source", "put", source, str(contract), environment=environment)
    run_sameas("topics", "apply", environment=environment)
    _send(bootstrap, names, records)
    with stage.database() as url:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.kafka_floor", bootstrap),
                ",".join(names.records(source) for source in SOURCES),
                *(names.crosswalk, url, str(len(records))),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the floor ended with {done.returncode}: {done.stderr[-2_000:]}")
    return len(records) / float(done.stdout)


def _send(bootstrap: str, names: TopicNames, records: Sequence[StreamedRecord]) -> None:
    producer = _producer(bootstrap)
    for one in records:
        _produce(producer, names, one, one.body())
    producer.flush()


def _producer(bootstrap: str) -> Producer:
    return Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 1})


def _produce(
    producer: Producer, names: TopicNames, record: StreamedRecord, body: Mapping[str, object]
) -> None:
    message = orjson.dumps(body)
    while True:
        try:
            producer.produce(names.records(record.source), message, record.key)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _count_consumed(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    row = connection.execute("SELECT coalesce(sum(consumed), 0)::bigint FROM stream_offset").fetchone()
    assert row is not None
    count = row[0]
    assert isinstance(count, int)
    return count


def _weigh(*processes: subprocess.Popen[bytes]) -> tuple[float, list[int]]:
    return time.monotonic(), [read_resident_bytes(one.pid) for one in processes]
