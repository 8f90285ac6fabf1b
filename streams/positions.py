"""Places in the order of a source's statements: a version within its epoch, or a time.

As text: `1234`, or `2:1234` with the epoch; PostgreSQL's `16/B374D848`, which is the same number; or a time
(RFC 3339). What number it is the source decides: PostgreSQL's LSN, or an offset of a log of its own.

Invariant: pure.
Elsewhere: how far a source has come (`streams.coverage`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from identity.errors import StatementRefused
from identity.model import Instant
from identity.statement import parse_instant
from streams.errors import PositionInvalid

__all__ = ["Position", "format_lsn", "read_position"]

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_EPOCH: Final = re.compile(r"[0-9]{1,10}")
_NUMBER_MAX: Final = (1 << 63) - 1
"""The greatest number that a store can hold."""
_EPOCH_MAX: Final = (1 << 31) - 1
_LOW_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Position:
    """Everything of a source up to a version, or everything up to a time; one of the two."""

    version: tuple[int, int] | None = None
    at: Instant | None = None


def read_position(text: str, *, epoch: int) -> Position:
    """Return the position that a text states.

    Args:
        epoch: of a number that does not say which.
    Raises:
        PositionInvalid: the text is none.
    """
    stated, colon, rest = text.partition(":")
    if colon and _EPOCH.fullmatch(stated) and int(stated) <= _EPOCH_MAX:
        if (number := _read_number(rest)) is not None:
            return Position((int(stated), number))
    if (number := _read_number(text)) is not None:
        return Position((epoch, number))
    try:
        at = parse_instant(text, "position")
    except StatementRefused:
        at = None
    if at is None:
        raise PositionInvalid(
            "A position is a number (with its epoch: 1:1234), PostgreSQL's LSN (16/B374D848) or a time as in RFC 3339."
        )
    return Position(at=at)


def format_lsn(number: int) -> str:
    """Return a number as PostgreSQL writes an LSN."""
    return f"{number >> _LOW_BITS:X}/{number & ((1 << _LOW_BITS) - 1):X}"


def _read_number(text: str) -> int | None:
    number = _NUMBER_MAX + 1
    if lsn := _LSN.fullmatch(text):
        number = (int(lsn[1], 16) << _LOW_BITS) | int(lsn[2], 16)
    elif _NUMBER.fullmatch(text):
        number = int(text)
    return number if number <= _NUMBER_MAX else None
