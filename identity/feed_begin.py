"""Say where a follower of the feed of changes begins.

Invariant: nobody follows from a place ahead of every event: what comes before it would never be told.
Elsewhere: cursors as text (`identity.cursor`), who follows (`identity.subscribers`, `streams.webhook_book`).
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from identity.cursor import FEED_START, parse_cursor
from identity.errors import StatementRefused
from identity.model import Instant
from identity.store_sql import tables

__all__ = ["check_is_told", "place_to_begin"]


def place_to_begin(connection: Connection, begin_at: str, *, feed_end: str) -> tuple[Instant, int]:
    """Return the place that a new follower begins behind.

    Args:
        begin_at: `now`, `start` or a cursor.
        feed_end: the cursor behind the last event that is final now.

    Raises:
        StatementRefused: `begin_at` is none of these, or ahead of the feed.
    """
    place = parse_cursor({"now": feed_end, "start": FEED_START}.get(begin_at, begin_at))
    check_is_told(connection, place)
    return place


def check_is_told(connection: Connection, place: tuple[Instant, int]) -> None:
    """Raise StatementRefused if a place is ahead of every event."""
    event = tables.event
    newest = connection.execute(
        select(event.c.known_at, event.c.seq).order_by(event.c.known_at.desc(), event.c.seq.desc()).limit(1)
    ).first()
    if place > (tuple(newest) if newest is not None else (0, 0)):
        raise StatementRefused("The cursor is ahead of the feed; give one that was read.")
