"""Say what became of a message, so that what was consumed can be counted out.

Invariant: every consumed message has exactly one fate; a tally is their count, and its sum is what was consumed.
Elsewhere: keeping tallies with the offsets they belong to (`streams.offsets`), taking messages (`streams.take`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from identity.model import Outcome, RecordAnswer

__all__ = ["Fate", "Tally", "fate_of"]


class Fate(StrEnum):
    """What became of one message."""

    APPLIED = "applied"
    """It is the record's current version now."""
    HELD = "held"
    """It is stored and shown, but not resolved and not told."""
    WAITING = "waiting"
    """It stands among the rejects until an earlier message of its record is replayed."""
    DUPLICATE = "duplicate"
    """It was recorded before."""
    STALE = "stale"
    """A newer version is held."""
    REJECTED = "rejected"
    """It cannot be taken; it stands among the rejects with its cause."""
    IGNORED = "ignored"
    """It says nothing about a record: a heartbeat, the tombstone after a deletion."""


Tally = Counter[Fate]
"""How many messages had each fate."""

_OF_OUTCOME: Final[Mapping[Outcome, Fate]] = {
    Outcome.HELD: Fate.HELD,
    Outcome.STALE: Fate.STALE,
    Outcome.UNCHANGED: Fate.DUPLICATE,
}


def fate_of(answers: Sequence[RecordAnswer]) -> Fate:
    """Return the fate of a message whose commands got these answers: what happened to most effect."""
    found = {_OF_OUTCOME.get(answer.outcome, Fate.APPLIED) for answer in answers}
    return next(
        (fate for fate in (Fate.APPLIED, Fate.HELD, Fate.STALE, Fate.DUPLICATE) if fate in found),
        Fate.IGNORED,
    )
