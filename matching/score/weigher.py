"""Turn level patterns into weights: the one place where levels become a weight.

Invariant: a weight is a whole number of millibits that depends on the pattern, the packed term steps and
the prior only; both engines take theirs from here, so they cannot differ.

 1. pattern = sum over comparisons of (0 absent, else 1 + level) * radix of the comparison;
 2. term steps = sum over comparisons with frequencies of (step + 128) * 256^index, steps of 100
     millibits;
 3. weight = the formula of `matching.scoring_model`.
Elsewhere: finding the pattern of a pair (`pattern`, `matching.engine_duckdb`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import add
from typing import Final

import numpy as np
import numpy.typing as npt

from matching.model import Millibits
from matching.scoring_model import TERM_STEP_MILLIBITS, Comparison, ScoringModel

__all__ = ["PatternWeigher"]

_TERM_RADIX: Final = 256
_TERM_ZERO: Final = 128


class PatternWeigher:
    """Weighs level patterns under one scoring model."""

    def __init__(self, model: ScoringModel) -> None:
        self.comparisons = model.comparisons
        self.radices: list[int] = []
        radix = 1
        for comparison in model.comparisons:
            self.radices.append(radix)
            radix *= len(comparison.levels) + 1
        self.term_users = [c.name for c in model.comparisons if any(level.terms for level in c.levels)]
        self.no_terms = self.pack_terms({})
        self._counts_as_same = [found.counts_as_same for found in model.classes]
        self._own_terms = [[name not in found.shares for found in model.classes] for name in self.term_users]
        self._rates = [round(1000 * math.log2(found.rate)) for found in model.classes]
        # By comparison and numbered level: what it adds to the base, then to the ratio of each class.
        self._parts = [
            (
                len(comparison.levels) + 1,
                list(
                    zip(
                        [0, *(level.millibits for level in comparison.levels)],
                        *(_ratios(found.shares.get(comparison.name), comparison) for found in model.classes),
                        strict=True,
                    )
                ),
            )
            for comparison in model.comparisons
        ]

    def weigh(self, pattern: int, term_steps: int, prior: Millibits) -> Millibits:
        """Return the weight of a pair from its numbered levels, packed term steps and prior."""
        sums = [prior, *self._rates]
        for level_count, parts in self._parts:
            pattern, level = divmod(pattern, level_count)
            if level:
                sums = list(map(add, sums, parts[level]))
        if term_steps != self.no_terms:
            for millibits, counts in zip(self.terms_of(term_steps).values(), self._own_terms, strict=True):
                sums[0] += millibits
                for number, is_counted in enumerate(counts, start=1):
                    if is_counted:
                        sums[number] += millibits
        base, *ratios = sums
        if not ratios:
            return base
        same, different = 0.0, 1.0
        for counts_as_same, ratio in zip(self._counts_as_same, ratios, strict=True):
            if counts_as_same:
                same += 2.0 ** (ratio / 1000)
            else:
                different += 2.0 ** (ratio / 1000)
        gained = 1000 * math.log2(2.0 ** (base / 1000) + same) if same else base
        return round(gained - 1000 * math.log2(different))

    def levels_of(self, pattern: int) -> list[int]:
        """Return for each comparison 0 (absent) or 1 + the position of its level."""
        levels = []
        for comparison in self.comparisons:
            pattern, level = divmod(pattern, len(comparison.levels) + 1)
            levels.append(level)
        return levels

    def pack_terms(self, steps: Mapping[str, int]) -> int:
        """Return the steps of the comparisons that use term frequencies as one number."""
        return sum(
            (steps.get(name, 0) + _TERM_ZERO) * _TERM_RADIX**index
            for index, name in enumerate(self.term_users)
        )

    def term_radix(self, name: str) -> int:
        """Return what a step of this comparison counts in packed term steps."""
        index = self.term_users.index(name)
        return int(_TERM_RADIX**index)

    def terms_of(self, term_steps: int) -> dict[str, Millibits]:
        """Return the adjustment of each comparison that uses term frequencies, in millibits."""
        terms = {}
        for name in self.term_users:
            term_steps, step = divmod(term_steps, _TERM_RADIX)
            terms[name] = (step - _TERM_ZERO) * TERM_STEP_MILLIBITS
        return terms

    def unpack_terms(self, term_steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the adjustments of many patterns in millibits: a row a pattern, a column a comparison with terms."""
        found = np.empty((len(term_steps), len(self.term_users)), dtype=np.int64)
        for place in range(len(self.term_users)):
            term_steps, steps = np.divmod(term_steps, _TERM_RADIX)
            found[:, place] = (steps - _TERM_ZERO) * TERM_STEP_MILLIBITS
        return found


def _ratios(shares: tuple[float, ...] | None, comparison: Comparison) -> list[int]:
    if shares is None:
        return [0] * (len(comparison.levels) + 1)
    pairs = zip(shares, comparison.levels, strict=True)
    return [0, *(round(1000 * math.log2(share / level.u)) for share, level in pairs)]
