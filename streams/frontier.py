"""Find out up to which position all that a streamed source has sent was taken.

Partitions have no common order: one that is quiet says nothing of how far the source is. So in rounds:
1. Note the greatest version that was taken of any partition, M.
2. A round later ask Kafka how long each partition is. What was sent before M is within that: a connector sends in the
   order of versions, and what it had under way when M was taken has arrived since.
3. When workers have taken all partitions up to there, everything before M was taken. M itself counts once the source
   is quiet: the rows of a snapshot all bear one position.
4. Begin anew. While a reject of the source is open, nothing moves: it is a statement that was not taken.

Invariant: a frontier is only given out when the ledger has followed what was taken.
Known limit: behind the marks of a producer's transactions (exactly-once source connectors) a quiet partition looks
longer than what can be taken of it; the frontier waits for its next message.
Elsewhere: where it is kept (`streams.ledger`), what it is for (`streams.coverage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from identity.service import Identity
from identity.store_sql import tables
from streams.coverage import CoverageBook
from streams.kafka_places import Extent, KafkaPlaces
from streams.ledger import DeliveryLedger, Place
from streams.offsets import OffsetBook, Partition, PartitionState, Reached
from streams.refused import RejectState
from streams.topics import TopicNames

__all__ = ["FrontierFinder", "SourceRounds"]


@dataclass(frozen=True, slots=True)
class _Barrier:
    """When all partitions are taken up to here, all before `reached` was taken."""

    reached: Reached
    extents: Mapping[Partition, Extent]
    taken: Mapping[Partition, int]


class SourceRounds:
    """The rounds of one source; pure but for what it has seen."""

    def __init__(self) -> None:
        self._before: Reached | None = None
        self._barrier: _Barrier | None = None

    def look(
        self, states: Mapping[Partition, PartitionState], extents: Mapping[Partition, Extent]
    ) -> Reached | None:
        """Take one round's facts; return the frontier if it is known now."""
        taken = {one: state.next_offset for one, state in states.items()}
        reached = _greatest(states)
        found: Reached | None = None
        barrier = self._barrier
        needed = states.keys() if barrier is None else states.keys() | barrier.extents.keys()
        if not needed <= extents.keys():  # of a partition without an answer nobody knows how long it is
            self._before = self._barrier = None
            return None
        if barrier is not None and _is_taken(taken, barrier.extents):
            found = barrier.reached if taken == barrier.taken else _just_before(barrier.reached)
            self._barrier = None
        if self._barrier is None and self._before is not None:
            self._barrier = _Barrier(self._before, extents, taken)
        self._before = reached
        return found


class FrontierFinder:
    """Finds the frontiers of all streamed sources of one store."""

    def __init__(self, identity: Identity, places: KafkaPlaces, names: TopicNames) -> None:
        self._store = identity.store
        self._offsets = OffsetBook(identity.store)
        self._ledger = DeliveryLedger(identity)
        self._book = CoverageBook(identity)
        self._places = places
        self._prefix = names.records("")
        self._rounds: dict[str, SourceRounds] = {}
        self._found: dict[str, tuple[Reached, Place]] = {}

    def look(self) -> None:
        """Take one round; raises KafkaUnreachable, KafkaRefused, and what a store raises."""
        states: dict[str, dict[Partition, PartitionState]] = {}
        for state in self._offsets.list_states():
            if state.partition.topic.startswith(self._prefix):
                states.setdefault(state.partition.topic, {})[state.partition] = state
        feed_end = self._book.find_feed_end()  # after the states: what was taken by then is before it
        extents = self._places.find_extents(states)
        for topic, own in states.items():
            source = topic.removeprefix(self._prefix)
            of_topic = {one: extent for one, extent in extents.items() if one.topic == topic}
            reached = self._rounds.setdefault(source, SourceRounds()).look(own, of_topic)
            if reached is not None and not self._has_open_reject(source):
                self._found.setdefault(source, (reached, feed_end))
        if self._found:
            self._ledger.follow(batches_max=10)
            self._raise(self._ledger.find_place())

    def _raise(self, followed: Place) -> None:
        """Give out the frontiers of which the ledger has followed all that was taken; the others wait.

        An older transaction that is open holds the feed's end back while later changes are committed already.
        """
        due = {source: reached for source, (reached, place) in self._found.items() if place <= followed}
        if due:
            with self._store.write() as tx:
                for source, reached in sorted(due.items()):
                    self._ledger.raise_frontier_in(tx, source, reached)
        for source in due:
            del self._found[source]

    def _has_open_reject(self, source: str) -> bool:
        table = tables.reject
        with self._store.read() as connection:
            query = select(table.c.id).where(
                table.c.state == RejectState.OPEN.value, table.c.source == source
            )
            return connection.execute(query.limit(1)).first() is not None


def _greatest(states: Mapping[Partition, PartitionState]) -> Reached | None:
    reached = [state.reached for state in states.values()]
    if not reached:
        return None
    epoch, number = max(one[:2] for one in reached)
    return Reached(epoch, number, max(one.stated_at for one in reached))


def _is_taken(taken: Mapping[Partition, int], extents: Mapping[Partition, Extent]) -> bool:
    return all(
        extent.begin == extent.end or taken.get(one, 0) >= extent.end for one, extent in extents.items()
    )


def _just_before(reached: Reached) -> Reached:
    return Reached(reached.epoch, max(-1, reached.number - 1), max(0, reached.stated_at - 1))
