"""Leave out candidate pairs that cannot be links, before the bulk engine compares them in full.

Most candidates are namesakes and neighbours, far below the link threshold. For each pair and comparison the levels
are found that it may have, by facts that cost some array operations (`identity.bulk.features`); the greatest weight
that any of them would give bounds the pair's weight from above. Only pairs whose bound reaches the threshold are
handed on, so that nothing is decided here that the engine would decide otherwise.

Invariant: no pair that links is left out. A measure that is not known here may always hold.
How: 1. each level's condition may hold or not (`identity.bulk.may_hold`); 2. levels that may be reached are a set of
bits, and tables give the extreme of what each such set weighs; 3. the weight formula of the scoring model is monotone
in those sums, so their extremes bound it (`matching.scoring_model`).
Elsewhere: exact weights (`matching.score`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.bulk.features import Features
from identity.bulk.may_hold import Asked, Sides
from matching.model import PROFILE_COLUMNS
from matching.scoring_model import TERM_STEP_MILLIBITS
from matching.tabulate import list_term_uses

if TYPE_CHECKING:
    from matching.compare import Condition
    from matching.scoring_model import Comparison, ScoringModel

__all__ = ["Sieve"]

_Flags = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

_PAIRS_AT_ONCE: Final = 100_000
_SLACK_MILLIBITS: Final = 5.0
"""More than weights and these bounds can differ by rounding."""


class Sieve:
    """Bounds weights of pairs of profiles of one load; `add` them, `seal`, then ask."""

    def __init__(self, model: ScoringModel) -> None:
        self._model = model
        self._features = Features(_group_columns(model))
        self._sums = [_Sums(model, comparison) for comparison in model.comparisons]
        self._ids: list[_Places] = []
        self._source_of: list[_Places] = []
        self._sources: list[str] = []
        self._present: list[_Flags] = []
        self._steps: list[_Places] = []
        self._use_count = len(list_term_uses(model))
        self._rates = [1000 * math.log2(found.rate) for found in model.classes]

    def add(self, ids: pa.Array, source: str, columns: pa.Table) -> None:
        """Add profiles as the engine takes them (`matching.tabulate`)."""
        if source not in self._sources:
            self._sources.append(source)
        self._ids.append(ids.to_numpy())
        self._source_of.append(np.full(len(ids), self._sources.index(source), dtype=np.int64))
        present = [
            np.logical_or.reduce(
                [columns[name].is_valid().to_numpy(zero_copy_only=False) for name in one.columns]
            )
            for one in self._model.comparisons
        ]
        self._present.append(
            np.stack(present, axis=1) if present else np.empty((len(ids), 0), dtype=np.bool_)
        )
        steps = [columns[f"steps_{number}"].to_numpy() for number in range(self._use_count)]
        self._steps.append(
            np.stack(steps, axis=1).astype(np.int64) if steps else np.empty((len(ids), 0), dtype=np.int64)
        )
        self._features.add(columns)

    def seal(self) -> None:
        """Make ready to be asked; nothing is added after this."""
        self._features.seal()
        ids = np.concatenate([np.empty(0, dtype=np.int64), *self._ids])
        self._order = np.argsort(ids, kind="stable")
        self._sorted_ids = ids[self._order]
        self._all_sources = np.concatenate([np.empty(0, dtype=np.int64), *self._source_of])
        if self._present:
            self._all_present = np.concatenate(self._present)
            self._all_steps = np.concatenate(self._steps)
        names = self._sources
        self._priors = np.array(
            [[self._model.find_prior(left, right) for right in names] for left in names], dtype=np.float64
        ).reshape(len(names), len(names))
        self._ids, self._source_of, self._present, self._steps = [], [], [], []

    def keep(self, left: _Places, right: _Places, *, link_min: int) -> _Flags:
        """Tell for each pair of ids whether its weight may be `link_min`; true where an id was not added."""
        kept = np.ones(len(left), dtype=np.bool_)
        if not len(self._sorted_ids):
            return kept
        for start in range(0, len(left), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            places, known = [], []
            for ids in (left[part], right[part]):
                at = np.minimum(np.searchsorted(self._sorted_ids, ids), len(self._sorted_ids) - 1)
                places.append(self._order[at])
                known.append(self._sorted_ids[at] == ids)
            bound = self._bound(Sides(*places))
            kept[part] = (bound >= link_min - _SLACK_MILLIBITS) | ~(known[0] & known[1])
        return kept

    def _bound(self, pairs: Sides) -> _Floats:
        """Return for each pair a weight that its own does not exceed."""
        base = self._priors[self._all_sources[pairs.left], self._all_sources[pairs.right]]
        ratios = [np.full(len(pairs.left), rate) for rate in self._rates]
        for number, sums in enumerate(self._sums):
            is_there = self._all_present[pairs.left, number] & self._all_present[pairs.right, number]
            at = np.flatnonzero(is_there)
            if not len(at):
                continue
            some = Sides(pairs.left[at], pairs.right[at])
            levels = self._find_levels(sums.comparison, some)
            steps = {
                use: np.minimum(self._all_steps[some.left, use], self._all_steps[some.right, use])
                for use in sums.uses
            }
            base[at] += sums.extreme(0, levels, steps)
            for place, ratio in enumerate(ratios, start=1):
                ratio[at] += sums.extreme(place, levels, steps)
        same, different = np.zeros(len(base)), np.ones(len(base))
        for found, ratio in zip(self._model.classes, ratios, strict=True):
            odds = np.exp2(ratio / 1000)
            if found.counts_as_same:
                same += odds
            else:
                different += odds
        bound: _Floats = 1000 * (np.log2(np.exp2(base / 1000) + same) - np.log2(different))
        return bound

    def _find_levels(self, comparison: Comparison, pairs: Sides) -> _Places:
        """Return for each pair, as bits, the levels that it may have."""
        levels = np.zeros(len(pairs.left), dtype=np.int64)
        is_open = np.ones(len(pairs.left), dtype=np.bool_)
        asked = Asked(self._features.columns, pairs)
        for place, level in enumerate(comparison.levels):
            if level.condition is None:
                levels[is_open] |= 1 << place
                break
            answer = asked.answer(level.condition)
            levels[is_open & answer.may] |= 1 << place
            is_open &= ~answer.does
        return levels


class _Sums:
    """What the levels of one comparison add to the base and to the ratio of each class, and the extremes of it."""

    def __init__(self, model: ScoringModel, comparison: Comparison) -> None:
        self.comparison = comparison
        uses = list_term_uses(model)
        self._with_terms = [
            (place, uses.index(level.terms)) for place, level in enumerate(comparison.levels) if level.terms
        ]
        self.uses = {use for _, use in self._with_terms}
        added = [[float(level.millibits) for level in comparison.levels]]
        self._is_greatest = [True]
        self._counts_terms = [True]
        for found in model.classes:
            shares = found.shares.get(comparison.name)
            added.append(
                [0.0] * len(comparison.levels)
                if shares is None
                else [
                    1000 * math.log2(share / level.u)
                    for share, level in zip(shares, comparison.levels, strict=True)
                ]
            )
            self._is_greatest.append(found.counts_as_same)
            self._counts_terms.append(shares is None)
        self._added = added
        plain = [place for place in range(len(comparison.levels)) if place not in dict(self._with_terms)]
        self._tables = [
            _tabulate({place: row[place] for place in plain}, len(row), is_greatest=is_greatest)
            for row, is_greatest in zip(added, self._is_greatest, strict=True)
        ]

    def extreme(self, place: int, levels: _Places, steps: Mapping[int, _Places]) -> _Floats:
        """Return the most that one of the levels adds; of a class that lowers the weight, the least.

        Args:
            place: 0 the base, then the classes.
            levels: bits of the levels that may be reached.
            steps: of each use of term frequencies, those of the commoner value.
        """
        extreme: _Floats = self._tables[place][levels]
        choose = np.maximum if self._is_greatest[place] else np.minimum
        for level, use in self._with_terms:
            value = np.full(len(levels), self._added[place][level])
            if self._counts_terms[place]:
                value += TERM_STEP_MILLIBITS * steps[use]
            is_there = (levels >> level) & 1 == 1
            extreme = np.where(is_there, choose(extreme, value), extreme)
        return extreme


def _tabulate(added: Mapping[int, float], level_count: int, *, is_greatest: bool) -> _Floats:
    """Return, by each set of levels as bits, the extreme of what those of them in `added` add."""
    worst = -math.inf if is_greatest else math.inf
    table = np.full(1 << level_count, worst)
    sets = np.arange(1 << level_count)
    for level, value in added.items():
        is_there = (sets >> level) & 1 == 1
        extreme = np.maximum(table, value) if is_greatest else np.minimum(table, value)
        table = np.where(is_there, extreme, table)
    return table


def _group_columns(model: ScoringModel) -> list[list[str]]:
    """Return the columns that conditions read, those that one of them compares with each other together."""
    groups: list[set[str]] = []
    for comparison in model.comparisons:
        for level in comparison.levels:
            for condition in _iter_measures(level.condition):
                joined = {name for name in condition.columns if name in PROFILE_COLUMNS}
                for group in [group for group in groups if group & joined]:
                    joined |= group
                    groups.remove(group)
                groups.append(joined)
    return [sorted(group) for group in groups if group]


def _iter_measures(condition: Condition | None) -> Iterator[Condition]:
    if condition is None:
        return
    if not condition.parts:
        yield condition
    for part in condition.parts:
        yield from _iter_measures(part)
