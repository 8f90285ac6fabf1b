"""Draw at random, the same for ever: numbers from a hash, values by how often they occur.

Invariant: a draw is a function of (salt, number) alone; no state, so records can be made in any order
and by several workers, and the values do not change with Python's version (`random` promises that for
`random()` only, not for `choice` or `shuffle`).
Elsewhere: what is drawn (`service.demo.people`, `service.demo.organisations`).
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Draws", "chance", "roll", "spread", "zipf_weights"]

Draws = tuple[int, ...]
"""Thirty-two independent numbers, each in [0, 65536)."""

T = TypeVar("T")

_unpack = Struct("<32H").unpack
_SIDES: Final = 65_536


def roll(salt: bytes, number: int) -> Draws:
    """Return the thirty-two numbers that belong to (salt, number)."""
    return _unpack(blake2b(number.to_bytes(8, "little"), digest_size=64, key=salt).digest())


def chance(probability: float) -> int:
    """Return the number below which a draw lies with this probability."""
    return round(probability * _SIDES)


def zipf_weights(count: int, *, offset: float, exponent: float) -> list[float]:
    """Return weights that fall with rank as names in life do: 1 / (rank + offset) ** exponent."""
    return [(rank + offset) ** -exponent for rank in range(1, count + 1)]


def spread(values: Sequence[T], weights: Iterable[float]) -> tuple[T, ...]:
    """Return 65,536 places filled with the values by weight, so that one look-up draws one of them.

    A value rarer than one in 65,536 may not occur; with these pools none is.
    """
    bounds = list(accumulate(weights))
    total = bounds[-1]
    places: list[T] = []
    for value, bound in zip(values, bounds, strict=True):
        places += [value] * (round(bound / total * _SIDES) - len(places))
    return tuple(places)
