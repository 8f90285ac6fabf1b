"""Decide when a message that was not taken is sent again, and when a receiver counts as dead.

Invariant: pure; chance is an argument. Pauses grow to a day, as the Standard Webhooks specification proposes.
Elsewhere: sending (`streams.webhook_courier`).
"""

from __future__ import annotations

from typing import Final

from identity.model import Instant

__all__ = ["GONE", "is_dead", "pause_us"]

GONE: Final = 410
"""The status by which a receiver says that it wants nothing more."""

_PAUSES_S: Final = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER_MAX: Final = 0.2
_SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400 * _SECOND_US


def pause_us(failed_count: int, *, chance: float, retry_after_s: int | None = None) -> Instant:
    """Return how long to wait after so many failures in a row.

    Args:
        chance: in [0, 1): spreads those who failed together over up to a fifth more.
        retry_after_s: what the receiver asked for; it makes the pause longer, never shorter.
    """
    pause_s = _PAUSES_S[min(failed_count, len(_PAUSES_S)) - 1] * (1 + _JITTER_MAX * chance)
    return int(max(pause_s, retry_after_s or 0) * _SECOND_US)


def is_dead(failing_since: Instant | None, *, status: int, now: Instant, days_max: int) -> bool:
    """Tell whether nothing more is to be sent: the receiver said so, or has taken nothing for so many days."""
    return status == GONE or (failing_since is not None and now - failing_since >= days_max * _DAY_US)
