"""Decide what a statement means beside what is held of its record: newer, older, the same, a conflict.

Invariant: pure, and the greatest version by (version, effective_at, arrival) is current whatever the
order of arrival; a missing number is the smallest.
Elsewhere: history rows that follow (`identity.history`), the transaction (`identity.resolve`).
"""

from __future__ import annotations

from enum import StrEnum

from identity.model import Instant

__all__ = ["Standing", "VersionFacts", "decide_standing", "is_greater"]

VersionFacts = tuple[int | None, Instant | None, bytes]
"""A version's number, its `effective_at` and the digest of its content."""


class Standing(StrEnum):
    """How a statement stands beside the current version of its record."""

    NEWER = "newer"
    SAME = "same"  # the same content: at most its number and time are remembered
    OLDER = "older"
    CONFLICT = "conflict"  # the same number with other content


def decide_standing(stated: VersionFacts, held: VersionFacts) -> Standing:
    """Return how a statement that arrives now stands beside the current version held."""
    number, effective_at, digest = stated
    held_number, held_effective_at, held_digest = held
    if number is not None and number == held_number:
        return Standing.SAME if digest == held_digest else Standing.CONFLICT
    rank = (_rank(number), _rank(effective_at))
    if rank < (_rank(held_number), _rank(held_effective_at)):
        return Standing.OLDER
    return Standing.SAME if digest == held_digest else Standing.NEWER


def is_greater(stated: VersionFacts, held: VersionFacts) -> bool:
    """Return whether the number of the stated version, or where there is none its time, is greater than that held."""
    if stated[0] is not None:
        return _rank(stated[0]) > _rank(held[0])
    return held[0] is None and _rank(stated[1]) > _rank(held[1])


def _rank(value: int | None) -> tuple[int, int]:
    return (0, 0) if value is None else (1, value)
