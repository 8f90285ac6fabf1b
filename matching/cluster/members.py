"""What clustering is told of one component: its records, and what weights may not decide.

Invariant: records are named by their position in the component; whatever names them in another way stays with
the caller.
Elsewhere: what is made of them (`component`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from matching.model import Millibits

__all__ = ["UNCONSTRAINED", "Constraints", "Member", "PairWeights"]

PairWeights = Callable[[int, int], Millibits] | npt.NDArray[np.int64]
"""Unclipped weight of the records at two positions, symmetric: a function, or a square matrix."""


class Member(NamedTuple):
    """One record of a component, as far as clustering needs it."""

    order_key: tuple[bytes, bytes]  # (source, K) as UTF-8
    profile: int  # equal for records with equal source and standardised attributes
    pinned: bool = False  # weighs otherwise than its profile does: `same_as` evidence names it


@dataclass(frozen=True, slots=True)
class Constraints:
    """What weights may not decide, by position in the component."""

    joined: Sequence[Sequence[int]] = ()  # judged *same*; need not be closed
    apart_judged: Sequence[tuple[int, int]] = ()  # judged *different*
    apart_weaker: Sequence[tuple[int, int]] = ()  # kind, exclusive identifiers
    one_each: Sequence[Sequence[int]] = ()  # no two of a group: one record per customer of a source


UNCONSTRAINED: Final = Constraints()
