"""Keep how far each subscriber has come in the feed of changes.

Invariant: a place moves forward only, and only from where its mover believes it to be; so of two consumers that share
a subscriber at most one moves it from a place, and nothing that was not acknowledged is passed over.
A subscriber belongs to an owner: the name of an API key, so that a key that replaces another goes on where it stood.
Elsewhere: the feed (`identity.look_up`), the routes (`identity.api.subscribers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.cursor import format_cursor, parse_cursor
from identity.errors import CursorMoved, Refused, SubscriberUnknown
from identity.feed_begin import check_is_told, place_to_begin
from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore

__all__ = ["SUBSCRIBERS_MAX", "Subscriber", "Subscribers"]

SUBSCRIBERS_MAX: Final = 100
"""How many subscribers an owner may have."""

_TABLE: Final = tables.subscriber
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Subscriber(NamedTuple):
    """A named place in the feed."""

    owner: str
    name: str
    cursor: str
    created_at: Instant
    moved_at: Instant


class Subscribers:
    """The subscribers of one store; thread-safe.

    Args:
        feed_end: gives the cursor behind the last event that is final now.
    """

    def __init__(self, store: SqlStore, *, feed_end: Callable[[], str], clock: Callable[[], Instant]) -> None:
        self._store = store
        self._feed_end = feed_end
        self._clock = clock

    def ensure(self, owner: str, name: str, *, begin_at: str) -> tuple[Subscriber, bool]:
        """Return the subscriber as it stands, and whether it was made now.

        Args:
            begin_at: `now`, `start` or a cursor: where one that is made begins. One that is there stays where it is.
        """
        if not _NAME.fullmatch(name):
            raise Refused(
                "The name of a subscriber is 1 to 63 characters of a-z, 0-9, _ and -, and starts with a letter or digit."
            )
        now, feed_end = self._clock(), self._feed_end()
        inserting = postgresql.insert if self._store.is_postgres else sqlite_dialect.insert
        with self._store.write() as tx:
            known_at, seq = place_to_begin(tx.connection, begin_at, feed_end=feed_end)
            if (row := _find(tx.connection, owner, name)) is not None:
                return _subscriber(row), False
            count = select(func.count()).select_from(_TABLE).where(_TABLE.c.owner == owner)
            if (tx.connection.scalar(count) or 0) >= SUBSCRIBERS_MAX:
                raise Refused(f"This API key has {SUBSCRIBERS_MAX} subscribers; delete one first.")
            values = {"owner": owner, "name": name, "known_at": known_at, "seq": seq}
            made = inserting(_TABLE).values(**values, created_at=now, moved_at=now).on_conflict_do_nothing()
            is_new = tx.connection.execute(made.returning(_TABLE.c.name)).first() is not None
        return self.get(owner, name), is_new

    def get(self, owner: str, name: str) -> Subscriber:
        """Return a subscriber; raises SubscriberUnknown."""
        with self._store.read() as connection:
            row = _find(connection, owner, name)
        if row is None:
            raise _unknown()
        return _subscriber(row)

    def list_of(self, owner: str | None) -> list[Subscriber]:
        """Return the subscribers of one owner, or with None of all."""
        query = select(_TABLE).order_by(_TABLE.c.owner, _TABLE.c.name)
        if owner is not None:
            query = query.where(_TABLE.c.owner == owner)
        with self._store.read() as connection:
            return [_subscriber(row) for row in connection.execute(query)]

    def acknowledge(self, owner: str, name: str, cursor: str, *, was: str | None = None) -> Subscriber:
        """Move a subscriber on to `cursor`: everything up to it is dealt with. Again, it changes nothing.

        Args:
            was: where the caller believes it to be; left out, anywhere before `cursor`.

        Raises:
            CursorMoved: it stands behind `cursor` already, or not at `was`.
            StatementRefused: `cursor` is none of ours, or ahead of the feed.
        """
        place = parse_cursor(cursor)
        believed = None if was is None else parse_cursor(was)
        now = self._clock()
        with self._store.write() as tx:
            row = _find(tx.connection, owner, name, is_locked=True)
            if row is None:
                raise _unknown()
            stands = (row.known_at, row.seq)
            if stands == place:
                return _subscriber(row)
            if stands > place or (believed is not None and stands != believed):
                raise CursorMoved(
                    f"The subscriber stands at {format_cursor(*stands)}; somebody has moved it. Read on from there."
                )
            check_is_told(tx.connection, place)
            tx.connection.execute(
                update(_TABLE).where(_is(owner, name)).values(known_at=place[0], seq=place[1], moved_at=now)
            )
        return Subscriber(owner, name, format_cursor(*place), row.created_at, now)

    def remove(self, owner: str, name: str) -> None:
        """Forget a subscriber; raises SubscriberUnknown."""
        with self._store.write() as tx:
            if tx.connection.execute(delete(_TABLE).where(_is(owner, name))).rowcount != 1:
                raise _unknown()


def _is(owner: str, name: str) -> ColumnElement[bool]:
    return and_(_TABLE.c.owner == owner, _TABLE.c.name == name)


def _find(connection: Connection, owner: str, name: str, *, is_locked: bool = False) -> Row[Any] | None:
    query = select(_TABLE).where(_is(owner, name))
    return connection.execute(query.with_for_update() if is_locked else query).first()


def _subscriber(row: Row[Any]) -> Subscriber:
    return Subscriber(row.owner, row.name, format_cursor(row.known_at, row.seq), row.created_at, row.moved_at)


def _unknown() -> SubscriberUnknown:
    return SubscriberUnknown("This API key has no subscriber of this name; make it with PUT first.")
