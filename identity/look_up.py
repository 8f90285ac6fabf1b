"""Answer questions about keys and CIDs: now, and as it was believed at a time.

Invariants: an answer comes from one state of the store; one for a past `known_at` up to the returned
horizon never changes; a retired CID is followed to live ones, however many steps away.
Elsewhere: the fast path for one current key (`identity.store_sql.key_reader`), finding customers by their
attributes (`identity.search`), why two records stand as they do (`identity.explain`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, Select, and_, or_, select

from identity.assign import follow_successors
from identity.errors import CidUnknown, HorizonNotReached, KnownAtInFuture, StatementRefused
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
from identity.store_sql.opening import SqlStore

__all__ = ["AlternateRef", "CidView", "LookUp", "LookUpAnswer", "ResolvedCid", "read_cid_states"]

_WAIT_S: Final = 2.0
_PAUSE_S: Final = 0.005
_CHUNK: Final = 500
_NUMBER_MAX: Final = 2**63 - 1
_NO_REF: Final = RecordRef("", "")
_CURRENT_SQLITE: Final = "SELECT cid, status FROM record WHERE source = ? AND key = ?"
_CURRENT_POSTGRES: Final = (
    "SELECT r.cid, r.status FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY k(source, key, place) "
    "LEFT JOIN record r ON r.source = k.source AND r.key = k.key ORDER BY k.place"
)
_NO_ROW: Final = (None, None)
_UNKNOWN: Final = (None, KeyStatus.UNKNOWN)
_STATUS: Final = {status.value: status for status in KeyStatus}


class AlternateRef(NamedTuple):
    """Names a record by one of its alternate keys."""

    source: str
    key_name: str
    key: str


class LookUpAnswer(NamedTuple):
    """(CID, status) of each key asked for, in order, and how far answers are final."""

    rows: list[tuple[Cid | None, KeyStatus]]
    horizon: Instant


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
        horizon = self._reach(known_at, now)
        is_current = valid_at is None and known_at is None
        if "\x00" in "".join(
            map("".join, refs)
        ):  # PostgreSQL takes none in a text: no such key was ever stored
            refs = [_NO_REF if "\x00" in "".join(ref) else ref for ref in refs]
        with self._store.read() as connection:
            if is_current and all(isinstance(ref, RecordRef) for ref in refs):
                return LookUpAnswer(self._find_current(connection, refs), horizon)
            rids = self._find_rids(connection, refs)
            if is_current:
                found = self._read_current(connection, rids.values())
            else:
                found = self._read_as_of(connection, rids.values(), valid_at=valid_at, known_at=known_at)
        return LookUpAnswer([found.get(rids.get(ref, -1), _UNKNOWN) for ref in refs], horizon)

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

    def _find_current(
        self, connection: Connection, refs: Sequence[RecordRef | AlternateRef]
    ) -> list[tuple[Cid | None, KeyStatus]]:
        """Return (CID, status) of records by key; on the driver's cursor, since rows of Core cost more than the query."""
        cursor: Any = connection.connection.cursor()
        if self._store.is_postgres:
            cursor.execute(_CURRENT_POSTGRES, ([ref.source for ref in refs], [ref.key for ref in refs]))
            rows = cursor.fetchall()
        else:
            execute = cursor.execute
            rows = [execute(_CURRENT_SQLITE, (ref.source, ref.key)).fetchone() or _NO_ROW for ref in refs]
        return [_UNKNOWN if status is None else (cid, _STATUS[status]) for cid, status in rows]

    def _find_rids(
        self, connection: Connection, refs: Iterable[RecordRef | AlternateRef]
    ) -> dict[RecordRef | AlternateRef, int]:
        plain = {ref for ref in refs if isinstance(ref, RecordRef)}
        alternate = {ref for ref in refs if isinstance(ref, AlternateRef)}
        found: dict[RecordRef | AlternateRef, int] = {}
        if self._store.is_postgres:
            found.update(self._find_rids_postgres(connection, plain, alternate))
            return found
        for ref in plain:
            row = connection.exec_driver_sql(
                "SELECT rid FROM record WHERE source = ? AND key = ?", tuple(ref)
            ).first()
            if row is not None:
                found[ref] = row[0]
        for other in alternate:
            row = connection.exec_driver_sql(
                "SELECT max(rid) FROM alternate_key WHERE source = ? AND name = ? AND value = ?", tuple(other)
            ).first()
            if row is not None and row[0] is not None:
                found[other] = row[0]
        return found

    @staticmethod
    def _find_rids_postgres(
        connection: Connection, plain: Collection[RecordRef], alternate: Collection[AlternateRef]
    ) -> dict[RecordRef | AlternateRef, int]:
        found: dict[RecordRef | AlternateRef, int] = {}
        if plain:
            rows = connection.exec_driver_sql(
                "SELECT r.source, r.key, r.rid FROM unnest(%s::text[], %s::text[]) k(source, key) "
                "JOIN record r ON r.source = k.source AND r.key = k.key",
                ([ref.source for ref in plain], [ref.key for ref in plain]),
            )
            found.update((RecordRef(source, key), rid) for source, key, rid in rows)
        if alternate:
            rows = connection.exec_driver_sql(
                "SELECT a.source, a.name, a.value, max(a.rid) FROM unnest(%s::text[], %s::text[], %s::text[]) "
                "k(source, name, value) JOIN alternate_key a ON a.source = k.source AND a.name = k.name "
                "AND a.value = k.value GROUP BY a.source, a.name, a.value",
                tuple([getattr(ref, part) for ref in alternate] for part in AlternateRef._fields),
            )
            found.update((AlternateRef(source, name, value), rid) for source, name, value, rid in rows)
        return found

    def _read_current(
        self, connection: Connection, rids: Collection[int]
    ) -> dict[int, tuple[Cid | None, KeyStatus]]:
        record = tables.record
        rows = _in_chunks(connection, select(record.c.rid, record.c.cid, record.c.status), record.c.rid, rids)
        return {rid: (cid, KeyStatus(status)) for rid, cid, status in rows}

    def _read_as_of(
        self,
        connection: Connection,
        rids: Collection[int],
        *,
        valid_at: Instant | None,
        known_at: Instant | None,
    ) -> dict[int, tuple[Cid | None, KeyStatus]]:
        history = tables.crosswalk_history
        query = select(history.c.rid, history.c.cid, history.c.status)
        if known_at is None:
            query = query.where(history.c.system_to == FOREVER)
        else:
            query = query.where(history.c.system_from <= known_at, history.c.system_to > known_at)
        if valid_at is None:
            query = query.where(history.c.valid_to == FOREVER)
        else:
            query = query.where(history.c.valid_from <= valid_at, history.c.valid_to > valid_at)
        rows = _in_chunks(connection, query, history.c.rid, rids)
        return {rid: (cid, KeyStatus(status)) for rid, cid, status in rows}

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
            states = read_cid_states(connection, cids, known_at)
        resolved = []
        for cid in cids:
            state = states.get(Cid(cid))
            if state is None:
                resolved.append(ResolvedCid(cid, None, ()))
            else:
                resolved.append(ResolvedCid(cid, state[0], follow_successors(Cid(cid), states)))
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
        known_at, seq = _read_cursor(after)
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
        cursor = f"{events[-1].known_at}.{events[-1].seq}" if events else f"{known_at}.{seq}"
        if sources is not None:
            events = [one for one in events if one.source in sources]
        return events, cursor


def read_cid_states(
    connection: Connection, cids: Iterable[str], known_at: Instant | None
) -> dict[Cid, tuple[CidStatus, tuple[Cid, ...]]]:
    """Return the state of these CIDs and of all that their successors lead to."""
    table = tables.cid_state
    query = select(table.c.cid, table.c.status, table.c.successors)
    if known_at is None:
        query = query.where(table.c.system_to == FOREVER)
    else:
        query = query.where(table.c.system_from <= known_at, table.c.system_to > known_at)
    states: dict[Cid, tuple[CidStatus, tuple[Cid, ...]]] = {}
    waiting = {cid for cid in cids if "\x00" not in cid}
    seen: set[str] = set()
    while waiting:
        seen |= waiting
        found = _in_chunks(connection, query, table.c.cid, waiting)
        waiting = set()
        for cid, status, successors in found:
            following = tuple(orjson.loads(successors)) if successors else ()
            states[cid] = (CidStatus(status), following)
            waiting.update(following)
        waiting -= seen
    return states


def _in_chunks(connection: Connection, query: Select[Any], column: Any, values: Collection[Any]) -> list[Any]:
    rows: list[Any] = []
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        rows.extend(connection.execute(query.where(column.in_(ordered[start : start + _CHUNK]))))
    return rows


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
        id=f"{row.known_at}.{row.seq}",
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


def _read_cursor(after: str | None) -> tuple[Instant, int]:
    if not after or after == "0":
        return 0, 0
    known_at, dot, seq = after.partition(".")
    if dot and after.isascii() and known_at.isdecimal() and seq.isdecimal() and len(after) < 42:
        cursor = int(known_at), int(seq)
        if max(cursor) <= _NUMBER_MAX:
            return cursor
    raise StatementRefused("The cursor is not one that /v1/changes gave; begin without one.")
