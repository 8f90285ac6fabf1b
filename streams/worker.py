"""Take the records topics of all sources into the store, for as long as it is told to.

Two threads: the caller's polls Kafka and is never blocked by the store; the other one takes what the first has put on
the shelf, batch after batch.

What goes wrong, and what is done about it:
1. The store or the broker is away, busy, full or being migrated: the same batch is tried again for ever, with growing
   pauses; meanwhile Kafka is polled and fetching pauses. Nothing of that becomes a reject.
2. Another worker took the messages: they are dropped, and the store is asked where to go on.
3. The lock table is full: the next batches have half as many messages.
4. Anything else is a broken invariant: the worker stops, and the offset stands before the batch.

Invariant: the two threads share the shelf only.
Elsewhere: one batch (`streams.take`), Kafka (`streams.consuming`), the process around it (`service.cli.worker`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from identity.model import Instant
from identity.service import Identity
from identity.store_sql.faults import LockTableFull
from matching.errors import SameasError
from streams.alarm import StaleAlarm
from streams.consuming import Consuming, Tell
from streams.kafka_options import KafkaAddress
from streams.offsets import OffsetBook, OffsetMoved, Partition
from streams.shelf import Shelf
from streams.take import Step, Taken, Taker
from streams.topics import TopicNames

__all__ = ["UNNOTED", "Worker", "WorkerNotes", "WorkerPlan", "group_of"]

_POLL_S: Final = 0.1
_IDLE_S: Final = 0.5
_SOURCES_S: Final = 2.0
"""How often it is looked for new and retired sources."""
_SETTLE_MAX: Final = 200
_PAUSE_FIRST_S: Final = 0.1
_PAUSE_MAX_S: Final = 5.0
_MOVED: Final = "taken_by_others"
_RECOVERY_BATCHES: Final = 50
"""After so many batches without a full lock table they may be larger again."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a worker is told by the settings."""

    address: KafkaAddress
    topics: TopicNames
    batch_records_max: int


class WorkerNotes(Protocol):
    """Is told what a worker does, for metrics; from two threads."""

    def took(self, taken: Collection[Taken]) -> None:
        """A batch was stored."""

    def failed(self, code: str) -> None:
        """A batch was not stored, and is tried again or left to another worker."""

    def raised_alarm(self, source: str, share: float) -> None:
        """Too many of the source's messages are stale."""

    def stands(self, lags: Mapping[Partition, int], *, paused_count: int) -> None:
        """How many messages of each assigned partition are not taken, and how many partitions are paused."""


class _Unnoted:
    def took(self, taken: Collection[Taken]) -> None: ...

    def failed(self, code: str) -> None: ...

    def raised_alarm(self, source: str, share: float) -> None: ...

    def stands(self, lags: Mapping[Partition, int], *, paused_count: int) -> None: ...


UNNOTED: Final[WorkerNotes] = _Unnoted()
"""Notes that nobody keeps."""


def group_of(topics: TopicNames) -> str:
    """Return the name of the consumer group that all workers of an installation form."""
    return f"{topics.prefix}-worker"


class Worker:
    """One worker; any number of them share the partitions."""

    def __init__(
        self,
        identity: Identity,
        plan: WorkerPlan,
        *,
        clock: Callable[[], Instant],
        monotonic_s: Callable[[], float],
        tell: Tell,
        notes: WorkerNotes = UNNOTED,
        step: Step = lambda name: None,
    ) -> None:
        self._identity = identity
        self._plan = plan
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._tell = tell
        self._notes = notes
        self._shelf = Shelf()
        self._offsets = OffsetBook(identity.store)
        self._taker = Taker(identity, plan.topics, clock=clock, step=step)
        self._alarm = StaleAlarm()
        self._topics: frozenset[str] = frozenset()
        self._topics_at = 0.0
        self._settle_at = 0.0
        self._limit = plan.batch_records_max
        self._batches_since_full = 0
        self._failure_count = 0
        self._failure: BaseException | None = None

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; the batch under way is finished, then the group is left.

        Raises:
            WorkerStopped, InvariantBroken: going on would pass over messages.
            KafkaOptionRefused: librdkafka does not take an option.
        """
        consuming = Consuming(
            self._plan.address,
            group=group_of(self._plan.topics),
            shelf=self._shelf,
            tell=self._tell,
            note_standing=lambda lags, paused_count: self._notes.stands(lags, paused_count=paused_count),
            monotonic_s=self._monotonic_s,
        )
        taking = threading.Thread(target=self._take_until_closed, name="taking", daemon=True)
        taking.start()
        try:
            while taking.is_alive() and not stopping.is_set():
                consuming.subscribe(self._topics)
                consuming.poll(_POLL_S)
        finally:
            self._shelf.close()
            taking.join()
            consuming.close()
        if self._failure is not None:
            raise self._failure

    # -- the taking thread --------------------------------------------------------------------------------

    def _take_until_closed(self) -> None:
        try:
            while not self._shelf.is_closed:
                self._take_once()
        except BaseException as exc:  # noqa: BLE001 - handed to the thread that runs the worker
            self._failure = exc

    def _take_once(self) -> None:
        try:
            self._watch_sources()
            self._locate()
            slices = self._shelf.pick(self._limit)
            if not slices:
                self._settle()
                self._shelf.wait(_IDLE_S)
                return
            taken = self._taker.take(slices)
        except OffsetMoved as moved:
            self._leave_to_others(moved.partitions)
        except SameasError as exc:
            if not exc.retryable:
                raise
            if isinstance(exc, LockTableFull):
                self._limit = max(1, self._limit // 2)
                self._batches_since_full = 0
            self._pause(exc.code)
        else:
            expected = {one.partition: one.expected for one in slices}
            for one in taken:
                self._shelf.mark_taken(
                    one.partition, expected=expected[one.partition], next_offset=one.next_offset
                )
            self._note(taken)

    def _watch_sources(self) -> None:
        now_s = self._monotonic_s()
        if now_s < self._topics_at:
            return
        self._topics_at = now_s + _SOURCES_S
        self._topics = frozenset(
            self._plan.topics.records(name)
            for name, entry in self._identity.contracts.read_current().items()
            if not entry.is_retired
        )

    def _settle(self) -> None:
        """Work off some of what is unsettled while there is nothing to take: no service need run beside."""
        now_s = self._monotonic_s()
        if now_s >= self._settle_at:
            left = self._identity.settle_some(limit=_SETTLE_MAX)
            self._settle_at = now_s + (_IDLE_S if left else _SOURCES_S)

    def _locate(self) -> None:
        if unlocated := self._shelf.list_unlocated():
            found = self._offsets.locate([partition for partition, _ in unlocated], now=self._clock())
            self._shelf.locate({assignment: found[assignment[0]] for assignment in unlocated})

    def _leave_to_others(self, partitions: Collection[Partition]) -> None:
        """Drop what is kept of partitions, and wait before asking the store where they go on."""
        self._shelf.misplace(partitions)
        self._notes.failed(_MOVED)
        self._tell(logging.INFO, "partitions_taken_by_others", count=len(partitions))
        self._pause_only()

    def _pause(self, code: str) -> None:
        self._notes.failed(code)
        self._tell(logging.WARNING, "store_not_ready", code=code, count=self._failure_count + 1)
        self._pause_only()

    def _pause_only(self) -> None:
        pause_s = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2**self._failure_count)
        self._failure_count = min(self._failure_count + 1, 16)
        self._shelf.wait(pause_s, is_anything_new=False)

    def _note(self, taken: Collection[Taken]) -> None:
        self._failure_count = 0
        self._notes.took(taken)
        self._batches_since_full += 1
        if self._batches_since_full >= _RECOVERY_BATCHES and self._limit < self._plan.batch_records_max:
            self._limit = min(self._plan.batch_records_max, self._limit * 2)
            self._batches_since_full = 0
        for one in taken:
            share = self._alarm.note(one.source, one.tally, now_s=self._monotonic_s())
            if share is not None:
                self._notes.raised_alarm(one.source, share)
                self._tell(logging.WARNING, "stale_share", source=one.source, share=round(share, 4))
