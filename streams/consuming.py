"""Fetch the messages of the records topics from Kafka, never waiting for the store.

How a partition is read from where the store says:
1. When it is assigned, it is paused at once; nothing of it is fetched before the store was asked.
2. When the shelf knows its offset, the consumer seeks there and goes on. Kafka's word on where to begin is not
   asked for: an offset that Kafka no longer has stops the worker.
3. Positions are committed to Kafka too, now and then, for tools that show lag; nothing here reads them.

Invariant: one thread calls a `Consuming`. Rebalances are cooperative: partitions that stay are not touched.
Elsewhere: what is kept of a partition (`streams.shelf`), options (`streams.kafka_options`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import MessagesLost, MessageUnreadable
from streams.kafka_admin import build_client
from streams.kafka_options import KafkaAddress, consumer_config
from streams.offsets import BEGINNING, Partition
from streams.reading import Fetched
from streams.shelf import Shelf

__all__ = ["Consuming", "Tell"]

_FETCH_MESSAGES_MAX: Final = 500
_COMMIT_S: Final = 5.0
_STAND_S: Final = 1.0
_NOTICE_MS: Final = 5_000
"""How soon a topic that was created is noticed."""
_QUIET: Final = frozenset({KafkaError._PARTITION_EOF, KafkaError._MAX_POLL_EXCEEDED})


class Tell(Protocol):
    """Logs an event; fields are ids and numbers."""

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        """Log it."""


class Consuming:
    """One member of the group of workers."""

    def __init__(
        self,
        address: KafkaAddress,
        *,
        group: str,
        shelf: Shelf,
        tell: Tell,
        monotonic_s: Callable[[], float],
        note_standing: Callable[[Mapping[Partition, int], int], None] = lambda lags, paused_count: None,
    ) -> None:
        """Build the consumer; raises KafkaOptionRefused when librdkafka does not take an option.

        Args:
            note_standing: told each second how many messages of each assigned partition are not taken, as far as
                Kafka has said, and of how many partitions fetching is paused.
        """
        self._shelf = shelf
        self._tell = tell
        self._note_standing = note_standing
        self._stand_at = 0.0
        self._monotonic_s = monotonic_s
        self._topics: frozenset[str] = frozenset()
        self._assigned: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._committed: dict[Partition, int] = {}
        self._commit_at = 0.0
        options = {"topic.metadata.refresh.interval.ms": _NOTICE_MS, **consumer_config(address, group=group)}
        self._consumer: Consumer = build_client(Consumer, {**options, "error_cb": self._note_error})

    def subscribe(self, topics: Collection[str]) -> None:
        """Read these topics from now on; a topic that is not there yet is read once it is."""
        if frozenset(topics) == self._topics:
            return
        self._topics = frozenset(topics)
        if not self._topics:
            self._consumer.unsubscribe()
            return
        self._consumer.subscribe(
            sorted(self._topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
        )

    def poll(self, timeout_s: float) -> None:
        """Fetch what there is to the shelf, waiting for it at most so long.

        Raises:
            MessagesLost: the store's offset of a partition is none that Kafka has.
            MessageUnreadable: Kafka's copy of a message is damaged.
        """
        is_waiting = self._seek()
        first = self._consumer.poll(0.01 if is_waiting else timeout_s)
        if first is not None:
            found = [first, *self._consumer.consume(_FETCH_MESSAGES_MAX, timeout=0)]
            self._shelf.put([_fetched(one) for one in found if not self._is_error(one)])
        self._balance()
        self._commit()
        self._stand()

    def close(self) -> None:
        """Leave the group; its other members take over at once."""
        self._commit(is_last=True)
        self._consumer.close()

    # -- partitions ---------------------------------------------------------------------------------------

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Paused before anything is fetched; where it begins does not matter, since it is sought to.
        consumer.incremental_assign(
            [TopicPartition(one.topic, one.partition, OFFSET_BEGINNING) for one in partitions]
        )
        consumer.pause(partitions)
        assigned = [Partition(one.topic, one.partition) for one in partitions]
        self._assigned.update(assigned)
        self._paused.update(assigned)
        self._shelf.assign(assigned)
        self._tell(logging.INFO, "partitions_assigned", count=len(assigned))

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        revoked = [Partition(one.topic, one.partition) for one in partitions]
        self._shelf.revoke(revoked)
        self._assigned.difference_update(revoked)
        self._paused.difference_update(revoked)
        consumer.incremental_unassign(partitions)
        self._tell(logging.INFO, "partitions_revoked", count=len(revoked))

    def _seek(self) -> bool:
        """Go where located partitions go on; return whether one could not yet."""
        is_waiting = False
        for (partition, number), offset in self._shelf.list_seeks():
            if partition not in self._assigned:
                continue
            start = OFFSET_BEGINNING if offset == BEGINNING else offset
            try:
                self._consumer.seek(TopicPartition(*partition, start))
            except KafkaException:
                is_waiting = True  # its fetcher is not there yet
                continue
            self._shelf.mark_sought((partition, number))
        return is_waiting

    def _balance(self) -> None:
        """Pause what is full, and what is not located; let the rest go on."""
        unready = {partition for (partition, _), _ in self._shelf.list_seeks()}
        unready.update(partition for partition, _ in self._shelf.list_unlocated())
        full = {
            partition
            for partition in self._assigned
            if partition in unready or self._shelf.is_full(partition, was_full=partition in self._paused)
        }
        if to_pause := full - self._paused:
            self._consumer.pause([TopicPartition(*one) for one in to_pause])
        if to_resume := self._paused - full:
            self._consumer.resume([TopicPartition(*one) for one in to_resume])
        self._paused = full

    def _commit(self, *, is_last: bool = False) -> None:
        now_s = self._monotonic_s()
        if now_s < self._commit_at and not is_last:
            return
        self._commit_at = now_s + _COMMIT_S
        positions = self._shelf.read_positions()
        moved = {
            one: at
            for one, at in positions.items()
            if one in self._assigned and self._committed.get(one) != at
        }
        if not moved:
            return
        try:
            self._consumer.commit(offsets=[TopicPartition(*one, at) for one, at in moved.items()])
        except KafkaException as exc:
            # Tools show some more lag than there is; the store knows better.
            self._tell(logging.DEBUG, "lag_not_shown", code=exc.args[0].name())
            return
        self._committed.update(moved)

    def _stand(self) -> None:
        now_s = self._monotonic_s()
        if now_s < self._stand_at:
            return
        self._stand_at = now_s + _STAND_S
        positions = self._shelf.read_positions()
        lags: dict[Partition, int] = {}
        for partition in self._assigned & positions.keys():
            # What the last fetch said: the broker is not asked. Below 0 before the first one.
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
            if end >= 0:
                lags[partition] = max(0, end - positions[partition])
        self._note_standing(lags, len(self._paused))

    # -- errors -------------------------------------------------------------------------------------------

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        where = f"{message.topic()} [{message.partition()}]"
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise MessagesLost(
                f"{where} goes on at offset {message.offset()}, which Kafka does not have: its retention was shorter than "
                "the workers were away, or the topic was made anew. Have the source state its records again if "
                f"messages are missing; then `sameas worker reposition {message.topic()} --earliest`."
            )
        if error.code() == KafkaError._BAD_MSG:
            raise MessageUnreadable(
                f"{where} holds a damaged message at offset {message.offset()}; repair the broker's log, or "
                f"`sameas worker reposition {message.topic()} --partition {message.partition()} --offset N` behind it."
            )
        if error.code() not in _QUIET:
            self._note_error(error, topic=message.topic())
        return True

    def _note_error(self, error: KafkaError, *, topic: str | None = None) -> None:
        """Log what Kafka's client goes on from by itself."""
        fields: dict[str, Any] = {"code": error.name()}
        if topic is not None:
            fields["topic"] = topic
        self._tell(logging.WARNING, "kafka_error", **fields)


def _fetched(message: Message) -> Fetched:
    topic, number, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert number is not None
    assert offset is not None
    headers: Sequence[tuple[str, bytes | None]] = message.headers() or ()  # type: ignore[assignment]
    return Fetched(Partition(topic, number), offset, message.key(), message.value(), headers)
