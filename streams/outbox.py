"""Read what is to be told of the store: events in order, what became of the CIDs they touched, and rejects.

How what a CID stands for is found:
1. A CID's state changes only together with an event that names it, so the CIDs of the events read are looked at.
2. A retired CID is told with the live CIDs that it leads to. These change when one on the way changes: so with a CID
   that had a state before, all retired ones that led to it are told again.
3. All of it is read as it was at the event's own `known_at`. Read again, an event gives the same messages.

Invariant: what `Outbox.read` gives is final: no transaction that commits later writes an event before the place
that it returns (`identity.horizon`). No event is left out, and those of one source key come in order of `version`.
Rejects have no such order, so each bears a mark of its own once it is told.
Elsewhere: how messages look (`streams.messages`), telling them (`streams.relay`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import orjson
from sqlalchemy import Connection, select, tuple_

from identity.assign import follow_successors
from identity.model import FOREVER, Cid, CidStatus, CrosswalkEvent, EventType, Instant, KeyStatus, RecordRef
from identity.service import Identity
from identity.store_sql import tables
from streams.refused import Reject, RejectBook

__all__ = ["BEGINNING", "KAFKA_PLACE", "CidChange", "KeyChange", "Outbox", "OutboxBatch", "OutboxPlace"]

_T = TypeVar("_T")
_NAMES_MAX: Final = 1_000
"""How many names one statement asks for."""


class OutboxPlace(NamedTuple):
    """A place in the order of all events: behind the one with these numbers."""

    known_at: Instant
    seq: int


BEGINNING: Final = OutboxPlace(0, 0)
KAFKA_PLACE: Final = "kafka"
"""The row of `relay_cursor` that says how far Kafka is told; others are of those who follow by other ways."""


class KeyChange(NamedTuple):
    """An event, and the status that its source key has from it on."""

    event: CrosswalkEvent
    status: KeyStatus


class CidChange(NamedTuple):
    """What a CID stands for from `known_at` on; `successors` are live, and none while it is live itself."""

    cid: Cid
    status: CidStatus
    successors: tuple[Cid, ...]
    known_at: Instant


@dataclass(frozen=True, slots=True)
class OutboxBatch:
    """Some of what is to be told, in order, and the place behind it."""

    keys: Sequence[KeyChange]
    cids: Sequence[CidChange]
    rejects: Sequence[Reject]
    end: OutboxPlace

    @property
    def begun_at(self) -> Instant | None:
        """When the oldest of it came to be; None when there is nothing to tell."""
        began = [
            *(one.event.known_at for one in self.keys[:1]),
            *(one.created_at for one in self.rejects[:1]),
        ]
        return min(began, default=None)


class _StateRow(NamedTuple):
    """One row of `cid_state`."""

    system_from: Instant
    system_to: Instant
    status: CidStatus
    successors: tuple[Cid, ...]


class Outbox:
    """Reads the outbox of one store."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._rejects = RejectBook(identity.store)

    def read(self, after: OutboxPlace, *, limit: int) -> OutboxBatch:
        """Return at most `limit` events behind a place with what became of their CIDs, and as many untold rejects."""
        rejects = self._rejects.list_untold(limit=limit)
        events, _ = self._identity.changes(f"{after.known_at}.{after.seq}", limit=limit)
        if not events:
            return OutboxBatch((), (), rejects, after)
        with self._identity.store.read() as connection:
            keys = [
                KeyChange(event, status)
                for event, status in zip(events, _read_statuses(connection, events), strict=True)
            ]
            cids = list(_CidStates(connection).iter_changes(events))
        return OutboxBatch(keys, cids, rejects, OutboxPlace(events[-1].known_at, events[-1].seq))

    def find_oldest_untold(self) -> Instant | None:
        """Return when the oldest event or reject came to be that is not told; None when all is told."""
        event, place, reject = tables.event, tables.relay_cursor, tables.reject
        with self._identity.store.read() as connection:
            told = select(place.c.known_at, place.c.seq).where(place.c.name == KAFKA_PLACE)
            at = connection.execute(told).first() or BEGINNING
            untold = (
                select(event.c.known_at)
                .where(tuple_(event.c.known_at, event.c.seq) > tuple_(*at))
                .order_by(event.c.known_at, event.c.seq)
                .limit(1)
            )
            refused = select(reject.c.created_at).where(reject.c.told_at.is_(None)).order_by(reject.c.id)
            found = [connection.scalar(untold), connection.scalar(refused.limit(1))]
        return min((one for one in found if one is not None), default=None)


_STATUS_OF: Final = {
    EventType.WITHDRAWN: KeyStatus.WITHDRAWN,
    EventType.RENAMED: KeyStatus.RENAMED,
    EventType.ERASED: KeyStatus.ERASED,
}


def _read_statuses(connection: Connection, events: Sequence[CrosswalkEvent]) -> list[KeyStatus]:
    """Return the status of each event's key; a `backdated` one leaves it as it is, which history tells."""
    backdated = {RecordRef(one.source, one.key) for one in events if one.type is EventType.BACKDATED}
    history, record = tables.crosswalk_history, tables.record
    rows: dict[RecordRef, list[tuple[Instant, Instant, KeyStatus]]] = defaultdict(list)
    for names in _parts(backdated):
        query = (
            select(
                record.c.source, record.c.key, history.c.system_from, history.c.system_to, history.c.status
            )
            .join(history, history.c.rid == record.c.rid)
            .where(tuple_(record.c.source, record.c.key).in_(names), history.c.valid_to == FOREVER)
        )
        for source, key, system_from, system_to, status in connection.execute(query):
            rows[RecordRef(source, key)].append((system_from, system_to, KeyStatus(status)))
    return [
        next(
            status
            for begin, end, status in rows[RecordRef(event.source, event.key)]
            if begin <= event.known_at < end
        )
        if event.type is EventType.BACKDATED
        else _STATUS_OF.get(event.type, KeyStatus.LIVE)
        for event in events
    ]


class _CidStates:
    """The states of some CIDs over time, read as they are needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[Cid, list[_StateRow]] = {}
        self._before: dict[Cid, set[Cid]] = {}

    def iter_changes(self, events: Sequence[CrosswalkEvent]) -> Iterator[CidChange]:
        """Yield what became of the CIDs of these events, in order of system time."""
        touched: dict[Instant, set[Cid]] = {}
        for event in events:
            named = touched.setdefault(event.known_at, set())
            named.update(cid for cid in (event.cid, event.previous_cid) if cid is not None)
        self._load(set().union(*touched.values()))
        changed = {
            at: {cid for cid in named if any(row.system_from == at for row in self._rows[cid])}
            for at, named in touched.items()
        }
        self._load_before(
            {cid for at, named in changed.items() for cid in named if self._rows[cid][0].system_from < at}
        )
        for at, named in changed.items():
            for cid in sorted(named | self._leading_to(named, at)):
                yield self._change(cid, at)

    def _change(self, cid: Cid, at: Instant) -> CidChange:
        state = self._at(cid, at)
        assert state is not None, "only a CID that has a state is looked at"
        if state.status is CidStatus.LIVE:
            return CidChange(cid, state.status, (), at)
        redirect: dict[Cid, tuple[CidStatus, tuple[Cid, ...]]] = {}
        waiting = [cid]
        while waiting:
            self._load(waiting)
            found = {one: row for one in waiting if (row := self._at(one, at)) is not None}
            redirect.update((one, (row.status, row.successors)) for one, row in found.items())
            waiting = [
                one
                for row in found.values()
                if row.status is not CidStatus.LIVE
                for one in row.successors
                if one not in redirect
            ]
        return CidChange(cid, state.status, follow_successors(cid, redirect), at)

    def _leading_to(self, named: Collection[Cid], at: Instant) -> set[Cid]:
        """Return the retired CIDs that led to these, over others that are retired too."""
        found: set[Cid] = set()
        waiting = list(named)
        while waiting:
            target = waiting.pop()
            for cid in self._before.get(target, ()):
                state = self._at(cid, at)
                if cid not in found and state is not None and target in state.successors:
                    found.add(cid)
                    waiting.append(cid)
        return found

    def _at(self, cid: Cid, at: Instant) -> _StateRow | None:
        return next((row for row in self._rows[cid] if row.system_from <= at < row.system_to), None)

    def _load(self, cids: Iterable[Cid]) -> None:
        """Read all states of these CIDs, oldest first."""
        state = tables.cid_state
        missing = {cid for cid in cids if cid not in self._rows}
        self._rows.update((cid, []) for cid in missing)
        for names in _parts(missing):
            query = (
                select(
                    state.c.cid, state.c.system_from, state.c.system_to, state.c.status, state.c.successors
                )
                .where(state.c.cid.in_(names))
                .order_by(state.c.cid, state.c.system_from)
            )
            for cid, system_from, system_to, status, successors in self._connection.execute(query):
                following = tuple(orjson.loads(successors)) if successors else ()
                self._rows[cid].append(_StateRow(system_from, system_to, CidStatus(status), following))

    def _load_before(self, cids: Iterable[Cid]) -> None:
        """Read which CIDs records left for these, and for those in turn, however many steps back."""
        event = tables.event
        waiting = set(cids)
        while waiting:
            self._before.update((cid, set()) for cid in waiting)
            for names in _parts(waiting):
                query = (
                    select(event.c.cid, event.c.previous_cid)
                    .where(event.c.cid.in_(names), event.c.previous_cid != event.c.cid)
                    .distinct()
                )
                for cid, previous in self._connection.execute(query):
                    self._before[cid].add(previous)
            waiting = set().union(*(self._before[cid] for cid in waiting)) - self._before.keys()
        self._load(set().union(*self._before.values()))


def _parts(names: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield the names in lists that one statement can take."""
    rest = iter(names)
    while part := list(islice(rest, _NAMES_MAX)):
        yield part
