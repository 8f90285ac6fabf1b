"""Keep how far a relay has come, and which one that is: a row of the store for each thing that is told.

Invariant: the place moves only from where its mover believes it to be, and only while the mover holds the row; so
of two relays at most one moves it. What keeps both from *sending* to Kafka is Kafka, which fences the older producer.
Elsewhere: the relay (`streams.relay`), webhooks (`streams.webhook_courier`), the order of events (`streams.outbox`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SqlTransaction
from streams.outbox import BEGINNING, KAFKA_PLACE, OutboxPlace

__all__ = ["RelayPlace"]

_ROW: Final = tables.relay_cursor


class RelayPlace:
    """The row as one relay sees it.

    Args:
        holder: names this relay, no other process and no earlier run.
        name: of the row: whom is told.
        silent_us_max: a holder that has not shown itself for so long has ended.
    """

    def __init__(
        self, store: SqlStore, *, holder: str, silent_us_max: Instant, name: str = KAFKA_PLACE
    ) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._silent_us_max = silent_us_max
        self._seen: tuple[object, ...] | None = None
        self._seen_at: Instant = 0
        self._looked: Row[Any] | None = None
        self._beat_at: Instant = 0

    def take(self, now: Instant) -> None:
        """Take the row over, whoever holds it."""
        self._beat_at = now
        with self._store.write() as tx:
            values = {"holder": self._holder, "beat_at": now}
            insert = postgresql.insert if self._store.is_postgres else sqlite_dialect.insert
            begun = insert(_ROW).values(name=self._name, **BEGINNING._asdict(), **values)
            tx.connection.execute(begun.on_conflict_do_update(index_elements=["name"], set_=values))

    def find(self) -> OutboxPlace | None:
        """Return how far the relay has come; None when another one holds the row."""
        with self._store.read() as connection:
            row = connection.execute(select(_ROW.c.known_at, _ROW.c.seq).where(self._is_mine())).first()
        return None if row is None else OutboxPlace(*row)

    def is_free(self, now: Instant) -> bool:
        """Tell whether this relay may lead: it holds the row, or whoever does has shown nothing for too long.

        How long that is, only this machine's clock says; the holder's may be wrong.
        """
        with self._store.read() as connection:
            row = connection.execute(select(_ROW).where(_ROW.c.name == self._name)).first()
        self._looked = row
        if row is None or row.holder in (None, self._holder):
            return True
        if (seen := tuple(row)) != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at > self._silent_us_max

    def claim(self, now: Instant) -> bool:
        """Take the row over if it is as `is_free` last saw it; False when another relay was first, or has shown itself."""
        seen = self._looked
        if seen is None:
            return False
        is_as_seen = and_(
            _ROW.c.name == self._name,
            _ROW.c.holder.is_not_distinct_from(seen.holder),
            _ROW.c.beat_at == seen.beat_at,
        )
        self._beat_at = now
        with self._store.write() as tx:
            return _changes_one(tx.connection, is_as_seen, holder=self._holder, beat_at=now)

    def show(self, now: Instant) -> bool:
        """Show that this relay runs if it is time to; False when it was, and another one has taken over.

        For whoever asks often: it writes once in a quarter of the silence that is allowed, and else does nothing.
        """
        return now - self._beat_at <= self._silent_us_max // 4 or self.keep(now)

    def keep(self, now: Instant) -> bool:
        """Show that this relay runs; False when another one has taken over."""
        self._beat_at = now
        with self._store.write() as tx:
            return _changes_one(tx.connection, self._is_mine(), beat_at=now)

    def advance(
        self,
        was: OutboxPlace,
        to: OutboxPlace,
        *,
        now: Instant,
        beside: Callable[[SqlTransaction], None] = lambda tx: None,
    ) -> bool:
        """Move from one place to the next; False when another relay has taken over or moved it.

        Args:
            beside: writes what is to be committed with the move; not called when there is none.
        """
        self._beat_at = now
        with self._store.write() as tx:
            is_there = and_(self._is_mine(), _ROW.c.known_at == was.known_at, _ROW.c.seq == was.seq)
            is_moved = _changes_one(tx.connection, is_there, **to._asdict(), beat_at=now)
            if is_moved:
                beside(tx)
        return is_moved

    def leave(self) -> None:
        """Give the row up, so that another relay need not wait."""
        with self._store.write() as tx:
            _changes_one(tx.connection, self._is_mine(), holder=None)

    def _is_mine(self) -> ColumnElement[bool]:
        return and_(_ROW.c.name == self._name, _ROW.c.holder == self._holder)


def _changes_one(connection: Connection, where: ColumnElement[bool], **values: Any) -> bool:
    return connection.execute(update(_ROW).where(where).values(**values)).rowcount == 1
