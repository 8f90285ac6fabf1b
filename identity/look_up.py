"""Answer questions about keys and CIDs: now, and as it was believed at a time.

Invariants: an answer comes from one state of the store; one for a past `known_at` up to the returned
horizon never changes; a retired CID is followed to live ones, however many steps away.
Elsewhere: the fast path for one current key (`identity.store_sql.key_reader`), the statement for many
(`identity.store_sql.column_reader`), finding customers by their attributes (`identity.search`), why two records stand
as they do (`identity.explain`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, Select, and_, or_, select, tuple_

from identity.assign import follow_successors
from identity.cursor import FEED_START, format_cursor, parse_cursor
from identity.errors import CidUnknown, HorizonNotReached, KnownAtInFuture
from identity.horizon import Horizon
from identity.model import (
    FOREVER,
    Cause,
    CauseKind,
    Cid,
    CidStatus,
    CrosswalkEvent,
    EventType,
    Instant,
    KeyStatus,
    RecordRef,
)
from identity.store_sql import tables
from identity.store_sql.column_reader import read_cid_rows, read_cid_statuses, read_key_columns
from identity.store_sql.opening import SqlStore

__all__ = ["AlternateRef", "CidView", "LookUp", "LookUpAnswer", "ResolvedCid", "read_cid_states"]

_WAIT_S: Final = 2.0
_PAUSE_S: Final = 0.005
_PLACES_MAX: Final = 500
_NOT_RETIRED: Final = frozenset((None, CidStatus.LIVE.value))


class AlternateRef(NamedTuple):
    """Names a record by one of its alternate keys."""

    source: str
    key_name: str
    key: str


class LookUpAnswer(NamedTuple):
    """CID and status (text of a `KeyStatus`) of each key asked for, in order, and how far answers are final."""

    cids: list[Cid | None]
    statuses: list[str]
    horizon: Instant

    @property
    def rows(self) -> list[tuple[Cid | None, KeyStatus]]:
        """(CID, status) of each key asked for."""
        return [(cid, KeyStatus(status)) for cid, status in zip(self.cids, self.statuses, strict=True)]


class CidView(NamedTuple):
    """What a CID stands for now."""

    cid: Cid
    status: CidStatus
    successors: tuple[Cid, ...]
    records: tuple[RecordRef, ...]


class ResolvedCid(NamedTuple):
    """A CID with its status (None: never issued) and the live CIDs that it stands for."""

    cid: str
    status: CidStatus | None
    current: tuple[Cid, ...]


class LookUp:
    """Reads of one store."""

    def __init__(self, store: SqlStore, horizon: Horizon) -> None:
        self._store = store
        self._horizon = horizon

    # -- keys -------------------------------------------------------------------------------------------

    def look_up(
        self,
        refs: Sequence[RecordRef | AlternateRef],
        *,
        valid_at: Instant | None,
        known_at: Instant | None,
        now: Instant,
    ) -> LookUpAnswer:
        """Return the CID and status of each key.

        Args:
            valid_at: in the source's time; None asks for what holds now.
            known_at: in our time; None asks for what is believed now.

        Raises:
            KnownAtInFuture: `known_at` is ahead of the clock.
            HorizonNotReached: a write that began before `known_at` did not end within two seconds.
        """
        return self.look_up_columns(
            [ref.source for ref in refs],
            [ref.key for ref in refs],
            [ref.key_name if isinstance(ref, AlternateRef) else None for ref in refs],
            valid_at=valid_at,
            known_at=known_at,
            now=now,
        )

    def look_up_columns(
        self,
        sources: Sequence[str],
        keys: Sequence[str],
        names: Sequence[str | None] | None = None,
        *,
        valid_at: Instant | None,
        known_at: Instant | None,
        now: Instant,
    ) -> LookUpAnswer:
        """Return what `look_up` returns, asked by columns: thousands of values to name keys cost more than to find them.

        `names` are those of alternate keys, None for a record's own key, or None if there is none at all.
        """
        horizon = self._reach(known_at, now)
        with self._store.read_newest() as connection:
            found = read_key_columns(connection, sources, keys, names, valid_at=valid_at, known_at=known_at)
        return LookUpAnswer(*found, horizon)

    def _reach(self, known_at: Instant | None, now: Instant) -> Instant:
        if known_at is None:
            return self._horizon.recent(now)
        horizon = self._horizon.recent(now)
        if known_at > max(now, horizon):
            # The clock may have stepped back; what an answer of ours named as known stays askable.
            horizon = self._horizon.advance(now, can_write=False)
        if known_at > max(now, horizon):
            raise KnownAtInFuture(
                "known_at is ahead of the clock: what will be believed then is not known yet."
            )
        waited_until = time.monotonic() + _WAIT_S
        while horizon < known_at:
            horizon = self._horizon.advance(now)
            if horizon < known_at:
                if time.monotonic() > waited_until:
                    raise HorizonNotReached(
                        "A write that began before known_at has not ended yet; try again."
                    )
                time.sleep(_PAUSE_S)
        return horizon

    # -- CIDs -------------------------------------------------------------------------------------------

    def get_cid(self, cid: str) -> CidView:
        """Return what a CID stands for now; raises CidUnknown for one never issued."""
        record = tables.record
        with self._store.read() as connection:
            states = read_cid_states(connection, [cid], None)
            state = states.get(Cid(cid))
            if state is None:
                raise CidUnknown("This CID was never issued here.")
            records = connection.execute(
                select(record.c.source, record.c.key)
                .where(record.c.cid == cid, record.c.status == KeyStatus.LIVE.value)
                .order_by(record.c.source, record.c.key)
            ).all()
        successors = () if state[0] is CidStatus.LIVE else follow_successors(Cid(cid), states)
        return CidView(Cid(cid), state[0], successors, tuple(RecordRef(*row) for row in records))

    def resolve_cids(
        self, cids: Sequence[str], *, known_at: Instant | None, now: Instant
    ) -> tuple[list[ResolvedCid], Instant]:
        """Return the status of each CID and the live CIDs it stands for, now or as believed at `known_at`."""
        horizon = self._reach(known_at, now)
        with self._store.read() as connection:
            statuses = read_cid_statuses(connection, cids, known_at)
            retired = {cid for cid, status in zip(cids, statuses, strict=True) if status not in _NOT_RETIRED}
            states = read_cid_states(connection, retired, known_at)
        resolved = []
        for cid, status in zip(cids, statuses, strict=True):
            if status is None:
                resolved.append(ResolvedCid(cid, None, ()))
            elif status == CidStatus.LIVE.value:
                resolved.append(ResolvedCid(cid, CidStatus.LIVE, (Cid(cid),)))
            else:
                following = follow_successors(Cid(cid), states)
                resolved.append(ResolvedCid(cid, CidStatus(status), following))
        return resolved, horizon

    # -- events -----------------------------------------------------------------------------------------

    def cid_events(self, cid: str) -> list[CrosswalkEvent]:
        """Return every event by which a key came to this CID or left it, oldest first."""
        event = tables.event
        if "\x00" in cid:
            raise CidUnknown("This CID was never issued here.")
        with self._store.read() as connection:
            rows = connection.execute(
                _select_events()
                .where(or_(event.c.cid == cid, event.c.previous_cid == cid))
                .order_by(event.c.known_at, event.c.seq)
            ).all()
            if not rows and Cid(cid) not in read_cid_states(connection, [cid], None):
                raise CidUnknown("This CID was never issued here.")
        return [_as_event(row) for row in rows]

    def changes(
        self, after: str | None, *, limit: int, now: Instant, sources: Collection[str] | None = None
    ) -> tuple[list[CrosswalkEvent], str]:
        """Return events after a cursor, in the order of the feed, and the cursor behind the last of them.

        No event that commits later has a place before the returned cursor.

        Raises:
            StatementRefused: the cursor is none of ours.
        """
        known_at, seq = parse_cursor(after)
        event = tables.event
        bound = self._horizon.advance(now, can_write=False) if self._store.is_postgres else FOREVER
        query = (
            _select_events()
            .where(
                or_(event.c.known_at > known_at, and_(event.c.known_at == known_at, event.c.seq > seq)),
                event.c.known_at >= known_at,
                event.c.known_at <= bound,
            )
            .order_by(event.c.known_at, event.c.seq)
            .limit(limit)
        )
        with self._store.read() as connection:
            events = [_as_event(row) for row in connection.execute(query)]
        cursor = events[-1].id if events else format_cursor(known_at, seq)
        if sources is not None:
            events = [one for one in events if one.source in sources]
        return events, cursor

    def events_at(self, places: Sequence[tuple[Instant, int]]) -> list[CrosswalkEvent]:
        """Return the events with these numbers, in the order of the feed."""
        event = tables.event
        found: list[CrosswalkEvent] = []
        with self._store.read() as connection:
            for start in range(0, len(places), _PLACES_MAX):
                part = [tuple(one) for one in places[start : start + _PLACES_MAX]]
                query = _select_events().where(tuple_(event.c.known_at, event.c.seq).in_(part))
                found += [_as_event(row) for row in connection.execute(query)]
        return sorted(found, key=lambda one: (one.known_at, one.seq))

    def feed_end(self, *, now: Instant) -> str:
        """Return the cursor behind the last event that is final: what commits later comes after it."""
        event = tables.event
        bound = self._horizon.advance(now, can_write=False) if self._store.is_postgres else FOREVER
        query = (
            select(event.c.known_at, event.c.seq)
            .where(event.c.known_at <= bound)
            .order_by(event.c.known_at.desc(), event.c.seq.desc())
            .limit(1)
        )
        with self._store.read_newest() as connection:
            row = connection.execute(query).first()
        return FEED_START if row is None else format_cursor(*row)


def read_cid_states(
    connection: Connection, cids: Iterable[str], known_at: Instant | None
) -> dict[Cid, tuple[CidStatus, tuple[Cid, ...]]]:
    """Return the state of these CIDs and of all that their successors lead to."""
    states: dict[Cid, tuple[CidStatus, tuple[Cid, ...]]] = {}
    waiting, seen = set(cids), set[str]()
    while waiting:
        seen |= waiting
        found = read_cid_rows(connection, waiting, known_at)
        waiting = set()
        for cid, status, successors in found:
            following = tuple(orjson.loads(successors)) if successors else ()
            states[cid] = (CidStatus(status), following)
            waiting.update(following)
        waiting -= seen
    return states


def _select_events() -> Select[Any]:
    event, record = tables.event, tables.record
    return select(
        event.c.seq,
        event.c.type,
        record.c.source,
        record.c.key,
        event.c.cid,
        event.c.previous_cid,
        event.c.version,
        event.c.valid_from,
        event.c.known_at,
        event.c.cause_kind,
        event.c.cause_ref,
    ).join(record, record.c.rid == event.c.rid)


def _as_event(row: Any) -> CrosswalkEvent:
    return CrosswalkEvent(
        seq=row.seq,
        id=format_cursor(row.known_at, row.seq),
        type=EventType(row.type),
        source=row.source,
        key=row.key,
        cid=row.cid,
        previous_cid=row.previous_cid,
        version=row.version,
        valid_from=row.valid_from,
        known_at=row.known_at,
        cause=Cause(CauseKind(row.cause_kind), row.cause_ref),
    )
