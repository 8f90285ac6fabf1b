"""Notice when too many of a source's messages are stale: its versions may have begun anew.

After a failover or a restore of the source its log begins again at smaller positions; what it states from then on
would be older than what is held. Raising the contract's `epoch` mends it.

Invariant: pure but for what it has seen; `now_s` is any clock that only goes forward.
Elsewhere: what is stale (`identity.decide`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from streams.fate import Fate, Tally

__all__ = ["StaleAlarm"]

WINDOW_S: Final = 300.0
SHARE_MAX: Final = 0.01
MESSAGES_MIN: Final = 100
"""Fewer messages are no share: one stale message among ten is nothing."""


class StaleAlarm:
    """Watches one worker's sources."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int, int]]] = {}
        self._raised_at: dict[str, float] = {}

    def note(self, source: str, tally: Tally, *, now_s: float) -> float | None:
        """Count what was taken; return the stale share if it is time for an alarm, at most one in five minutes."""
        seen = self._seen.setdefault(source, deque())
        seen.append((now_s, tally.total(), tally[Fate.STALE]))
        while seen[0][0] <= now_s - WINDOW_S:
            seen.popleft()
        consumed = sum(one for _, one, _ in seen)
        share = sum(one for _, _, one in seen) / consumed if consumed else 0.0
        if consumed < MESSAGES_MIN or share <= SHARE_MAX:
            return None
        raised_at = self._raised_at.get(source)
        if raised_at is not None and now_s - raised_at < WINDOW_S:
            return None
        self._raised_at[source] = now_s
        return share
