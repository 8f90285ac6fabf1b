"""Keep where each partition of the records topics stands, in the store, with the counts of what was taken.

How a worker that lost a partition without knowing is kept out:
1. Whoever takes messages knows the offset that the store held when it began.
2. The transaction that stores their result moves that offset on, on the condition that it stands where it stood.
3. Where it does not, somebody else took the messages: `OffsetMoved`, and all of the transaction is undone.

Invariant: an offset only stands for results that are stored; for each partition
consumed = applied + held + waiting + duplicate + stale + rejected + ignored.
Elsewhere: who takes messages (`streams.take`), the table (`identity.store_sql.tables`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, RowMapping, literal, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SqlTransaction
from streams.errors import PartitionUnknown
from streams.fate import Fate, Tally

__all__ = [
    "BEGINNING",
    "Advance",
    "OffsetBook",
    "OffsetMoved",
    "Partition",
    "PartitionState",
    "Position",
    "Reached",
]

BEGINNING: Final = 0
"""Nothing of the partition was taken yet: begin with the earliest message that there is."""

_ADVANCE: Final = """
UPDATE stream_offset AS held
SET next_offset = moved.column4,
    taken_to = CASE WHEN moved.column4 > held.taken_to THEN moved.column4 ELSE held.taken_to END,
    refreshed_at = moved.column5, consumed = held.consumed + moved.column6, applied = held.applied + moved.column7,
    held = held.held + moved.column8, waiting = held.waiting + moved.column9,
    duplicate = held.duplicate + moved.column10, stale = held.stale + moved.column11,
    rejected = held.rejected + moved.column12, ignored = held.ignored + moved.column13,
    epoch = CASE WHEN moved.column14 > held.epoch THEN moved.column14 ELSE held.epoch END,
    number = CASE WHEN moved.column14 > held.epoch OR (moved.column14 = held.epoch AND moved.column15 > held.number)
             THEN moved.column15 ELSE held.number END,
    stated_at = CASE WHEN moved.column16 > held.stated_at THEN moved.column16 ELSE held.stated_at END
FROM (VALUES {rows}) AS moved
WHERE held.topic = moved.column1 AND held.partition = moved.column2 AND held.next_offset = moved.column3
"""
_ROW_MARKS: Final = ", ".join(["?"] * 16)


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


class Reached(NamedTuple):
    """The greatest version that was taken, as (epoch, number), and the latest time that a statement holds from."""

    epoch: int = 0
    number: int = -1
    stated_at: Instant = 0


NOTHING_REACHED: Final = Reached()


@dataclass(frozen=True, slots=True)
class Advance:
    """A partition's offset moves from `expected` to `next_offset`; the tally says what became of the messages."""

    partition: Partition
    expected: int
    next_offset: int
    tally: Tally
    reached: Reached = NOTHING_REACHED


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Where a partition stands, and what became of all that was consumed of it."""

    partition: Partition
    next_offset: int
    consumed: int
    tally: Tally
    refreshed_at: Instant
    reached: Reached


class Position(NamedTuple):
    """Where a partition goes on; the offsets in `taken` were taken before, and come again after a repositioning."""

    next_offset: int
    taken: range


class OffsetMoved(Exception):
    """Another worker took messages of one of these partitions meanwhile; nothing of the transaction was stored."""

    def __init__(self, partitions: Collection[Partition]) -> None:
        super().__init__()
        self.partitions = partitions


class OffsetBook:
    """The offsets of one store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def locate(self, partitions: Collection[Partition], *, now: Instant) -> dict[Partition, Position]:
        """Return the offset to go on from of each partition; one seen for the first time begins at `BEGINNING`."""
        wanted = set(partitions)
        found = self._read(wanted)
        if missing := sorted(wanted - found.keys()):
            insert = postgresql.insert if self._store.is_postgres else sqlite_dialect.insert
            rows = [
                {
                    "topic": topic,
                    "partition": number,
                    "next_offset": BEGINNING,
                    "taken_from": BEGINNING,
                    "taken_to": BEGINNING,
                    "refreshed_at": now,
                    "consumed": 0,
                    **{fate.value: 0 for fate in Fate},
                }
                for topic, number in missing
            ]
            with self._store.write() as tx:
                tx.connection.execute(insert(tables.stream_offset).on_conflict_do_nothing(), rows)
            found = self._read(wanted)
        return found

    @staticmethod
    def advance(tx: SqlTransaction, advances: Sequence[Advance], *, now: Instant) -> None:
        """Move the partitions' offsets on with the transaction's other writes.

        Raises:
            OffsetMoved: one of them does not stand where it was expected.
        """
        if not advances:
            return
        values: list[object] = []
        for one in sorted(advances, key=lambda one: one.partition):
            values += [*one.partition, one.expected, one.next_offset, now, one.tally.total()]
            values += [one.tally[fate] for fate in Fate]
            values += one.reached
        sql = _ADVANCE.replace("{rows}", ", ".join([f"({_ROW_MARKS})"] * len(advances)))
        mark = "%s" if tx.connection.dialect.name == "postgresql" else "?"
        moved = tx.connection.exec_driver_sql(sql.replace("?", mark), tuple(values))
        if moved.rowcount != len(advances):
            raise OffsetMoved([one.partition for one in advances])

    def list_states(self) -> list[PartitionState]:
        """Return every partition ever taken from, by topic and number."""
        table = tables.stream_offset
        with self._store.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.topic, table.c.partition))
            return [_state(row._mapping) for row in rows]

    @staticmethod
    def list_streamed(connection: Connection) -> frozenset[str]:
        """Return the sources whose statements came as a stream.

        A source's name has no dot, so the last part of its topic is it, whatever the prefix.
        """
        table = tables.stream_offset
        topics = connection.scalars(select(table.c.topic).where(table.c.consumed > 0).distinct())
        return frozenset(topic.rpartition(".")[2] for topic in topics)

    def reposition(
        self, topic: str, *, partition: int | None, next_offset: int, is_anew: bool = False
    ) -> int:
        """Set where a topic's partitions (or one of them) go on; return how many there were.

        Running workers notice and go on from there. What was taken before is recognised when it comes again, also
        where it has neither a version nor a time.

        Args:
            is_anew: the topic was made anew, so that an offset says nothing about what was taken before.
        Raises:
            PartitionUnknown: no worker has ever taken from it.
        """
        table = tables.stream_offset
        is_meant = table.c.topic == topic
        if partition is not None:
            is_meant &= table.c.partition == partition
        # What lies between was not taken: the offsets that were are remembered as one range only.
        is_beyond = or_(literal(is_anew), table.c.taken_from > next_offset, table.c.taken_to < next_offset)
        with self._store.write() as tx:
            tx.connection.execute(
                update(table).where(is_meant, is_beyond).values(taken_from=next_offset, taken_to=next_offset)
            )
            moved = tx.connection.execute(update(table).where(is_meant).values(next_offset=next_offset))
        if moved.rowcount == 0:
            raise PartitionUnknown(
                f"No worker has taken from {topic}{'' if partition is None else f' [{partition}]'}; "
                "`sameas worker status` lists what there is."
            )
        return moved.rowcount

    def _read(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        table = tables.stream_offset
        columns = (
            table.c.topic,
            table.c.partition,
            table.c.next_offset,
            table.c.taken_from,
            table.c.taken_to,
        )
        topics = sorted({partition.topic for partition in partitions})
        with self._store.read() as connection:
            rows = connection.execute(select(*columns).where(table.c.topic.in_(topics))).all()
        found = {
            Partition(topic, number): Position(next_offset, range(start, end))
            for topic, number, next_offset, start, end in rows
        }
        return {partition: found[partition] for partition in partitions if partition in found}


def _state(row: RowMapping) -> PartitionState:
    def number(name: str) -> int:
        value = row[name]
        assert isinstance(value, int)
        return value

    return PartitionState(
        Partition(str(row["topic"]), number("partition")),
        number("next_offset"),
        number("consumed"),
        Tally({fate: number(fate.value) for fate in Fate}),
        number("refreshed_at"),
        Reached(number("epoch"), number("number"), number("stated_at")),
    )
