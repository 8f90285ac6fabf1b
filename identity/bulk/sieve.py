"""Leave out candidate pairs that cannot be links, before the bulk engine compares them in full.

Most candidates are namesakes and neighbours, far below the link threshold. For each pair and comparison the levels
are found that it may have, by facts that cost some array operations (`identity.bulk.features`); the greatest weight
that any of them would give bounds the pair's weight from above. Only pairs whose bound reaches the threshold are
handed on, so that nothing is decided here that the engine would decide otherwise.

Invariant: no pair that links is left out. A measure that is not known here may always hold.
How: 1. a condition is answered twice: may it hold, does it hold for certain; 2. levels that may be reached are a set
of bits, and tables give the extreme of what each such set weighs; 3. the weight formula of the scoring model is
monotone in those sums, so their extremes bound it (`matching.scoring_model`).
Elsewhere: the measures' meaning (`matching.compare`), exact weights (`matching.score`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.bulk.features import HEAD_BYTES, TAIL_BYTES, TEXT_BYTES_MAX, Column, Features, Texts
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
_SIMILARITY_SLACK: Final = 1e-6
_PREFIX: Final = 4  # that Jaro-Winkler looks at
_BOOST: Final = 0.1
_ACROSS: Final = np.uint64(0x0101010101010101)
_LAST_BYTE: Final = np.uint64(56)


class _Answer(NamedTuple):
    may: _Flags
    does: _Flags


class _Sides(NamedTuple):
    """Pairs, by the places of their two profiles among those added."""

    left: _Places
    right: _Places


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
            bound = self._bound(_Sides(*places))
            kept[part] = (bound >= link_min - _SLACK_MILLIBITS) | ~(known[0] & known[1])
        return kept

    def _bound(self, pairs: _Sides) -> _Floats:
        """Return for each pair a weight that its own does not exceed."""
        base = self._priors[self._all_sources[pairs.left], self._all_sources[pairs.right]]
        ratios = [np.full(len(pairs.left), rate) for rate in self._rates]
        for number, sums in enumerate(self._sums):
            is_there = self._all_present[pairs.left, number] & self._all_present[pairs.right, number]
            at = np.flatnonzero(is_there)
            if not len(at):
                continue
            some = _Sides(pairs.left[at], pairs.right[at])
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

    def _find_levels(self, comparison: Comparison, pairs: _Sides) -> _Places:
        """Return for each pair, as bits, the levels that it may have."""
        levels = np.zeros(len(pairs.left), dtype=np.int64)
        is_open = np.ones(len(pairs.left), dtype=np.bool_)
        asked = _Asked(self._features.columns, pairs)
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


@dataclass(slots=True)
class _Asked:
    """Conditions asked of some pairs."""

    columns: Mapping[str, Column]
    pairs: _Sides
    answers: dict[Condition, _Answer] = field(default_factory=dict)  # levels ask the same things

    def answer(self, condition: Condition) -> _Answer:
        answer = self.answers.get(condition)
        if answer is None:
            answer = self.answers[condition] = self._find_answer(condition)
        return answer

    def _find_answer(self, condition: Condition) -> _Answer:
        if condition.operator in ("all", "any"):
            join = np.logical_and if condition.operator == "all" else np.logical_or
            answers = [self.answer(part) for part in condition.parts]
            return _Answer(*(join.reduce(flags) for flags in zip(*answers, strict=True)))
        if condition.operator == "not":
            inner = self.answer(condition.parts[0])
            return _Answer(~inner.does, ~inner.may)
        measure = _MEASURES.get(condition.operator)
        if measure is None:
            return self.open(np.ones(len(self.pairs.left), dtype=np.bool_))
        return measure(self, condition)

    def open(self, may: _Flags) -> _Answer:
        """Return an answer that is certain of nothing but what is excluded."""
        return _Answer(may, np.zeros(len(may), dtype=np.bool_))

    def column(self, condition: Condition, place: int = 0) -> Column:
        return self.columns[condition.columns[place]]

    def texts(
        self, condition: Condition, place: int = 0
    ) -> tuple[Texts, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the facts of a text column with the codes of both sides."""
        column = self.column(condition, place)
        return column.texts, column.codes[self.pairs.left, 0], column.codes[self.pairs.right, 0]

    def any_elements(
        self,
        condition: Condition,
        test: Callable[[Texts, npt.NDArray[np.int32], npt.NDArray[np.int32]], _Flags],
    ) -> tuple[_Flags, _Flags]:
        """Tell whether the test holds for some element of each side, and whether a side has more than is laid out."""
        column = self.column(condition)
        left, right = column.codes[self.pairs.left], column.codes[self.pairs.right]
        found = np.zeros(len(left), dtype=np.bool_)
        # Most lists have one element: what is beyond it is looked at where there is something.
        several = np.flatnonzero((left[:, 1:2] > 0).any(axis=1) | (right[:, 1:2] > 0).any(axis=1))
        for x, y in product(range(left.shape[1]), range(right.shape[1])):
            rows = several if x or y else np.arange(len(left))
            at = rows[(left[rows, x] > 0) & (right[rows, y] > 0) & ~found[rows]]
            if len(at):
                found[at] = test(column.texts, left[at, x], right[at, y])
        return found, column.has_more[self.pairs.left] | column.has_more[self.pairs.right]


_Codes = npt.NDArray[np.int32]
_Test = Callable[["_Asked", "Condition"], _Answer]


def _is_equal(_texts: Texts, left: _Codes, right: _Codes) -> _Flags:
    equal: _Flags = left == right
    return equal


def _same(asked: _Asked, condition: Condition) -> _Answer:
    _, left, right = asked.texts(condition)
    equal = (left == right) & (left > 0)
    return _Answer(equal, equal)


def _shares(asked: _Asked, condition: Condition) -> _Answer:
    shared, has_more = asked.any_elements(condition, _is_equal)
    if condition.words or condition.whole_number > 1:
        return asked.open(shared | has_more)
    return _Answer(shared | has_more, shared)


def _shares_some(asked: _Asked, condition: Condition) -> _Answer:
    """Of measures that need an element in common, and more that is not looked at here."""
    shared, has_more = asked.any_elements(condition, _is_equal)
    return asked.open(shared | has_more)


def _found_in(asked: _Asked, condition: Condition) -> _Answer:
    _, left, right = asked.texts(condition)
    listed = asked.column(condition, 1)
    pairs = asked.pairs
    found = ((listed.codes[pairs.right] == left[:, None]) & (left[:, None] > 0)).any(axis=1)
    found |= ((listed.codes[pairs.left] == right[:, None]) & (right[:, None] > 0)).any(axis=1)
    return _Answer(found | listed.has_more[pairs.left] | listed.has_more[pairs.right], found)


def _crossed(asked: _Asked, condition: Condition) -> _Answer:
    _, one_left, one_right = asked.texts(condition)
    _, other_left, other_right = asked.texts(condition, 1)
    crossed = (one_left == other_right) & (other_left == one_right) & (one_left > 0) & (other_left > 0)
    return _Answer(crossed, crossed)


def _crossed_alike(asked: _Asked, condition: Condition) -> _Answer:
    texts, one_left, one_right = asked.texts(condition)
    _, other_left, other_right = asked.texts(condition, 1)
    may = (one_left > 0) & (one_right > 0) & (other_left > 0) & (other_right > 0)
    for left, right in ((one_left, other_right), (other_left, one_right)):
        at = np.flatnonzero(may)
        may[at] = _may_be_alike(texts, left[at], right[at], condition.number)
    return asked.open(may)


def _alike(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    may = (left > 0) & (right > 0)
    at = np.flatnonzero(may)
    may[at] = _may_be_alike(texts, left[at], right[at], condition.number)
    return asked.open(may)


def _edited(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    may = (left > 0) & (right > 0)
    at = np.flatnonzero(may)
    may[at] = _may_be_edited(texts, left[at], right[at], condition)
    return asked.open(may)


def _best_alike(asked: _Asked, condition: Condition) -> _Answer:
    found, has_more = asked.any_elements(
        condition, lambda texts, left, right: _may_be_alike(texts, left, right, condition.number)
    )
    return asked.open(found | has_more)


def _best_edited(asked: _Asked, condition: Condition) -> _Answer:
    found, has_more = asked.any_elements(
        condition, lambda texts, left, right: _may_be_edited(texts, left, right, condition)
    )
    return asked.open(found | has_more)


def _same_end(asked: _Asked, condition: Condition) -> _Answer:
    length = min(condition.whole_number, TAIL_BYTES)

    def test(texts: Texts, left: _Codes, right: _Codes) -> _Flags:
        return _is_same(texts.tails, left, right, length)

    found, has_more = asked.any_elements(condition, test)
    return asked.open(found | has_more)


def _same_start(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    return asked.open(_is_same(texts.heads, left, right, min(condition.whole_number, HEAD_BYTES)))


def _initial(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    is_one = (texts.lengths[left] == 1) != (texts.lengths[right] == 1)
    return asked.open(is_one & _is_same(texts.heads, left, right, 1))


def _extends(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    ours, theirs = texts.lengths[left], texts.lengths[right]
    may = (ours != theirs) & (np.minimum(ours, theirs) >= condition.length_min)
    return asked.open(may & _is_same(texts.heads, left, right, min(max(condition.length_min, 1), HEAD_BYTES)))


def _word_shared(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    return asked.open((left == right) | texts.has_space(left) | texts.has_space(right))


def _date_parts(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    is_full = (texts.lengths[left] == 10) & (texts.lengths[right] == 10)
    equal = texts.heads[left] == texts.heads[right]
    same = sum(equal[:, start:end].all(axis=1).astype(np.int64) for start, end in ((0, 4), (5, 7), (8, 10)))
    found = is_full & (same >= condition.whole_number)
    return _Answer(found, found)


def _date_swapped(asked: _Asked, condition: Condition) -> _Answer:
    texts, left, right = asked.texts(condition)
    is_full = (texts.lengths[left] == 10) & (texts.lengths[right] == 10)
    ours, theirs = texts.heads[left], texts.heads[right]
    found = is_full & (ours[:, :4] == theirs[:, :4]).all(axis=1)
    found &= (ours[:, 5:7] == theirs[:, 8:10]).all(axis=1) & (ours[:, 8:10] == theirs[:, 5:7]).all(axis=1)
    return _Answer(found, found)


_MEASURES: Final[Mapping[str, _Test]] = {
    "same": _same,
    "shares": _shares,
    "shares_mailbox": _shares_some,
    "named_mailbox": _shares_some,
    "contained": _shares_some,
    "share_percent": _shares_some,
    "found_in": _found_in,
    "crossed": _crossed,
    "crossed_jaro_winkler": _crossed_alike,
    "jaro_winkler": _alike,
    "damerau": _edited,
    "levenshtein": _edited,
    "best_jaro_winkler": _best_alike,
    "best_damerau": _best_edited,
    "shares_end": _same_end,
    "same_start": _same_start,
    "initial": _initial,
    "extends": _extends,
    "word_shared": _word_shared,
    "date_parts": _date_parts,
    "date_swapped": _date_swapped,
}
"""Answers of the measures; what is not here may always hold."""


def _is_same(bytes_of: npt.NDArray[np.uint8], left: _Codes, right: _Codes, length: int) -> _Flags:
    """Tell which values have their first (or last) `length` bytes in common, or end before."""
    same: _Flags = (
        (bytes_of[left, :length] == bytes_of[right, :length]).all(axis=1) & (left > 0) & (right > 0)
    )
    return same


def _count_common(texts: Texts, left: _Codes, right: _Codes) -> npt.NDArray[np.int64]:
    """Return how many characters two values have in common at most, wherever these stand."""
    # Eight classes a word: their counts, 64 in all at most, are added without a carry, then across the word.
    least = np.minimum(texts.counts[left], texts.counts[right]).view(np.uint64)
    common: npt.NDArray[np.int64] = ((least.sum(axis=1) * _ACROSS) >> _LAST_BYTE).astype(np.int64)
    return common


def _may_be_edited(texts: Texts, left: _Codes, right: _Codes, condition: Condition) -> _Flags:
    """An edit makes at most one character that the other value lacks; an exchange of neighbours makes none."""
    long_enough = np.minimum(texts.lengths[left], texts.lengths[right]) >= condition.length_min
    longer = np.minimum(np.maximum(texts.lengths[left], texts.lengths[right]), TEXT_BYTES_MAX)
    may: _Flags = long_enough & (longer - _count_common(texts, left, right) <= condition.whole_number)
    return may


def _may_be_alike(texts: Texts, left: _Codes, right: _Codes, at_least: float) -> _Flags:
    """Jaro counts no more matches than there are common characters; Winkler adds for the common beginning."""
    ours = np.minimum(texts.lengths[left], TEXT_BYTES_MAX)
    theirs = np.minimum(texts.lengths[right], TEXT_BYTES_MAX)
    common = _count_common(texts, left, right)
    jaro = (common / np.maximum(ours, 1) + common / np.maximum(theirs, 1) + 1) / 3
    equal = texts.heads[left, :_PREFIX] == texts.heads[right, :_PREFIX]
    prefix = np.logical_and.accumulate(equal, axis=1).sum(axis=1)
    may: _Flags = jaro + _BOOST * prefix * (1 - jaro) >= at_least - _SIMILARITY_SLACK
    return may
