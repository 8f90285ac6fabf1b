"""Cursors of the feed of changes: the place behind one event, as text.

Invariant: pure; the cursor behind an event is the event's id, and places compare as events are ordered.
Elsewhere: the feed (`identity.look_up`).
"""

from __future__ import annotations

from typing import Final

from identity.errors import StatementRefused
from identity.model import Instant

__all__ = ["FEED_START", "format_cursor", "parse_cursor"]

FEED_START: Final = "0.0"
"""Before the first event."""

_NUMBER_MAX: Final = 2**63 - 1


def format_cursor(known_at: Instant, seq: int) -> str:
    """Return the cursor of the place behind the event with these numbers."""
    return f"{known_at}.{seq}"


def parse_cursor(after: str | None) -> tuple[Instant, int]:
    """Return the place that a cursor names; raises StatementRefused when it is none of ours."""
    if not after or after == "0":
        return 0, 0
    known_at, dot, seq = after.partition(".")
    if dot and after.isascii() and known_at.isdecimal() and seq.isdecimal() and len(after) < 42:
        place = int(known_at), int(seq)
        if max(place) <= _NUMBER_MAX:
            return place
    raise StatementRefused("The cursor is not one that /v1/changes gave; begin without one.")
