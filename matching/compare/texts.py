"""Measures of single texts: names, dates, places.

Native functions never get None. Most pairs of values differ, so an expression asks what is cheap and mostly
false first: a first letter, a blank; where that is false the measure would be too.
Elsewhere: measures of lists (`lists`), of e-mail addresses beside names (`mailboxes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rapidfuzz.distance import OSA, DamerauLevenshtein, JaroWinkler, Levenshtein

from matching.compare.condition import Condition
from matching.compare.expression import AllOf, Asked, Expression
from matching.compare.measure import SLACK, TEXT_CHARS_MAX, Measure, ask, guard, left_sql, there, within_sql

__all__ = ["TEXT_FUNCTIONS", "TEXT_MEASURES"]

_FEW_EDITS: Final = 3
"""Up to so many edits rapidfuzz has a quick way, so smaller limits share one answer."""


def _extends(left: str, right: str, length_min: int) -> bool:
    if len(left) > len(right):
        left, right = right, left
    return length_min <= len(left) < len(right) and right.startswith(left)


def _word_shared(left: str, right: str, length_min: int) -> bool:
    words = right.split(" ")
    return any(len(word) >= length_min and word in words for word in left.split(" "))


def _initials_fit(left: str, right: str) -> bool:
    ours, theirs = left.split(" "), right.split(" ")
    return _each_fits(ours, theirs) or _each_fits(theirs, ours)


def _each_fits(ours: list[str], theirs: list[str]) -> bool:
    return all(any(x == y or (1 in (len(x), len(y)) and x[:1] == y[:1]) for y in theirs) for x in ours)


def _date_swapped(left: str, right: str) -> bool:
    return (
        len(left) == len(right) == 10
        and left[:4] == right[:4]
        and left[5:7] == right[8:10]
        and left[8:10] == right[5:7]
    )


def _date_parts(left: str, right: str, at_least: int) -> bool:
    if len(left) != 10 or len(right) != 10:
        return False
    same = (left[:4] == right[:4]) + (left[5:7] == right[5:7]) + (left[8:10] == right[8:10])
    return same >= at_least


TEXT_FUNCTIONS: Final[Mapping[str, Any]] = {
    "jaro_winkler": JaroWinkler.similarity,
    "levenshtein": Levenshtein.distance,
    "damerau": DamerauLevenshtein.distance,
    "osa": OSA.distance,
    "extends": _extends,
    "word_shared": _word_shared,
    "initials_fit": _initials_fit,
    "date_swapped": _date_swapped,
    "date_parts": _date_parts,
}
"""The functions that the Python renderings call, by the names they use."""


def _cut(value: str) -> str:
    return f"{value}[:{TEXT_CHARS_MAX}]"


def _similarity(left: str, right: str) -> str:
    return f"jaro_winkler({_cut(left)}, {_cut(right)})"


def _jaro_winkler_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    alike = Asked(f"{{}} >= {c.number - SLACK!r}", (_similarity(*v),))
    return AllOf((there(absent), alike)) if absent else alike


def _crossed_alike_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    least = c.number - SLACK
    return ask(
        f"{_similarity(v[0], v[3])} >= {least!r} and {_similarity(v[2], v[1])} >= {least!r}",
        absent,
    )


def _long_enough_python(c: Condition, v: list[str], absent: Sequence[str]) -> list[Expression]:
    checks: list[Expression] = [there(absent)] if absent else []
    if c.length_min:
        checks.append(f"len({v[0]}) >= {c.length_min} <= len({v[1]})")
    return checks


def _edits_python(v: list[str], at_most: int) -> Expression:
    cutoff = max(at_most, _FEW_EDITS)
    part = f"levenshtein({_cut(v[0])}, {_cut(v[1])}, score_cutoff={cutoff})"
    return Asked(f"{{}} <= {at_most}", (part,))


def _levenshtein_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    return AllOf((*_long_enough_python(c, v, absent), _edits_python(v, c.whole_number)))


def _damerau_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    """Damerau is dear; Levenshtein, at most twice as large, rules most pairs out.

    Within one edit the optimal string alignment distance is the same and cheaper.
    """
    at_most = c.whole_number
    name = "osa" if at_most == 1 else "damerau"
    part = f"{name}({_cut(v[0])}, {_cut(v[1])}, score_cutoff={at_most})"
    return AllOf(
        (
            *_long_enough_python(c, v, absent),
            _edits_python(v, 2 * at_most),
            Asked(f"{{}} <= {at_most}", (part,)),
        )
    )


def _distance_sql(name: str) -> Callable[[Condition, list[str]], str]:
    def render(c: Condition, v: list[str]) -> str:
        long_enough = (
            f"length({v[0]}) >= {c.length_min} and length({v[1]}) >= {c.length_min} and "
            if c.length_min
            else ""
        )
        return f"({long_enough}{within_sql(name, left_sql(v[0]), left_sql(v[1]), c.whole_number)})"

    return render


def _initials_fit_sql(_: Condition, v: list[str]) -> str:
    fits = "(x = y or ((length(x) = 1 or length(y) = 1) and left(x, 1) = left(y, 1)))"
    words = [f"string_split({value}, ' ')" for value in v]
    sides = [
        f"len(list_filter({ours}, lambda x: len(list_filter({theirs}, lambda y: {fits})) = 0)) = 0"
        for ours, theirs in (words, words[::-1])
    ]
    return f"({sides[0]} or {sides[1]})"


def _word_shared_sql(c: Condition, v: list[str]) -> str:
    return (
        f"list_has_any(list_filter(string_split({v[0]}, ' '), lambda t: length(t) >= {c.length_min}), "
        f"string_split({v[1]}, ' '))"
    )


def _extends_sql(c: Condition, v: list[str]) -> str:
    return (
        f"(least(length({v[0]}), length({v[1]})) >= {c.length_min} and length({v[0]}) <> length({v[1]}) "
        f"and (starts_with({v[0]}, {v[1]}) or starts_with({v[1]}, {v[0]})))"
    )


def _date_swapped_sql(_: Condition, v: list[str]) -> str:
    return (
        f"(length({v[0]}) = 10 and length({v[1]}) = 10 and left({v[0]}, 4) = left({v[1]}, 4) "
        f"and substr({v[0]}, 6, 2) = substr({v[1]}, 9, 2) and substr({v[0]}, 9, 2) = substr({v[1]}, 6, 2))"
    )


def _date_parts_sql(c: Condition, v: list[str]) -> str:
    same = " + ".join(
        f"cast(substr({v[0]}, {start}, {size}) = substr({v[1]}, {start}, {size}) as integer)"
        for start, size in ((1, 4), (6, 2), (9, 2))
    )
    return f"(length({v[0]}) = 10 and length({v[1]}) = 10 and ({same}) >= {c.whole_number})"


TEXT_MEASURES: Final[Mapping[str, Measure]] = {
    "same": Measure(
        "text",
        lambda c, v, absent: guard(f"{v[0]} == {v[1]}", absent),
        lambda c, v: f"({v[0]} = {v[1]})",
    ),
    "crossed": Measure(
        "texts",
        lambda c, v, absent: (
            f"({v[0]} == {v[3]} and {v[2]} == {v[1]}{''.join(f' and {x} is not None' for x in absent)})"
        ),
        lambda c, v: f"({v[0]} = {v[3]} and {v[2]} = {v[1]})",
    ),
    "crossed_jaro_winkler": Measure(
        "texts",
        _crossed_alike_python,
        lambda c, v: " and ".join(
            f"jaro_winkler_similarity({left_sql(x)}, {left_sql(y)}) >= {c.number - SLACK!r}"
            for x, y in ((v[0], v[3]), (v[2], v[1]))
        ),
        number="at_least",
        fraction=True,
    ),
    "both_end_with": Measure(
        "text",
        lambda c, v, absent: guard(
            f"({v[0]}.endswith('{c.words[0]}') and {v[1]}.endswith('{c.words[0]}'))", absent
        ),
        lambda c, v: f"(ends_with({v[0]}, '{c.words[0]}') and ends_with({v[1]}, '{c.words[0]}'))",
        takes_text=True,
    ),
    "same_start": Measure(
        "text",
        lambda c, v, absent: guard(f"{v[0]}[:{c.whole_number}] == {v[1]}[:{c.whole_number}]", absent),
        lambda c, v: f"(left({v[0]}, {c.whole_number}) = left({v[1]}, {c.whole_number}))",
        number="length",
    ),
    "initial": Measure(
        "text",
        lambda c, v, absent: guard(
            f"({v[0]}[0] == {v[1]}[0] and (len({v[0]}) == 1) != (len({v[1]}) == 1))", absent
        ),
        lambda c, v: f"(left({v[0]}, 1) = left({v[1]}, 1) and (length({v[0]}) = 1) <> (length({v[1]}) = 1))",
    ),
    "initials_fit": Measure(
        "text", lambda c, v, absent: ask(f"initials_fit({v[0]}, {v[1]})", absent), _initials_fit_sql
    ),
    "extends": Measure(
        "text",
        lambda c, v, absent: ask(
            f"({v[0]}[0] == {v[1]}[0] and extends({v[0]}, {v[1]}, {c.length_min}))", absent
        ),
        _extends_sql,
        takes_length_min=True,
    ),
    "jaro_winkler": Measure(
        "text",
        _jaro_winkler_python,
        lambda c, v: f"(jaro_winkler_similarity({left_sql(v[0])}, {left_sql(v[1])}) >= {c.number - SLACK!r})",
        number="at_least",
        fraction=True,
    ),
    "levenshtein": Measure(
        "text",
        _levenshtein_python,
        _distance_sql("levenshtein"),
        number="at_most",
        takes_length_min=True,
    ),
    "damerau": Measure(
        "text",
        _damerau_python,
        _distance_sql("damerau_levenshtein"),
        number="at_most",
        takes_length_min=True,
    ),
    "word_shared": Measure(
        "text",
        # Without a blank on either side there is one word each.
        lambda c, v, absent: ask(
            f"(({v[0]} == {v[1]} or ' ' in {v[0]} or ' ' in {v[1]})"
            f" and word_shared({v[0]}, {v[1]}, {c.length_min}))",
            absent,
        ),
        _word_shared_sql,
        takes_length_min=True,
    ),
    "date_swapped": Measure(
        "text", lambda c, v, absent: ask(f"date_swapped({v[0]}, {v[1]})", absent), _date_swapped_sql
    ),
    "date_parts": Measure(
        "text",
        lambda c, v, absent: ask(f"date_parts({v[0]}, {v[1]}, {c.whole_number})", absent),
        _date_parts_sql,
        number="at_least",
    ),
}
