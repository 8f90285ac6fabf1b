"""Take messages without Kafka: what a worker would have fetched, given to a `Taker` by hand.

Elsewhere: messages (`tests.streams.stream`), the same with the real broker (`tests/streams/test_worker.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from identity.service import Identity
from streams.fate import Tally
from streams.offsets import OffsetBook, Partition
from streams.reading import Fetched
from streams.refused import Reject, RejectBook, RejectFilter
from streams.take import Slice, Taken, Taker
from streams.topics import TopicNames
from tests.promises.world import Clock
from tests.streams.stream import Told

__all__ = ["TABLE", "Taking", "count_events"]

TABLE: dict[str, object] = {
    "domain": "sales",
    "key": "id",
    "mapping": {"email": "mail", "website": "web", "birth_place": "town"},
}
"""A contract for rows of a table."""


@dataclass
class Taking:
    """A taker and the partitions that it takes from."""

    identity: Identity
    step: Callable[[str], None] = lambda name: None
    clock: Clock = field(default_factory=Clock)
    topics: TopicNames = field(default_factory=lambda: TopicNames("t"))

    def __post_init__(self) -> None:
        self.taker = Taker(self.identity, self.topics, clock=self.clock, step=self.step)
        self.offsets = OffsetBook(self.identity.store)
        self.rejects = RejectBook(self.identity.store)

    def partition(self, number: int = 0, source: str = "crm") -> Partition:
        return Partition(self.topics.records(source), number)

    def slice(self, *told: Told, number: int = 0, source: str = "crm", at: int | None = None) -> Slice:
        """Return the messages as the next ones of a partition, or as those at an offset."""
        partition = self.partition(number, source)
        position = self.offsets.locate([partition], now=0)[partition]
        first = position.next_offset if at is None else at
        messages = [
            Fetched(partition, first + place, one.key, one.value, one.headers)
            for place, one in enumerate(told)
        ]
        return Slice(partition, position.next_offset, messages, position.taken)

    def take(self, *told: Told, number: int = 0, source: str = "crm") -> Tally:
        """Take all messages of one partition, in as many batches as it takes; return what became of them."""
        tally = Tally()
        left = list(told)
        while left:
            [taken] = self.taker.take([self.slice(*left, number=number, source=source)])
            tally += taken.tally
            left = left[taken.message_count :]
        return tally

    def take_together(self, *slices: Slice) -> list[Taken]:
        return self.taker.take(slices)

    def list_open(self) -> list[Reject]:
        return self.rejects.list_rejects(RejectFilter())


def count_events(identity: Identity) -> int:
    """Return how many changes were told."""
    return len(identity.changes(None, limit=10_000)[0])
