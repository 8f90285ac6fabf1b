"""Run relays over a small world, be killed in one, and check what readers of its topics see.

Invariant: what a relay told is read with read_committed from the beginning to the end of every partition, and
compared with plain queries of the store. Functions that processes run are importable: processes are spawned.
Elsewhere: the world (`tests.promises.world`), the broker (`tests.services.kafka`).
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from jsonschema import Draft202012Validator
from sqlalchemy import text

from identity.model import Instant, RecordRef
from identity.service import Identity
from matching.errors import SameasError
from streams.kafka_admin import apply_topics
from streams.kafka_options import KafkaAddress
from streams.kafka_transactions import KafkaSession
from streams.ledger import DeliveryLedger
from streams.messages import split_crosswalk_key
from streams.outbox import Outbox, OutboxBatch, OutboxPlace
from streams.relay import Relay, RelayStep, TopicMaker
from streams.relay_place import RelayPlace
from streams.schema_files import SCHEMAS_DIR
from streams.topics import TopicNames, plan_topics
from tests.promises.world import make_identity

__all__ = [
    "PARTITIONS",
    "SOURCES",
    "CarelessRelay",
    "Notes",
    "Told",
    "build",
    "check_told",
    "create_topics",
    "read_all",
    "read_rejects",
    "run_and_be_killed",
    "tell_all",
]

SOURCES = ("crm", "one", "trusty")
PARTITIONS = 3
WAIT_S_MAX = 60.0


@dataclass
class Notes:
    """Keeps what a relay notes; calls back, so that a test acts at that moment and need not wait."""

    when_all_is_told: Callable[[], None] = lambda: None
    when_failed: Callable[[SameasError], None] = lambda error: None
    leading: list[bool] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    message_count: int = 0
    failures: list[str] = field(default_factory=list)

    def leads(self, *, is_leading: bool) -> None:
        self.leading.append(is_leading)

    def sent(self, *, event_count: int, message_count: int, lag_us: Instant) -> None:
        assert lag_us >= 0
        assert message_count
        self.batches.append(event_count)
        self.message_count += message_count

    def idle(self) -> None:
        self.when_all_is_told()

    def failed(self, error: SameasError) -> None:
        self.failures.append(error.code)
        self.when_failed(error)


class CarelessRelay(Relay):
    """A relay with a fault: it moves its place before it tells."""

    def _forward(self, session: KafkaSession, at: OutboxPlace, batch: OutboxBatch) -> OutboxPlace | None:
        end = self._save(at, batch)
        self._send(session, batch)
        return end


def build(
    identity: Identity,
    bootstrap: str,
    prefix: str,
    *,
    notes: Notes,
    reached: Callable[[RelayStep], None] = lambda step: None,
    batch_max: int = 50,
    kind: type[Relay] = Relay,
    options: Mapping[str, str] = MappingProxyType({}),
    place: RelayPlace | None = None,
    now: Callable[[], Instant] | None = None,
) -> Relay:
    """Return a relay of the store of `identity` to topics that begin with the prefix."""
    address, names, ticks = KafkaAddress(bootstrap, options), TopicNames(prefix), count(1)
    return kind(
        Outbox(identity),
        place or RelayPlace(identity.store, holder=secrets.token_hex(8), silent_us_max=10_000_000),
        address,
        ledger=DeliveryLedger(identity),
        names=names,
        topics=TopicMaker(address, names, partitions=PARTITIONS, replicas=1),
        notes=notes,
        now=now or (lambda: 2 * 10**15 + next(ticks) * 1_000),
        reached=reached,
        batch_max=batch_max,
    )


def create_topics(bootstrap: str, prefix: str, *, sources: Sequence[str] = SOURCES) -> None:
    """Create the topics of the sources; those that are there are left alone."""
    plans = plan_topics(sources, names=TopicNames(prefix), partitions=PARTITIONS)
    apply_topics(KafkaAddress(bootstrap), plans, replicas=1)


def tell_all(identity: Identity, bootstrap: str, prefix: str, *, batch_max: int = 50) -> Notes:
    """Run a relay until all that the store holds is told; return its notes."""
    notes = Notes()
    relay = build(identity, bootstrap, prefix, notes=notes, batch_max=batch_max)
    notes.when_all_is_told = relay.stop
    relay.run()
    return notes


# ----------------------------------------------------------------------------------- processes that end badly


def run_and_be_killed(
    url: str | None,
    directory: Path,
    bootstrap: str,
    prefix: str,
    step: RelayStep,
    *,
    kind: type[Relay] = Relay,
) -> None:
    """Run a relay in a process of its own that is killed (SIGKILL) when it reaches a step for the second time."""
    process = multiprocessing.get_context("spawn").Process(
        target=_relay_until_killed, args=(url, str(directory), bootstrap, prefix, step, kind)
    )
    process.start()
    process.join(WAIT_S_MAX)
    assert process.exitcode == -signal.SIGKILL


def _relay_until_killed(
    url: str | None, directory: str, bootstrap: str, prefix: str, step: RelayStep, kind: type[Relay]
) -> None:
    met = count(1)

    def reached(at: RelayStep) -> None:
        if at is step and next(met) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    identity = make_identity(url, Path(directory))
    relay = build(identity, bootstrap, prefix, notes=Notes(), reached=reached, batch_max=20, kind=kind)
    relay.run()


# ------------------------------------------------------------------------------------------ what readers see


@dataclass(frozen=True)
class Told:
    """What a check found: messages in all topics, and how many of them said what an earlier one had said."""

    message_count: int
    repeated_count: int


def check_told(identity: Identity, bootstrap: str, prefix: str) -> Told:
    """Assert that readers of committed messages see each change, in order for each key, and end up with the store."""
    names = TopicNames(prefix)
    rows, cids = _read_store(identity)
    topics = {
        "customers": names.customers,
        "crosswalk": names.crosswalk,
        "cids": names.cids,
    } | {f"assignments.{source}": names.assignments(source) for source in SOURCES}
    read = read_all(bootstrap, *topics.values())
    messages = {name: read[topic] for name, topic in topics.items()}
    for name, found in messages.items():
        _assert_by_the_book(name.partition(".")[0], topics[name], found)

    last, repeated = _assert_in_order(messages["crosswalk"], lambda value: value["version"], by_one=True)
    crosswalk = {
        (value["source"], value["key"]): (value["cid"], value["status"], value["version"])
        for value in last.values()
    }
    assert crosswalk == rows
    assert {split_crosswalk_key(key.decode()) for key in last} == rows.keys()

    last, again = _assert_in_order(messages["cids"], lambda value: value["known_at"])
    repeated += again
    assert {value["cid"]: (value["status"], tuple(value["successors"])) for value in last.values()} == cids

    for source in SOURCES:
        last, again = _assert_in_order(
            messages[f"assignments.{source}"], lambda value: value["payload"]["version"], by_one=True
        )
        repeated += again
        assigned = {
            value["payload"]["source_key"]: tuple(
                value["payload"][name] for name in ("cid", "status", "version")
            )
            for value in last.values()
        }
        assert assigned == {key: row for (at, key), row in rows.items() if at == source}

    repeated += _assert_events(messages["customers"], rows)
    return Told(sum(map(len, messages.values())), repeated)


def read_rejects(bootstrap: str, prefix: str, source: str) -> list[dict[str, Any]]:
    """Return what was told of a source's rejects, in order; all of them came from one partition."""
    topic = TopicNames(prefix).rejects(source)
    messages = read_all(bootstrap, topic)[topic]
    _assert_by_the_book("rejects", topic, messages)
    assert len({message.partition() for message in messages}) == 1
    return [orjson.loads(message.value() or b"") for message in messages]


def read_all(bootstrap: str, *topics: str) -> dict[str, list[Message]]:
    """Return all committed messages of each topic, in order of each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "nobody",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        unread = {
            (topic, number)
            for topic in topics
            for number in consumer.list_topics(topic, timeout=WAIT_S_MAX).topics[topic].partitions
        }
        consumer.assign([TopicPartition(topic, number, 0) for topic, number in unread])
        found: dict[str, list[Message]] = {topic: [] for topic in topics}
        while unread:
            for message in consumer.consume(1_000, timeout=0.1):
                error = message.error()
                if error is None:
                    found[str(message.topic())].append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    unread.discard((message.topic(), message.partition()))
        return found
    finally:
        consumer.close()


def _read_store(
    identity: Identity,
) -> tuple[dict[tuple[str, str], tuple[str, str, int]], dict[str, tuple[str, tuple[str, ...]]]]:
    """Return the crosswalk, and what every CID ever issued stands for."""
    with identity.store.read() as connection:
        rows = {
            (source, key): (cid, status, version)
            for source, key, cid, status, version in connection.execute(
                text("SELECT source, key, cid, status, key_version FROM record")
            )
        }
        issued = sorted(connection.execute(text("SELECT DISTINCT cid FROM cid_state")).scalars())
    resolved, _ = identity.resolve_cids(issued)
    return rows, {
        one.cid: (str(one.status), () if one.status == "live" else tuple(one.current)) for one in resolved
    }


def _assert_by_the_book(shape: str, topic: str, messages: Sequence[Message]) -> None:
    """Each message has its schema, the headers of CloudEvents, and stands where Java's clients look for its key."""
    schema = orjson.loads((SCHEMAS_DIR / f"{shape}.v1.json").read_bytes())
    key_file = SCHEMAS_DIR / f"{shape}-key.v1.json"
    validator = Draft202012Validator(schema)
    for message in messages:
        value, key, headers = message.value(), message.key(), dict(message.headers() or ())
        assert value is not None
        assert key is not None
        validator.validate(orjson.loads(value))
        if key_file.exists():
            Draft202012Validator(orjson.loads(key_file.read_bytes())).validate(orjson.loads(key))
        assert headers["content-type"] == b"application/json"
        assert headers["ce_specversion"] == b"1.0"
        assert headers["ce_source"] == f"/{topic}".encode()
        assert headers["ce_dataschema"] == schema["$id"].encode()
        assert headers["ce_id"]
        assert headers["ce_type"]
        assert headers["ce_time"]
        assert message.partition() == (_murmur2(key) & 0x7FFFFFFF) % PARTITIONS


def _assert_in_order(
    messages: Sequence[Message], number: Callable[[Any], Any], *, by_one: bool = False
) -> tuple[dict[bytes, Any], int]:
    """Follow each key as a consumer does that passes over what it has seen; return last values and how many that were."""
    seen: dict[bytes, list[tuple[Any, bytes]]] = defaultdict(list)
    last: dict[bytes, Any] = {}
    repeated = 0
    for message in messages:
        key, raw = message.key() or b"", message.value() or b""
        value = orjson.loads(raw)
        told, at = seen[key], number(value)
        last[key] = value  # what compaction leaves
        if told and at <= told[-1][0]:
            assert (at, raw) in told, "a second message of a version says something else"
            repeated += 1
            continue
        if by_one:
            assert at == len(told) + 1, "a version is missing"
        told.append((at, raw))
    assert all(number(value) == seen[key][-1][0] for key, value in last.items()), "an old version came last"
    return last, repeated


def _assert_events(messages: Sequence[Message], rows: Mapping[tuple[str, str], tuple[str, str, int]]) -> int:
    """Each change is told; those of one CID in order."""
    told: dict[RecordRef, dict[int, bytes]] = defaultdict(dict)
    places: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    repeated = 0
    for message in messages:
        key, raw = message.key() or b"", message.value() or b""
        value = orjson.loads(raw)
        versions = told[RecordRef(value["source"], value["key"])]
        place = (value["known_at"], value["seq"])
        if value["version"] in versions:
            assert versions[value["version"]] == raw
            assert place in places[key]
            repeated += 1
            continue
        assert place > max(places[key], default=("", 0))
        places[key].append(place)
        versions[value["version"]] = raw
    assert {tuple(ref): sorted(versions) for ref, versions in told.items()} == {
        ref: list(range(1, row[2] + 1)) for ref, row in rows.items()
    }
    return repeated


def _murmur2(key: bytes) -> int:
    """Return the hash that Java's producers take of a key (org.apache.kafka.common.utils.Utils.murmur2)."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
