"""Measures of lists: sorted, without repeats, mostly of one element.

Native functions never get None. An expression asks the first element itself before it calls a function for
the others.
Elsewhere: measures of single texts (`texts`), of e-mail addresses beside names (`mailboxes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from rapidfuzz.distance import OSA, DamerauLevenshtein, JaroWinkler

from matching.compare.condition import Condition
from matching.compare.expression import AllOf, Asked, Expression
from matching.compare.measure import (
    LIST_LENGTH_MAX,
    SLACK,
    TEXT_CHARS_MAX,
    Measure,
    ask,
    guard,
    left_sql,
    quoted_sql,
)

__all__ = ["LIST_FUNCTIONS", "LIST_MEASURES", "share_an_element"]

_similarity: Final = JaroWinkler.similarity
_damerau: Final = DamerauLevenshtein.distance
_one_edit: Final = OSA.distance


def _shared_count(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    if len(left) == 1:
        return 1 if left[0] in right else 0
    if len(right) == 1:
        return 1 if right[0] in left else 0
    return len(set(left).intersection(right))


def _shares(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    for value in left:
        if value in right:
            return True
    return False


@lru_cache(maxsize=1 << 12)
def _without(values: tuple[str, ...], words: frozenset[str]) -> tuple[str, ...]:
    return tuple([value for value in values if value not in words])


def _best_jaro_winkler(left: tuple[str, ...], right: tuple[str, ...], at_least: float) -> bool:
    ours, theirs = _cut(left), _cut(right)
    for x in ours:
        for y in theirs:
            if _similarity(x, y) >= at_least:
                return True
    return False


def _best_damerau(left: tuple[str, ...], right: tuple[str, ...], at_most: int, length_min: int) -> bool:
    # Within one edit the optimal string alignment distance is the same and cheaper.
    distance = _one_edit if at_most == 1 else _damerau
    ours, theirs = _cut(left), _cut(right)
    for x in ours:
        if len(x) >= length_min:
            for y in theirs:
                if len(y) >= length_min and distance(x, y, score_cutoff=at_most) <= at_most:
                    return True
    return False


def _cut(values: tuple[str, ...]) -> list[str]:
    return [value[:TEXT_CHARS_MAX] for value in values[:LIST_LENGTH_MAX]]


def _shares_start(left: tuple[str, ...], right: tuple[str, ...], length: int) -> bool:
    starts = {value[:length] for value in left if len(value) >= length}
    return any(value[:length] in starts for value in right if len(value) >= length)


def _shares_end(left: tuple[str, ...], right: tuple[str, ...], length: int) -> bool:
    for x in left:
        if len(x) >= length:
            end = x[-length:]
            for y in right:
                if y.endswith(end):
                    return True
    return False


def _scheme_shared(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    for value in left:
        scheme = value.partition(":")[0]
        for other in right:
            if other.partition(":")[0] == scheme:
                return True
    return False


def _scheme_shared_of(left: tuple[str, ...], right: tuple[str, ...], only: frozenset[str]) -> bool:
    return _scheme_shared(tuple([value for value in left if _scheme_of(value) in only]), right)


def _scheme_of(value: str) -> str:
    return value.partition(":")[0].partition("@")[0]


LIST_FUNCTIONS: Final[Mapping[str, Any]] = {
    "shared_count": _shared_count,
    "shares": _shares,
    "without": _without,
    "best_jaro_winkler": _best_jaro_winkler,
    "best_damerau": _best_damerau,
    "shares_start": _shares_start,
    "shares_end": _shares_end,
    "scheme_shared": _scheme_shared,
    "scheme_shared_of": _scheme_shared_of,
}
"""The functions that the Python renderings call, by the names they use."""


def share_an_element(left: str, right: str) -> str:
    """Return the Python test of whether two lists share an element."""
    return f"({left}[0] in {right} or (len({left}) > 1 and shares({left}, {right})))"


def _trimmed_python(c: Condition, v: list[str]) -> list[str]:
    if not c.words:
        return v
    return [f"without({value}, words_{c.words_name})" for value in v]


def _trimmed_sql(c: Condition, v: list[str]) -> list[str]:
    if not c.words:
        return v
    return [f"list_filter({value}, lambda t: not list_contains({quoted_sql(c.words)}, t))" for value in v]


def _count(c: Condition, v: list[str], absent: Sequence[str]) -> str:
    left, right = _trimmed_python(c, v)
    return _zero_if_absent(f"shared_count({left}, {right})", absent)


def _lengths(c: Condition, v: list[str], absent: Sequence[str]) -> list[str]:
    return [_zero_if_absent(f"len({value})", absent) for value in _trimmed_python(c, v)]


def _zero_if_absent(text: str, absent: Sequence[str]) -> str:
    if not absent:
        return text
    return f"({text} if {' and '.join(f'{value} is not None' for value in absent)} else 0)"


def _shares_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    if c.words or c.whole_number > 1:
        return Asked(f"{{}} >= {c.whole_number}", (_count(c, v, absent),))
    return ask(share_an_element(*v), absent)


def _contained_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    left, right = _lengths(c, v, absent)
    return AllOf(
        (
            Asked(f"min({{}}, {{}}) >= {c.whole_number}", (left, right)),
            Asked("{} == min({}, {})", (_count(c, v, absent), left, right)),
        )
    )


def _share_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    return Asked(
        f"100 * {{}} >= {c.whole_number} * max({{}}, {{}}, 1)",
        (_count(c, v, absent), *_lengths(c, v, absent)),
    )


def _shares_end_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    length = c.whole_number
    first = (
        f"({v[0]}[0][-{length}:] == {v[1]}[0][-{length}:] and len({v[0]}[0]) >= {length} <= len({v[1]}[0]))"
    )
    return ask(f"({first} or ({_has_more(v)} and shares_end({v[0]}, {v[1]}, {length})))", absent)


def _best_jaro_winkler_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    least = repr(c.number - SLACK)
    cuts = [f"{value}[0][:{TEXT_CHARS_MAX}]" for value in v]
    first = f"jaro_winkler({', '.join(cuts)}) >= {least}"
    return ask(f"({first} or ({_has_more(v)} and best_jaro_winkler({v[0]}, {v[1]}, {least})))", absent)


def _best_damerau_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    """Two short texts whose lengths differ by more than the edits allowed are not compared."""
    at_most = c.whole_number
    lengths = [f"len({value}[0])" for value in v]
    chance = (
        f"(-{at_most} <= {lengths[0]} - {lengths[1]} <= {at_most} or {_has_more(v)}"
        f" or {lengths[0]} + {lengths[1]} > {TEXT_CHARS_MAX})"
    )
    return ask(f"({chance} and best_damerau({v[0]}, {v[1]}, {at_most}, {c.length_min}))", absent)


def _scheme_shared_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    shared = ask(f"scheme_shared({v[0]}, {v[1]})", absent)
    if not c.words:
        return shared
    return AllOf((shared, f"scheme_shared_of({v[0]}, {v[1]}, words_{c.words_name})"))


def _has_more(v: list[str]) -> str:
    return f"len({v[0]}) + len({v[1]}) > 2"


def _shares_sql(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_sql(c, v)
    if c.whole_number == 1:
        return f"list_has_any({left}, {right})"
    return f"(len(list_intersect({left}, {right})) >= {c.whole_number})"


def _contained_sql(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_sql(c, v)
    smaller = f"least(len({left}), len({right}))"
    return f"({smaller} >= {c.whole_number} and len(list_intersect({left}, {right})) = {smaller})"


def _share_sql(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_sql(c, v)
    larger = f"greatest(len({left}), len({right}), 1)"
    return f"(100 * len(list_intersect({left}, {right})) >= {c.whole_number} * {larger})"


def _first_sql(value: str) -> str:
    return f"list_slice({value}, 1, {LIST_LENGTH_MAX})"


def _best_sql(inner: str) -> Callable[[Condition, list[str]], str]:
    """A list measure: some x of the left and y of the right for which `inner` holds."""

    def render(c: Condition, v: list[str]) -> str:
        test = inner.format(
            at_least=repr(c.number - SLACK),
            at_most=c.whole_number,
            length_min=c.length_min,
            x=left_sql("x"),
            y=left_sql("y"),
        )
        return (
            f"(len(list_filter({_first_sql(v[0])}, "
            f"lambda x: len(list_filter({_first_sql(v[1])}, lambda y: {test})) > 0)) > 0)"
        )

    return render


def _cut_sql(cut: str) -> Callable[[Condition, list[str]], str]:
    def render(c: Condition, v: list[str]) -> str:
        length = c.whole_number
        sides = [
            f"list_transform(list_filter({value}, lambda t: length(t) >= {length}), "
            f"lambda t: {cut.format(length=length)})"
            for value in v
        ]
        return f"list_has_any({sides[0]}, {sides[1]})"

    return render


def _schemes_sql(value: str, only: tuple[str, ...]) -> str:
    schemes = f"list_transform({value}, lambda t: split_part(t, ':', 1))"
    if not only:
        return schemes
    return f"list_filter({schemes}, lambda t: list_contains({quoted_sql(only)}, split_part(t, '@', 1)))"


LIST_MEASURES: Final[Mapping[str, Measure]] = {
    "found_in": Measure(
        "text+list",
        lambda c, v, absent: (
            f"({guard(f'{v[0]} in {v[3]}', [x for x in absent if x in (v[0], v[3])])}"
            f" or {guard(f'{v[1]} in {v[2]}', [x for x in absent if x in (v[1], v[2])])})"
        ),
        lambda c, v: (
            f"(coalesce(list_contains({v[3]}, {v[0]}), false) "
            f"or coalesce(list_contains({v[2]}, {v[1]}), false))"
        ),
    ),
    "shares": Measure("list", _shares_python, _shares_sql, number="at_least", takes_words="ignoring"),
    "contained": Measure(
        "list", _contained_python, _contained_sql, number="at_least", takes_words="ignoring"
    ),
    "share_percent": Measure("list", _share_python, _share_sql, number="at_least", takes_words="ignoring"),
    "shares_start": Measure(
        "list",
        lambda c, v, absent: ask(f"shares_start({v[0]}, {v[1]}, {c.whole_number})", absent),
        _cut_sql("left(t, {length})"),
        number="length",
    ),
    "shares_end": Measure(
        "list",
        _shares_end_python,
        _cut_sql("right(t, {length})"),
        number="length",
    ),
    "best_jaro_winkler": Measure(
        "list",
        _best_jaro_winkler_python,
        _best_sql("jaro_winkler_similarity({x}, {y}) >= {at_least}"),
        number="at_least",
        fraction=True,
    ),
    "best_damerau": Measure(
        "list",
        _best_damerau_python,
        _best_sql(
            "length(x) >= {length_min} and length(y) >= {length_min} and (case "
            "when levenshtein({x}, {y}) <= 2 * {at_most} then damerau_levenshtein({x}, {y}) <= {at_most} "
            "else false end)"
        ),
        number="at_most",
        takes_length_min=True,
    ),
    "scheme_shared": Measure(
        "list",
        _scheme_shared_python,
        lambda c, v: f"list_has_any({_schemes_sql(v[0], c.words)}, {_schemes_sql(v[1], ())})",
        takes_words="only",
    ),
}
