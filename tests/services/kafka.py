"""One Kafka broker and one Connect worker for the whole run; names, topics and connectors of each test's own.

Invariant: servers start when the first test asks for them and end with the run. Tests share them, so each
uses names that begin with its own `kafka_prefix`; connectors posted through `connectors` are deleted when
their test ends.
Elsewhere: the servers (`deploy.local.kafka`), the databases (`tests.services.postgres`). A test that kills
a broker runs its own (`run_private_broker`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import httpx
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka import KafkaUnavailable, run_private_broker, run_private_connect

__all__ = [
    "Connectors",
    "await_true",
    "connectors",
    "create_topics",
    "kafka_bootstrap",
    "kafka_connect_url",
    "kafka_prefix",
    "read_topic",
]

WAIT_S_MAX = 60.0


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Address of a broker for the whole run."""
    try:
        with run_private_broker() as broker:
            yield broker.bootstrap
    except KafkaUnavailable as exc:
        pytest.skip(f"Kafka: {exc}")


@pytest.fixture(scope="session")
def kafka_connect_url(kafka_bootstrap: str) -> Iterator[str]:
    """URL of a Connect worker with Debezium's connectors, for the whole run."""
    try:
        with run_private_connect(kafka_bootstrap) as url:
            yield url
    except KafkaUnavailable as exc:
        pytest.skip(f"Kafka Connect: {exc}")


@pytest.fixture
def kafka_prefix() -> str:
    """What the names of this test's topics, groups and connectors begin with."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def connectors(kafka_connect_url: str) -> Iterator[Connectors]:
    """The connectors of this test, deleted at its end."""
    with httpx.Client(base_url=kafka_connect_url, timeout=WAIT_S_MAX) as client:
        mine = Connectors(client)
        try:
            yield mine
        finally:
            mine.delete_all()


class Connectors:
    """Posts connectors and waits for them."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._names: set[str] = set()

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Create or change a connector and wait until it and its tasks run."""
        answer = self._client.put(f"/connectors/{name}/config", json=dict(config))
        assert answer.is_success, answer.text
        self.adopt(name)

    def adopt(self, name: str) -> None:
        """Wait until a connector that somebody else posted runs, and delete it at the end of the test."""
        self._names.add(name)
        await_true(lambda: self._is_running(name))

    def delete_all(self) -> None:
        """Delete them; what they write to or read from is left."""
        for name in self._names:
            self._client.delete(f"/connectors/{name}")

    def _is_running(self, name: str) -> bool:
        answer = self._client.get(f"/connectors/{name}/status")
        if answer.status_code == 404:
            return False
        status = answer.json()
        states = [status["connector"], *status["tasks"]]
        failed = [state.get("trace", "") for state in states if state["state"] == "FAILED"]
        assert not failed, failed
        return len(states) > 1 and all(state["state"] == "RUNNING" for state in states)


def create_topics(bootstrap: str, names: Sequence[str], *, partitions: int = 4) -> None:
    """Create topics and wait until the broker has them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        created.result(WAIT_S_MAX)


def read_topic(bootstrap: str, topic: str, *, until: Callable[[list[Message]], bool]) -> list[Message]:
    """Return the topic's messages from its beginning, as soon as they satisfy `until`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{secrets.token_hex(6)}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=WAIT_S_MAX).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found: list[Message] = []
        deadline = time.monotonic() + WAIT_S_MAX
        while not until(found):
            assert time.monotonic() < deadline, f"{topic}: {len(found)} messages and no more"
            for message in consumer.consume(1_000, timeout=0.05):
                assert message.error() is None, message.error()
                found.append(message)
        return found
    finally:
        consumer.close()


def await_true(holds: Callable[[], bool], what: str = "it did not happen in time") -> None:
    """Return as soon as `holds` says so; fails with `what` after a minute. For servers that call nobody back."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
