"""Tell of very many pairs whether a condition of the scoring model may hold, and whether it does for certain.

Invariant: where the condition holds, `may` is true; where `does` is true, it holds. A measure that is not known here
may always hold.
Elsewhere: the facts that tell it (`identity.bulk.features`), what follows for weights (`identity.bulk.sieve`), the
measures themselves (`matching.compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from identity.bulk.features import HEAD_BYTES, TAIL_BYTES, TEXT_BYTES_MAX, Column, Texts

if TYPE_CHECKING:
    from matching.compare import Condition

__all__ = ["Answer", "Asked", "Sides"]

_Flags = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]

_SIMILARITY_SLACK: Final = 1e-6
_PREFIX: Final = 4  # that Jaro-Winkler looks at
_BOOST: Final = 0.1
_ACROSS: Final = np.uint64(0x0101010101010101)
_LAST_BYTE: Final = np.uint64(56)


class Answer(NamedTuple):
    """Of each pair: whether a condition may hold, and whether it does."""

    may: _Flags
    does: _Flags


class Sides(NamedTuple):
    """Pairs, by the places of their two profiles among those added."""

    left: _Places
    right: _Places


@dataclass(slots=True)
class Asked:
    """Conditions asked of some pairs."""

    columns: Mapping[str, Column]
    pairs: Sides
    answers: dict[Condition, Answer] = field(default_factory=dict)  # levels ask the same things

    def answer(self, condition: Condition) -> Answer:
        """Return the answer for each pair; asked again, the same."""
        answer = self.answers.get(condition)
        if answer is None:
            answer = self.answers[condition] = self._find_answer(condition)
        return answer

    def _find_answer(self, condition: Condition) -> Answer:
        if condition.operator in ("all", "any"):
            join = np.logical_and if condition.operator == "all" else np.logical_or
            answers = [self.answer(part) for part in condition.parts]
            return Answer(*(join.reduce(flags) for flags in zip(*answers, strict=True)))
        if condition.operator == "not":
            inner = self.answer(condition.parts[0])
            return Answer(~inner.does, ~inner.may)
        measure = _MEASURES.get(condition.operator)
        if measure is None:
            return self.open(np.ones(len(self.pairs.left), dtype=np.bool_))
        return measure(self, condition)

    def open(self, may: _Flags) -> Answer:
        """Return an answer that is certain of nothing but what is excluded."""
        return Answer(may, np.zeros(len(may), dtype=np.bool_))

    def column(self, condition: Condition, place: int = 0) -> Column:
        """Return a column that a measure reads."""
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
_Test = Callable[["Asked", "Condition"], Answer]


def _is_equal(_texts: Texts, left: _Codes, right: _Codes) -> _Flags:
    equal: _Flags = left == right
    return equal


def _same(asked: Asked, condition: Condition) -> Answer:
    _, left, right = asked.texts(condition)
    equal = (left == right) & (left > 0)
    return Answer(equal, equal)


def _shares(asked: Asked, condition: Condition) -> Answer:
    shared, has_more = asked.any_elements(condition, _is_equal)
    if condition.words or condition.whole_number > 1:
        return asked.open(shared | has_more)
    return Answer(shared | has_more, shared)


def _shares_some(asked: Asked, condition: Condition) -> Answer:
    """Of measures that need an element in common, and more that is not looked at here."""
    shared, has_more = asked.any_elements(condition, _is_equal)
    return asked.open(shared | has_more)


def _found_in(asked: Asked, condition: Condition) -> Answer:
    _, left, right = asked.texts(condition)
    listed = asked.column(condition, 1)
    pairs = asked.pairs
    found = ((listed.codes[pairs.right] == left[:, None]) & (left[:, None] > 0)).any(axis=1)
    found |= ((listed.codes[pairs.left] == right[:, None]) & (right[:, None] > 0)).any(axis=1)
    return Answer(found | listed.has_more[pairs.left] | listed.has_more[pairs.right], found)


def _crossed(asked: Asked, condition: Condition) -> Answer:
    _, one_left, one_right = asked.texts(condition)
    _, other_left, other_right = asked.texts(condition, 1)
    crossed = (one_left == other_right) & (other_left == one_right) & (one_left > 0) & (other_left > 0)
    return Answer(crossed, crossed)


def _crossed_alike(asked: Asked, condition: Condition) -> Answer:
    texts, one_left, one_right = asked.texts(condition)
    _, other_left, other_right = asked.texts(condition, 1)
    may = (one_left > 0) & (one_right > 0) & (other_left > 0) & (other_right > 0)
    for left, right in ((one_left, other_right), (other_left, one_right)):
        at = np.flatnonzero(may)
        may[at] = _may_be_alike(texts, left[at], right[at], condition.number)
    return asked.open(may)


def _alike(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    may = (left > 0) & (right > 0)
    at = np.flatnonzero(may)
    may[at] = _may_be_alike(texts, left[at], right[at], condition.number)
    return asked.open(may)


def _edited(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    may = (left > 0) & (right > 0)
    at = np.flatnonzero(may)
    may[at] = _may_be_edited(texts, left[at], right[at], condition)
    return asked.open(may)


def _best_alike(asked: Asked, condition: Condition) -> Answer:
    found, has_more = asked.any_elements(
        condition, lambda texts, left, right: _may_be_alike(texts, left, right, condition.number)
    )
    return asked.open(found | has_more)


def _best_edited(asked: Asked, condition: Condition) -> Answer:
    found, has_more = asked.any_elements(
        condition, lambda texts, left, right: _may_be_edited(texts, left, right, condition)
    )
    return asked.open(found | has_more)


def _same_end(asked: Asked, condition: Condition) -> Answer:
    length = min(condition.whole_number, TAIL_BYTES)

    def test(texts: Texts, left: _Codes, right: _Codes) -> _Flags:
        return _is_same(texts.tails, left, right, length)

    found, has_more = asked.any_elements(condition, test)
    return asked.open(found | has_more)


def _same_start(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    return asked.open(_is_same(texts.heads, left, right, min(condition.whole_number, HEAD_BYTES)))


def _initial(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    is_one = (texts.lengths[left] == 1) != (texts.lengths[right] == 1)
    return asked.open(is_one & _is_same(texts.heads, left, right, 1))


def _extends(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    ours, theirs = texts.lengths[left], texts.lengths[right]
    may = (ours != theirs) & (np.minimum(ours, theirs) >= condition.length_min)
    return asked.open(may & _is_same(texts.heads, left, right, min(max(condition.length_min, 1), HEAD_BYTES)))


def _word_shared(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    return asked.open((left == right) | texts.has_space(left) | texts.has_space(right))


def _date_parts(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    is_full = (texts.lengths[left] == 10) & (texts.lengths[right] == 10)
    equal = texts.heads[left] == texts.heads[right]
    same = sum(equal[:, start:end].all(axis=1).astype(np.int64) for start, end in ((0, 4), (5, 7), (8, 10)))
    found = is_full & (same >= condition.whole_number)
    return Answer(found, found)


def _date_swapped(asked: Asked, condition: Condition) -> Answer:
    texts, left, right = asked.texts(condition)
    is_full = (texts.lengths[left] == 10) & (texts.lengths[right] == 10)
    ours, theirs = texts.heads[left], texts.heads[right]
    found = is_full & (ours[:, :4] == theirs[:, :4]).all(axis=1)
    found &= (ours[:, 5:7] == theirs[:, 8:10]).all(axis=1) & (ours[:, 8:10] == theirs[:, 5:7]).all(axis=1)
    return Answer(found, found)


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
