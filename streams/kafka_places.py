"""Ask a Kafka cluster how long partitions are, and up to where a consumer group has committed.

Elsewhere: who needs that (`streams.frontier`, `streams.sink_offsets`), topics (`streams.kafka_admin`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.kafka_admin import build_client, translate_kafka_error
from streams.kafka_options import KafkaAddress, admin_config, consumer_config
from streams.offsets import Partition

__all__ = ["Extent", "KafkaPlaces"]

_ANSWER_S_MAX: Final = 10.0
_SAID_MAX: Final = 8
"""Errors that a client told by itself and that explain what it answers; of a long outage the last ones."""
_NO_SUCH: Final = frozenset({KafkaError.GROUP_ID_NOT_FOUND, KafkaError.UNKNOWN_TOPIC_OR_PART})
_NOT_YET: Final = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""A broker that has just started does not know its groups yet."""


class Extent(NamedTuple):
    """A partition holds the offsets from `begin` to before `end`."""

    begin: int
    end: int


class KafkaPlaces:
    """Asks one cluster; a client is made at the first question."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self._said: deque[str] = deque(maxlen=_SAID_MAX)
        self._client: AdminClient | None = None

    def find_extents(self, topics: Collection[str]) -> dict[Partition, Extent]:
        """Return the extent of each partition of those topics that there are; raises KafkaUnreachable, KafkaRefused.

        A topic of which one partition's extent is not known yet is left out.
        """
        admin = self._admin()
        try:
            there = admin.list_topics(timeout=_ANSWER_S_MAX).topics
        except KafkaException as exc:
            self._fail(exc)
        partitions = [
            Partition(name, number) for name in topics if name in there for number in there[name].partitions
        ]
        specs: Any = OffsetSpec  # its class methods have no types
        begins, ends = self._list(partitions, specs.earliest()), self._list(partitions, specs.latest())
        unknown = {one.topic for one in partitions if one not in begins or one not in ends}
        return {one: Extent(begins[one], ends[one]) for one in partitions if one.topic not in unknown}

    def find_committed(self, group: str, topic: str) -> dict[Partition, int]:
        """Return the offsets that a group has committed, none where there is no such group or none is known yet.

        Asked by a consumer that never joins: on some answers to an administrator's question (a coordinator that moves)
        librdkafka 2.16 ends the process.
        """
        said = self._said
        told = {"log_level": 0, "error_cb": lambda error: said.append(error.str())}
        consumer = build_client(Consumer, {**consumer_config(self._address, group=group), **told})
        try:
            there = consumer.list_topics(topic, timeout=_ANSWER_S_MAX).topics[topic].partitions
            asked = [TopicPartition(topic, number) for number in there]
            found = consumer.committed(asked, timeout=_ANSWER_S_MAX) if asked else []
        except KafkaException as exc:
            if exc.args[0].code() in _NO_SUCH | _NOT_YET:
                return {}
            self._fail(exc)
        finally:
            consumer.close()
        return {Partition(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def _list(self, partitions: Collection[Partition], spec: OffsetSpec) -> Mapping[Partition, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(*one): spec for one in partitions}
        found = {}
        for place, answer in self._admin().list_offsets(asked, request_timeout=_ANSWER_S_MAX).items():
            if (result := self._result(answer)) is not None:
                found[Partition(place.topic, place.partition)] = result.offset
        return found

    def _result(self, answer: Future[Any]) -> Any:
        """Return what was answered; None where what was asked for does not exist, or is not known yet."""
        try:
            return answer.result(_ANSWER_S_MAX * 3)
        except KafkaException as exc:
            if exc.args[0].code() in _NO_SUCH | _NOT_YET:
                return None
            self._fail(exc)

    def _admin(self) -> AdminClient:
        if self._client is None:
            said = self._said
            told = {"log_level": 0, "error_cb": lambda error: said.append(error.str())}
            self._client = build_client(AdminClient, {**admin_config(self._address), **told})
        return self._client

    def _fail(self, exc: KafkaException) -> Any:
        # The client stays: it finds its way back, and to drop it amid an answer ends the process.
        said = list(self._said)
        self._said.clear()
        translate_kafka_error(self._address.bootstrap, exc.args[0], said)
