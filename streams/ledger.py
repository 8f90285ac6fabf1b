"""Keep the delivery ledger: one row a record, and a tally a source.

For who delivers CIDs (webhooks, write-back, the relay) there are two doors; both take lists, and cost a fixed number
of statements each:

    ledger = DeliveryLedger(identity)
    ledger.acknowledge([Acknowledgement(RecordRef("crm", "7"), cid, Evidence.WEBHOOK, at=now)])  # own transaction
    ledger.acknowledge_in(tx, [...])            # beside other writes of a transaction; as its last writes
    ledger.note_sent_in(tx, [Sent(RecordRef("crm", "7"), version=3, at=now)])

`cid` is the CID that was delivered, as the message said it: if the record has another one by now, the acknowledgement
counts as one of an outdated CID. `version` counts the changes of the key (`CrosswalkEvent.version`). Records that
the store does not know are passed over.

The ledger reads the crosswalk's changes behind it, as every reader does (`follow`); nothing is written where records
are resolved. Any number of processes may follow: the cursor moves by compare-and-set.

Invariant: a row tells what `streams.delivery` makes of the facts; a source's tally is the sum of its rows.
Personal data: none; rows name a record by its number (`rid`) and go with it.
Elsewhere: coverage and the watermark (`streams.coverage`), where the evidence comes from (`streams.take`,
`streams.sink_offsets`, `streams.read_back`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.model import EventType, Instant, RecordRef
from identity.service import Identity
from identity.store import RecordRow
from identity.store_sql import tables
from identity.store_sql.transaction import SqlTransaction
from streams.delivery import (
    NO_NUMBER,
    Acknowledgement,
    Assignment,
    Delivery,
    Evidence,
    Gap,
    KeyNow,
    Sent,
    acknowledge_delivery,
    assign_delivery,
    note_sent,
)
from streams.offsets import OffsetBook, Reached

__all__ = ["BATCH_EVENTS", "DeliveryLedger", "Place"]

BATCH_EVENTS: Final = 1_000
"""Changes that one batch of the ledger takes over where nobody says otherwise."""
_CURSOR: Final = "ledger"
"""The ledger's row of `relay_cursor`."""
_RAISED: Final = "ledger.frontiers"
"""The row that says where the ledger was when it raised the frontiers of sources that are not streamed."""
_ROWS_MAX: Final = 500
"""Rows of one statement: 17 columns each stay under SQLite's 32,766 parameters."""

Place = tuple[Instant, int]
"""A place in the feed of all changes."""
_BEGIN: Final[Place] = (0, 0)

_Step = Callable[[Delivery], Delivery]
_Fact = Callable[[KeyNow, Delivery], Delivery]
"""What becomes of a delivery, of which the key stands so in the crosswalk."""

_NOT_LIVE: Final = frozenset({EventType.WITHDRAWN, EventType.RENAMED, EventType.ERASED})


class DeliveryLedger:
    """The ledger of one store."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._store = identity.store

    # -- what deliverers say ------------------------------------------------------------------------------

    def acknowledge(self, told: Sequence[Acknowledgement]) -> int:
        """Note which CIDs sources were found to have; return how many rows of the ledger that changed."""
        if not told:
            return 0
        with self._store.write() as tx:
            return self.acknowledge_in(tx, told)

    def acknowledge_in(self, tx: SqlTransaction, told: Sequence[Acknowledgement]) -> int:
        """Do the same with the transaction's other writes; call it once a transaction, after all else."""
        return self._take_facts(tx, [(one.ref, partial(_acknowledge, one)) for one in told])

    def note_sent_in(self, tx: SqlTransaction, sent: Sequence[Sent]) -> int:
        """Note what was handed over, with the transaction's other writes; likewise."""
        return self._take_facts(tx, [(one.ref, partial(_note_sent, one)) for one in sent])

    # -- what the crosswalk says --------------------------------------------------------------------------

    def follow(self, *, batches_max: int = 1, batch_events: int = BATCH_EVENTS) -> bool:
        """Take over the crosswalk's changes, at most so many batches; return whether all of them are.

        Cost: of a batch four statements, and a row of the ledger for each record.
        """
        return any(self._follow_one(batch_events) for _ in range(batches_max))

    def find_place(self) -> Place:
        """Return the place in the feed up to which the ledger has followed."""
        with self._store.read() as connection:
            return _read_place(connection, _CURSOR) or _BEGIN

    def _follow_one(self, batch_events: int) -> bool:
        """Take one batch; return whether nothing was left behind it."""
        with self._store.read() as connection:
            was = _read_place(connection, _CURSOR) or _BEGIN
            raised = _read_place(connection, _RAISED) or _BEGIN
        events, _ = self._identity.changes(f"{was[0]}.{was[1]}", limit=batch_events)
        if not events:
            return True
        end = (events[-1].known_at, events[-1].seq)
        is_end = len(events) < batch_events
        # Versions have no order in the feed: in the middle of it the greatest seen says nothing of those to come.
        furthest = self._find_furthest() if is_end and raised != was else {}
        epochs = _Epochs(self._identity)
        with self._store.write() as tx:
            is_moved = self._move(tx, _CURSOR, was, end)
            if is_moved:
                steps: dict[int, list[_Step]] = defaultdict(list)
                sources: dict[int, str] = {}
                for rid, change, is_born in _read_assignments(tx, was, end, epochs):
                    steps[rid].append(partial(_assign, change))
                    if is_born:
                        steps[rid].append(partial(_note_born, change))
                    sources[rid] = change.source
                    furthest[change.source] = _further(furthest.get(change.source), change.gap)
                self._apply(tx, sources, steps)
                if is_end:
                    streamed = OffsetBook.list_streamed(tx.connection)
                    for source in sorted(furthest.keys() - streamed):
                        self.raise_frontier_in(tx, source, furthest[source])
                    self._move(tx, _RAISED, raised, end)
        return is_moved and is_end

    def _move(self, tx: SqlTransaction, name: str, was: Place, end: Place) -> bool:
        """Move a row of `relay_cursor` on; return False where it does not stand where it stood."""
        table = tables.relay_cursor
        if was == _BEGIN:
            begun = self._insert(table).values(name=name, known_at=0, seq=0, holder=None, beat_at=end[0])
            tx.connection.execute(begun.on_conflict_do_nothing())
        moved = tx.connection.execute(
            update(table)
            .where(table.c.name == name, table.c.known_at == was[0], table.c.seq == was[1])
            .values(known_at=end[0], seq=end[1], beat_at=end[0])
        )
        return bool(moved.rowcount)

    def _find_furthest(self) -> dict[str, Reached]:
        """Return how far each source is by the ledger's rows. Cost: a walk through them, once after it was behind."""
        table = tables.delivery
        query = select(
            table.c.source, table.c.gap_epoch, func.max(table.c.gap_number), func.max(table.c.gap_at)
        ).group_by(table.c.source, table.c.gap_epoch)
        furthest: dict[str, Reached] = {}
        with self._store.read() as connection:
            for source, *gap in connection.execute(query):
                furthest[source] = _further(furthest.get(source), Gap(*gap))
        return furthest

    def raise_frontier_in(self, tx: SqlTransaction, source: str, reached: Reached) -> None:
        """Note that all of a source up to here was taken; what is not further than noted before changes nothing."""
        table = tables.delivery_tally
        query = self._insert(table).values(
            source=source,
            records=0,
            covered=0,
            frontier_epoch=reached.epoch,
            frontier_number=reached.number,
            frontier_at=reached.stated_at,
        )
        is_further = or_(
            table.c.frontier_epoch < reached.epoch,
            and_(table.c.frontier_epoch == reached.epoch, table.c.frontier_number < reached.number),
        )
        tx.connection.execute(
            query.on_conflict_do_update(
                index_elements=["source"],
                set_={
                    "frontier_epoch": case((is_further, reached.epoch), else_=table.c.frontier_epoch),
                    "frontier_number": case((is_further, reached.number), else_=table.c.frontier_number),
                    "frontier_at": case(
                        (table.c.frontier_at < reached.stated_at, reached.stated_at),
                        else_=table.c.frontier_at,
                    ),
                },
            )
        )

    # -- rows and tallies ---------------------------------------------------------------------------------

    def _take_facts(self, tx: SqlTransaction, facts: Sequence[tuple[RecordRef, _Fact]]) -> int:
        rows: dict[RecordRef, RecordRow] = {}
        for part in _parts(list(dict.fromkeys(ref for ref, _ in facts))):
            rows.update(tx.read_records(part))
        steps: dict[int, list[_Step]] = defaultdict(list)
        sources: dict[int, str] = {}
        for ref, fact in facts:
            if (row := rows.get(ref)) is not None:
                steps[row.rid].append(partial(fact, KeyNow(row.cid, row.system_from, row.key_version)))
                sources[row.rid] = ref.source
        return self._apply(tx, sources, steps)

    def _apply(
        self, tx: SqlTransaction, sources: Mapping[int, str], steps: Mapping[int, Sequence[_Step]]
    ) -> int:
        """Write what the steps make of the rows; return how many rows changed.

        Rows are locked in the order of their numbers, and tallies after all of them, so that two writers wait for
        each other instead of for ever.
        """
        deltas: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        changed = 0
        rest = sorted(steps)
        while rest:
            held = self._lock_rows(tx, rest)
            before_all = {rid: held.get(rid) or Delivery(rid, sources[rid]) for rid in rest}
            after = {rid: _take(before_all[rid], steps[rid]) for rid in rest}
            rest = [rid for rid in rest if after[rid] != before_all[rid]]
            there = [(held[rid], after[rid]) for rid in rest if rid in held]
            tx.update_rows("delivery", ("rid",), Delivery._fields[1:], [one for _, one in there])
            missing = [after[rid] for rid in rest if rid not in held]
            inserted = tx.insert_absent_rows("delivery", missing)
            there += [(before_all[one.rid], one) for one in missing if one.rid in inserted]
            for before, one in there:
                delta = deltas[one.source]
                delta[0] += one.is_live - before.is_live
                delta[1] += one.is_covered - before.is_covered
            changed += len(there)
            rest = [one.rid for one in missing if one.rid not in inserted]  # another writer was first
        self._add_to_tallies(tx, deltas)
        return changed

    def _lock_rows(self, tx: SqlTransaction, rids: Sequence[int]) -> dict[int, Delivery]:
        table = tables.delivery
        held: dict[int, Delivery] = {}
        for part in _parts(rids):
            query = select(table).where(table.c.rid.in_(part)).order_by(table.c.rid).with_for_update()
            held.update((row.rid, Delivery._make(row)) for row in tx.connection.execute(query))
        return held

    def _add_to_tallies(self, tx: SqlTransaction, deltas: Mapping[str, Sequence[int]]) -> None:
        table = tables.delivery_tally
        for source, (records, covered) in sorted(deltas.items()):
            if records or covered:
                query = self._insert(table).values(
                    source=source,
                    records=records,
                    covered=covered,
                    frontier_epoch=0,
                    frontier_number=NO_NUMBER,
                    frontier_at=0,
                )
                sums = {"records": table.c.records + records, "covered": table.c.covered + covered}
                tx.connection.execute(query.on_conflict_do_update(index_elements=["source"], set_=sums))

    def _insert(self, table: Any) -> Any:
        return (postgresql.insert if self._store.is_postgres else sqlite_dialect.insert)(table)


def _read_place(connection: Connection, name: str) -> Place | None:
    table = tables.relay_cursor
    row = connection.execute(select(table.c.known_at, table.c.seq).where(table.c.name == name)).first()
    return None if row is None else (row.known_at, row.seq)


class _Epochs:
    """The epoch of each contract version, read once a batch."""

    def __init__(self, identity: Identity) -> None:
        self._contracts = identity.contracts

    def of(self, source: str, contract_version: int) -> int:
        return self._contracts.get_version(source, contract_version).epoch


def _read_assignments(
    tx: SqlTransaction, after: tuple[Instant, int], to: tuple[Instant, int], epochs: _Epochs
) -> Iterable[tuple[int, Assignment, bool]]:
    """Yield the changes between two places, each with the version that its record had then.

    The last value tells whether the record's key is its CID, so that its source has it from birth.

    A version that was stated again under a greater number is taken by its smallest number: that is when it began.
    """
    event, record, version = tables.event, tables.record, tables.record_version
    again = version.alias()
    smallest = (
        select(func.min(again.c.version))
        .where(again.c.rid == event.c.rid, again.c.digest == version.c.digest,
               again.c.contract_version == version.c.contract_version)
        .scalar_subquery()
    )  # fmt: skip
    query = (
        select(
            event.c.rid,
            event.c.known_at,
            event.c.type,
            event.c.cid,
            event.c.version,
            record.c.source,
            record.c.key,
            smallest.label("number"),
            func.coalesce(version.c.effective_at, version.c.known_at).label("stated_at"),
            version.c.contract_version,
        )
        .join(record, record.c.rid == event.c.rid)
        .outerjoin(
            version,
            and_(
                version.c.rid == event.c.rid,
                version.c.known_at <= event.c.known_at,
                version.c.superseded_at > event.c.known_at,
            ),
        )
        .where(
            or_(event.c.known_at > after[0], and_(event.c.known_at == after[0], event.c.seq > after[1])),
            event.c.known_at >= after[0],
            or_(event.c.known_at < to[0], and_(event.c.known_at == to[0], event.c.seq <= to[1])),
            event.c.known_at <= to[0],
        )
        .order_by(event.c.known_at, event.c.seq)
    )
    for row in tx.connection.execute(query):
        kind = EventType(row.type)
        epoch = 0 if row.contract_version is None else epochs.of(row.source, row.contract_version)
        number = NO_NUMBER if row.number is None else row.number
        gap = Gap(epoch, number, row.known_at if row.stated_at is None else row.stated_at)
        is_live = None if kind is EventType.BACKDATED else kind not in _NOT_LIVE
        change = Assignment(row.source, row.cid, row.version, is_live, row.known_at, gap)
        yield row.rid, change, row.key == row.cid


def _assign(change: Assignment, held: Delivery) -> Delivery:
    return assign_delivery(held, change)


def _note_born(change: Assignment, held: Delivery) -> Delivery:
    told = Acknowledgement(RecordRef(change.source, ""), change.cid, Evidence.CID_SEEN, change.at)
    return acknowledge_delivery(held, told, now=KeyNow(change.cid, change.at, change.key_version))


def _further(reached: Reached | None, gap: Gap) -> Reached:
    if reached is None:
        return Reached(*gap)
    epoch, number = max(reached[:2], gap[:2])
    return Reached(epoch, number, max(reached.stated_at, gap.at))


def _acknowledge(told: Acknowledgement, now: KeyNow, held: Delivery) -> Delivery:
    return acknowledge_delivery(held, told, now=now)


def _note_sent(sent: Sent, _now: KeyNow, held: Delivery) -> Delivery:
    return note_sent(held, sent)


def _take(held: Delivery, steps: Iterable[_Step]) -> Delivery:
    for step in steps:
        held = step(held)
    return held


def _parts(names: Sequence[Any]) -> Iterable[Any]:
    for start in range(0, len(names), _ROWS_MAX):
        yield names[start : start + _ROWS_MAX]
