"""Measure how alike two profiles are: one table of measures, each as native Python and as DuckDB SQL.

A condition is a small tree of a scoring model document: `{"measure": …}`, `{"all": […]}`, `{"any": […]}`,
`{"not": …}`. Invariants: both renderings of a condition give the same truth value for every pair of
profiles; every measure is symmetric; a measure of an absent value is false, never unknown. They hold
because the measures see folded ASCII only (DuckDB counts bytes), similarities are compared with a slack
of 1e-9 (its Jaro-Winkler rounds differently in the last bit) and fuzzy measures read at most
`TEXT_CHARS_MAX` characters and `LIST_LENGTH_MAX` elements.
Elsewhere: which conditions make a level, what it weighs (`matching.scoring_model`), running them
(`matching.score`, `matching.engine_duckdb`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler, Levenshtein

from matching.errors import ScoringModelInvalid
from matching.model import LIST_COLUMNS, TEXT_COLUMNS, column_position

__all__ = [
    "LIST_LENGTH_MAX",
    "NATIVE_MEASURES",
    "TEXT_CHARS_MAX",
    "Condition",
    "Vocabulary",
    "read_condition",
    "render_python",
    "render_sql",
]

TEXT_CHARS_MAX: Final = 64
LIST_LENGTH_MAX: Final = 6
_SLACK: Final = 1e-9

Vocabulary = Mapping[str, tuple[str, ...]]
"""Frozen word lists of a scoring model, by name; `ignoring` and `only` refer to one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A node: `operator` is all, any, not or a measure; a measure carries its parameters."""

    operator: str
    parts: tuple[Condition, ...] = ()
    columns: tuple[str, ...] = ()
    number: float = 0
    length_min: int = 0
    words: tuple[str, ...] = ()
    words_name: str = ""


def read_condition(document: object, *, place: str, vocabulary: Vocabulary) -> Condition:
    """Return the condition that a document states.

    Raises:
        ScoringModelInvalid: an unknown measure, field or column, or a value out of range; says where.
    """
    if not isinstance(document, dict) or not document:
        raise ScoringModelInvalid(f"{place}: a condition is an object with `measure`, `all`, `any` or `not`")
    for operator in ("all", "any"):
        if operator in document:
            parts = document[operator]
            if len(document) != 1 or not isinstance(parts, list) or not parts:
                raise ScoringModelInvalid(f"{place}: `{operator}` stands alone and lists conditions")
            return Condition(
                operator,
                tuple(
                    read_condition(part, place=f"{place}.{operator}[{index}]", vocabulary=vocabulary)
                    for index, part in enumerate(parts)
                ),
            )
    if "not" in document:
        if len(document) != 1:
            raise ScoringModelInvalid(f"{place}: `not` stands alone")
        part = read_condition(document["not"], place=f"{place}.not", vocabulary=vocabulary)
        return Condition("not", (part,))
    return _read_measure(document, place=place, vocabulary=vocabulary)


def render_python(condition: Condition, *, present: frozenset[str] = frozenset()) -> str:
    """Return the condition as a Python expression over `a<position>` and `b<position>`.

    Args:
        present: columns known to be there on both sides, whose check is left out.
    """
    if condition.operator in ("all", "any"):
        word = " and " if condition.operator == "all" else " or "
        return "(" + word.join(render_python(part, present=present) for part in condition.parts) + ")"
    if condition.operator == "not":
        return f"(not {render_python(condition.parts[0], present=present)})"
    pairs = [f"{side}{column_position(name)}" for name in condition.columns for side in "ab"]
    body = _MEASURES[condition.operator].python(condition, pairs)
    if _MEASURES[condition.operator].guards_itself:
        return f"({body})"
    checks = [
        f"{side}{column_position(name)} is not None"
        for name in condition.columns
        if name not in present
        for side in "ab"
    ]
    return "(" + " and ".join([*checks, body]) + ")"


def render_sql(condition: Condition) -> str:
    """Return the condition as a DuckDB expression over `<column>_l` and `<column>_r`; never NULL."""
    if condition.operator in ("all", "any"):
        word = " and " if condition.operator == "all" else " or "
        return "(" + word.join(render_sql(part) for part in condition.parts) + ")"
    if condition.operator == "not":
        return f"(not {render_sql(condition.parts[0])})"
    pairs = [f"{name}{side}" for name in condition.columns for side in ("_l", "_r")]
    return f"coalesce({_MEASURES[condition.operator].sql(condition, pairs)}, false)"


# Native measures. Arguments are never None; lists are sorted tuples without repeats.


@lru_cache(maxsize=1 << 16)
def _jaro_winkler(left: str, right: str) -> float:
    return JaroWinkler.similarity(left[:TEXT_CHARS_MAX], right[:TEXT_CHARS_MAX], prefix_weight=0.1)


@lru_cache(maxsize=1 << 16)
def _levenshtein(left: str, right: str) -> int:
    return Levenshtein.distance(left[:TEXT_CHARS_MAX], right[:TEXT_CHARS_MAX])


@lru_cache(maxsize=1 << 16)
def _damerau(left: str, right: str) -> int:
    return DamerauLevenshtein.distance(left[:TEXT_CHARS_MAX], right[:TEXT_CHARS_MAX])


def _initial(left: str, right: str) -> bool:
    return left[0] == right[0] and (len(left) == 1) != (len(right) == 1)


def _extends(left: str, right: str, length_min: int) -> bool:
    if len(left) > len(right):
        left, right = right, left
    return length_min <= len(left) < len(right) and right.startswith(left)


@lru_cache(maxsize=1 << 14)
def _word_shared(left: str, right: str, length_min: int) -> bool:
    words = right.split(" ")
    return any(len(word) >= length_min and word in words for word in left.split(" "))


@lru_cache(maxsize=1 << 14)
def _initials_fit(left: str, right: str) -> bool:
    ours, theirs = left.split(" "), right.split(" ")
    return _each_fits(ours, theirs) or _each_fits(theirs, ours)


def _each_fits(ours: list[str], theirs: list[str]) -> bool:
    return all(any(x == y or (1 in (len(x), len(y)) and x[:1] == y[:1]) for y in theirs) for x in ours)


def _shared_count(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    if len(left) == 1:
        return 1 if left[0] in right else 0
    if len(right) == 1:
        return 1 if right[0] in left else 0
    return len(set(left).intersection(right))


def _shares(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    if len(left) == 1:
        return left[0] in right
    for value in left:
        if value in right:
            return True
    return False


def _contained(left: tuple[str, ...], right: tuple[str, ...], size_min: int) -> bool:
    smaller = min(len(left), len(right))
    return smaller >= size_min and _shared_count(left, right) == smaller


@lru_cache(maxsize=1 << 14)
def _without(values: tuple[str, ...], words: frozenset[str]) -> tuple[str, ...]:
    return tuple(value for value in values if value not in words)


def _best_jaro_winkler(left: tuple[str, ...], right: tuple[str, ...], at_least: float) -> bool:
    if len(left) == len(right) == 1:
        x, y = left[0][:TEXT_CHARS_MAX], right[0][:TEXT_CHARS_MAX]
        return JaroWinkler.similarity(x, y, prefix_weight=0.1) >= at_least
    for x in left[:LIST_LENGTH_MAX]:
        for y in right[:LIST_LENGTH_MAX]:
            if _jaro_winkler(x, y) >= at_least:
                return True
    return False


def _best_damerau(left: tuple[str, ...], right: tuple[str, ...], at_most: int, length_min: int) -> bool:
    if len(left) == len(right) == 1:
        x, y = left[0][:TEXT_CHARS_MAX], right[0][:TEXT_CHARS_MAX]
        if len(x) < length_min or len(y) < length_min or abs(len(x) - len(y)) > at_most:
            return False
        return DamerauLevenshtein.distance(x, y, score_cutoff=at_most) <= at_most
    for x in left[:LIST_LENGTH_MAX]:
        if len(x) >= length_min:
            for y in right[:LIST_LENGTH_MAX]:
                if len(y) >= length_min and _damerau(x, y) <= at_most:
                    return True
    return False


def _shares_start(left: tuple[str, ...], right: tuple[str, ...], length: int) -> bool:
    starts = {value[:length] for value in left if len(value) >= length}
    return any(value[:length] in starts for value in right if len(value) >= length)


def _shares_end(left: tuple[str, ...], right: tuple[str, ...], length: int) -> bool:
    if len(left) == len(right) == 1:
        return len(left[0]) >= length <= len(right[0]) and left[0][-length:] == right[0][-length:]
    ends = {value[-length:] for value in left if len(value) >= length}
    return any(value[-length:] in ends for value in right if len(value) >= length)


def _scheme_shared(left: tuple[str, ...], right: tuple[str, ...], only: frozenset[str] | None = None) -> bool:
    schemes = {value.partition(":")[0] for value in left}
    if only is not None:
        schemes = {scheme for scheme in schemes if scheme.partition("@")[0] in only}
    return any(value.partition(":")[0] in schemes for value in right)


_SEPARATORS: Final = str.maketrans("", "", "._-")


def _shares_mailbox(
    left: tuple[str, ...], right: tuple[str, ...], words: frozenset[str] | None = None
) -> bool:
    for value in left:
        if value in right and (words is None or value.partition("@")[0].translate(_SEPARATORS) not in words):
            return True
    return False


def _named_mailbox(
    left: tuple[str, ...],
    right: tuple[str, ...],
    names: tuple[tuple[str | None, str | None], tuple[str | None, str | None]],
) -> bool:
    shared = [value.partition("@")[0].translate(_SEPARATORS) for value in left if value in right]
    if not shared:
        return False
    for given, family in names:
        if given is not None and family is not None:
            joined = family.replace(" ", "")
            for user in shared:
                if user in (given + joined, joined + given):
                    return True
    return False


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


NATIVE_MEASURES: Final[Mapping[str, Any]] = {
    "jaro_winkler": _jaro_winkler,
    "levenshtein": _levenshtein,
    "damerau": _damerau,
    "initial": _initial,
    "extends": _extends,
    "word_shared": _word_shared,
    "initials_fit": _initials_fit,
    "shared_count": _shared_count,
    "shares": _shares,
    "contained": _contained,
    "without": _without,
    "best_jaro_winkler": _best_jaro_winkler,
    "best_damerau": _best_damerau,
    "shares_start": _shares_start,
    "shares_end": _shares_end,
    "scheme_shared": _scheme_shared,
    "shares_mailbox": _shares_mailbox,
    "named_mailbox": _named_mailbox,
    "date_swapped": _date_swapped,
    "date_parts": _date_parts,
}
"""The functions that expressions of `render_python` call, by the names they use."""


# The table of measures.

_Render = Callable[[Condition, list[str]], str]


@dataclass(frozen=True, slots=True)
class _Measure:
    """Which columns and parameters it takes, and its two renderings over [left, right, …]."""

    columns: str  # text, list, texts (two text columns), text+list, mailbox (e-mails, given, family)
    python: _Render
    sql: _Render
    number: str | None = None  # name of its numeric parameter
    fraction: bool = False  # whether that number is in (0, 1] instead of whole and positive
    takes_length_min: bool = False
    takes_words: str | None = None  # name of the field that names a word list
    takes_text: bool = False
    guards_itself: bool = False


def _whole(condition: Condition) -> int:
    return int(condition.number)


def _left(value: str) -> str:
    return f"left({value}, {TEXT_CHARS_MAX})"


def _distance_python(name: str) -> _Render:
    def render(c: Condition, v: list[str]) -> str:
        long_enough = f"len({v[0]}) >= {c.length_min} <= len({v[1]}) and " if c.length_min else ""
        return f"{long_enough}{name}({v[0]}, {v[1]}) <= {_whole(c)}"

    return render


def _distance_sql(name: str) -> _Render:
    def render(c: Condition, v: list[str]) -> str:
        long_enough = (
            f"length({v[0]}) >= {c.length_min} and length({v[1]}) >= {c.length_min} and "
            if c.length_min
            else ""
        )
        return f"({long_enough}{_within_sql(name, _left(v[0]), _left(v[1]), _whole(c))})"

    return render


def _within_sql(name: str, left: str, right: str, at_most: int) -> str:
    """Damerau is slow in DuckDB: it runs only where Levenshtein, at most twice as large, leaves a chance.

    CASE, because it evaluates its branches for the rows that reach them only; AND may not.
    """
    test = f"{name}({left}, {right}) <= {at_most}"
    if name == "levenshtein":
        return test
    return f"(case when levenshtein({left}, {right}) <= {2 * at_most} then {test} else false end)"


def _quoted(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def _trimmed_python(c: Condition, v: list[str]) -> list[str]:
    if not c.words:
        return v
    return [f"without({value}, words_{c.words_name})" for value in v]


def _trimmed_sql(c: Condition, v: list[str]) -> list[str]:
    if not c.words:
        return v
    return [f"list_filter({value}, lambda t: not list_contains({_quoted(c.words)}, t))" for value in v]


def _shares_python(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_python(c, v)
    if _whole(c) == 1:
        return f"shares({left}, {right})"
    return f"shared_count({left}, {right}) >= {_whole(c)}"


def _shares_sql(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_sql(c, v)
    if _whole(c) == 1:
        return f"list_has_any({left}, {right})"
    return f"(len(list_intersect({left}, {right})) >= {_whole(c)})"


def _contained_python(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_python(c, v)
    return f"contained({left}, {right}, {_whole(c)})"


def _contained_sql(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_sql(c, v)
    smaller = f"least(len({left}), len({right}))"
    return f"({smaller} >= {_whole(c)} and len(list_intersect({left}, {right})) = {smaller})"


def _share_python(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_python(c, v)
    return f"100 * shared_count({left}, {right}) >= {_whole(c)} * max(len({left}), len({right}), 1)"


def _share_sql(c: Condition, v: list[str]) -> str:
    left, right = _trimmed_sql(c, v)
    larger = f"greatest(len({left}), len({right}), 1)"
    return f"(100 * len(list_intersect({left}, {right})) >= {_whole(c)} * {larger})"


def _first(value: str) -> str:
    return f"list_slice({value}, 1, {LIST_LENGTH_MAX})"


def _best_sql(inner: str) -> _Render:
    """A list measure: some x of the left and y of the right for which `inner` holds."""

    def render(c: Condition, v: list[str]) -> str:
        test = inner.format(
            at_least=repr(c.number - _SLACK),
            at_most=_whole(c),
            length_min=c.length_min,
            x=_left("x"),
            y=_left("y"),
        )
        return (
            f"(len(list_filter({_first(v[0])}, "
            f"lambda x: len(list_filter({_first(v[1])}, lambda y: {test})) > 0)) > 0)"
        )

    return render


def _cut_sql(cut: str) -> _Render:
    def render(c: Condition, v: list[str]) -> str:
        length = _whole(c)
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
    return f"list_filter({schemes}, lambda t: list_contains({_quoted(only)}, split_part(t, '@', 1)))"


def _shared_users_sql(v: list[str]) -> str:
    shared = f"list_intersect({v[0]}, {v[1]})"
    return f"list_transform({shared}, lambda t: translate(split_part(t, '@', 1), '._-', ''))"


def _shares_mailbox_sql(c: Condition, v: list[str]) -> str:
    if not c.words:
        return f"list_has_any({v[0]}, {v[1]})"
    return (
        f"(len(list_filter({_shared_users_sql(v)}, lambda u: not list_contains({_quoted(c.words)}, u))) > 0)"
    )


def _named_mailbox_sql(_: Condition, v: list[str]) -> str:
    users = _shared_users_sql(v)
    names = []
    for given, family in ((v[2], v[4]), (v[3], v[5])):
        joined = f"replace({family}, ' ', '')"
        names += [f"{given} || {joined}", f"{joined} || {given}"]
    return f"list_has_any({users}, [{', '.join(names)}])"


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
    return f"(length({v[0]}) = 10 and length({v[1]}) = 10 and ({same}) >= {_whole(c)})"


_MEASURES: Final[Mapping[str, _Measure]] = {
    "same": _Measure("text", lambda c, v: f"{v[0]} == {v[1]}", lambda c, v: f"({v[0]} = {v[1]})"),
    "crossed": _Measure(
        "texts",
        lambda c, v: f"{v[0]} == {v[3]} and {v[2]} == {v[1]}",
        lambda c, v: f"({v[0]} = {v[3]} and {v[2]} = {v[1]})",
    ),
    "crossed_jaro_winkler": _Measure(
        "texts",
        lambda c, v: (
            f"jaro_winkler({v[0]}, {v[3]}) >= {c.number - _SLACK!r} "
            f"and jaro_winkler({v[2]}, {v[1]}) >= {c.number - _SLACK!r}"
        ),
        lambda c, v: " and ".join(
            f"jaro_winkler_similarity({_left(x)}, {_left(y)}) >= {c.number - _SLACK!r}"
            for x, y in ((v[0], v[3]), (v[2], v[1]))
        ),
        number="at_least",
        fraction=True,
    ),
    "both_end_with": _Measure(
        "text",
        lambda c, v: f"{v[0]}.endswith('{c.words[0]}') and {v[1]}.endswith('{c.words[0]}')",
        lambda c, v: f"(ends_with({v[0]}, '{c.words[0]}') and ends_with({v[1]}, '{c.words[0]}'))",
        takes_text=True,
    ),
    "same_start": _Measure(
        "text",
        lambda c, v: f"{v[0]}[:{_whole(c)}] == {v[1]}[:{_whole(c)}]",
        lambda c, v: f"(left({v[0]}, {_whole(c)}) = left({v[1]}, {_whole(c)}))",
        number="length",
    ),
    "initial": _Measure(
        "text",
        lambda c, v: f"initial({v[0]}, {v[1]})",
        lambda c, v: f"(left({v[0]}, 1) = left({v[1]}, 1) and (length({v[0]}) = 1) <> (length({v[1]}) = 1))",
    ),
    "initials_fit": _Measure("text", lambda c, v: f"initials_fit({v[0]}, {v[1]})", _initials_fit_sql),
    "extends": _Measure(
        "text",
        lambda c, v: f"extends({v[0]}, {v[1]}, {c.length_min})",
        _extends_sql,
        takes_length_min=True,
    ),
    "jaro_winkler": _Measure(
        "text",
        lambda c, v: f"jaro_winkler({v[0]}, {v[1]}) >= {c.number - _SLACK!r}",
        lambda c, v: f"(jaro_winkler_similarity({_left(v[0])}, {_left(v[1])}) >= {c.number - _SLACK!r})",
        number="at_least",
        fraction=True,
    ),
    "levenshtein": _Measure(
        "text",
        _distance_python("levenshtein"),
        _distance_sql("levenshtein"),
        number="at_most",
        takes_length_min=True,
    ),
    "damerau": _Measure(
        "text",
        _distance_python("damerau"),
        _distance_sql("damerau_levenshtein"),
        number="at_most",
        takes_length_min=True,
    ),
    "word_shared": _Measure(
        "text",
        lambda c, v: f"word_shared({v[0]}, {v[1]}, {c.length_min})",
        _word_shared_sql,
        takes_length_min=True,
    ),
    "date_swapped": _Measure("text", lambda c, v: f"date_swapped({v[0]}, {v[1]})", _date_swapped_sql),
    "date_parts": _Measure(
        "text",
        lambda c, v: f"date_parts({v[0]}, {v[1]}, {_whole(c)})",
        _date_parts_sql,
        number="at_least",
    ),
    "found_in": _Measure(
        "text+list",
        lambda c, v: (
            f"({v[0]} is not None and {v[3]} is not None and {v[0]} in {v[3]}) "
            f"or ({v[1]} is not None and {v[2]} is not None and {v[1]} in {v[2]})"
        ),
        lambda c, v: (
            f"(coalesce(list_contains({v[3]}, {v[0]}), false) "
            f"or coalesce(list_contains({v[2]}, {v[1]}), false))"
        ),
        guards_itself=True,
    ),
    "shares": _Measure("list", _shares_python, _shares_sql, number="at_least", takes_words="ignoring"),
    "contained": _Measure(
        "list", _contained_python, _contained_sql, number="at_least", takes_words="ignoring"
    ),
    "share_percent": _Measure("list", _share_python, _share_sql, number="at_least", takes_words="ignoring"),
    "shares_start": _Measure(
        "list",
        lambda c, v: f"shares_start({v[0]}, {v[1]}, {_whole(c)})",
        _cut_sql("left(t, {length})"),
        number="length",
    ),
    "shares_end": _Measure(
        "list",
        lambda c, v: f"shares_end({v[0]}, {v[1]}, {_whole(c)})",
        _cut_sql("right(t, {length})"),
        number="length",
    ),
    "best_jaro_winkler": _Measure(
        "list",
        lambda c, v: f"best_jaro_winkler({v[0]}, {v[1]}, {c.number - _SLACK!r})",
        _best_sql("jaro_winkler_similarity({x}, {y}) >= {at_least}"),
        number="at_least",
        fraction=True,
    ),
    "best_damerau": _Measure(
        "list",
        lambda c, v: f"best_damerau({v[0]}, {v[1]}, {_whole(c)}, {c.length_min})",
        _best_sql(
            "length(x) >= {length_min} and length(y) >= {length_min} and (case "
            "when levenshtein({x}, {y}) <= 2 * {at_most} then damerau_levenshtein({x}, {y}) <= {at_most} "
            "else false end)"
        ),
        number="at_most",
        takes_length_min=True,
    ),
    "scheme_shared": _Measure(
        "list",
        lambda c, v: f"scheme_shared({v[0]}, {v[1]}{f', words_{c.words_name}' if c.words else ''})",
        lambda c, v: f"list_has_any({_schemes_sql(v[0], c.words)}, {_schemes_sql(v[1], ())})",
        takes_words="only",
    ),
    "shares_mailbox": _Measure(
        "list",
        lambda c, v: f"shares_mailbox({v[0]}, {v[1]}{f', words_{c.words_name}' if c.words else ''})",
        _shares_mailbox_sql,
        takes_words="ignoring",
    ),
    "named_mailbox": _Measure(
        "mailbox",
        lambda c, v: (
            f"{v[0]} is not None and {v[1]} is not None "
            f"and named_mailbox({v[0]}, {v[1]}, (({v[2]}, {v[4]}), ({v[3]}, {v[5]})))"
        ),
        _named_mailbox_sql,
        guards_itself=True,
    ),
}

_WORD: Final = re.compile(r"[a-z0-9:@.\-]{1,40}")


def _read_measure(document: Mapping[str, Any], *, place: str, vocabulary: Vocabulary) -> Condition:
    name = document.get("measure")
    measure = _MEASURES.get(name) if isinstance(name, str) else None
    if measure is None:
        raise ScoringModelInvalid(f"{place}: measure {name!r} is not one of {', '.join(sorted(_MEASURES))}")
    allowed = {"measure", "column" if measure.columns in ("text", "list") else "columns"}
    if measure.number:
        allowed.add(measure.number)
    for taken, field in (
        (measure.takes_length_min, "length_min"),
        (measure.takes_words, measure.takes_words),
        (measure.takes_text, "text"),
    ):
        if taken and field:
            allowed.add(field)
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise ScoringModelInvalid(f"{place}: measure {name} does not take {', '.join(unknown)}")
    return Condition(
        str(name),
        columns=_read_columns(document, measure, place=place),
        number=_read_number(document, measure, place=place),
        length_min=_read_length_min(document, place=place),
        words=_read_words(document, measure, place=place, vocabulary=vocabulary),
        words_name=str(document.get(measure.takes_words or "", "")),
    )


def _read_columns(document: Mapping[str, Any], measure: _Measure, *, place: str) -> tuple[str, ...]:
    stated = document["columns"] if "columns" in document else [document.get("column")]
    wanted = {
        "text": (TEXT_COLUMNS,),
        "list": (LIST_COLUMNS,),
        "texts": (TEXT_COLUMNS, TEXT_COLUMNS),
        "text+list": (TEXT_COLUMNS, LIST_COLUMNS),
        "mailbox": (("emails",), ("given",), ("family",)),
    }[measure.columns]
    if not isinstance(stated, list) or len(stated) != len(wanted):
        raise ScoringModelInvalid(f"{place}: this measure takes {len(wanted)} columns")
    for column, names in zip(stated, wanted, strict=True):
        if column not in names:
            raise ScoringModelInvalid(f"{place}: column {column!r} is not one of {', '.join(names)}")
    return tuple(stated)


def _read_number(document: Mapping[str, Any], measure: _Measure, *, place: str) -> float:
    if measure.number is None:
        return 0
    value = document.get(measure.number)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ScoringModelInvalid(f"{place}: {measure.number} has to be a number")
    if measure.fraction:
        if not 0 < value <= 1:
            raise ScoringModelInvalid(f"{place}: {measure.number} has to be above 0 and at most 1")
        return float(value)
    if not isinstance(value, int) or not 0 < value <= 100:
        raise ScoringModelInvalid(f"{place}: {measure.number} has to be a whole number from 1 to 100")
    return value


def _read_length_min(document: Mapping[str, Any], *, place: str) -> int:
    value = document.get("length_min", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= TEXT_CHARS_MAX:
        raise ScoringModelInvalid(f"{place}: length_min has to be a whole number from 0 to {TEXT_CHARS_MAX}")
    return value


def _read_words(
    document: Mapping[str, Any], measure: _Measure, *, place: str, vocabulary: Vocabulary
) -> tuple[str, ...]:
    if measure.takes_text:
        text = document.get("text")
        if not isinstance(text, str) or not _WORD.fullmatch(text):
            raise ScoringModelInvalid(f"{place}: text has to be 1 to 40 of a-z, 0-9, : @ . -")
        return (text,)
    if measure.takes_words is None or measure.takes_words not in document:
        return ()
    name = document[measure.takes_words]
    if not isinstance(name, str) or not vocabulary.get(name):
        raise ScoringModelInvalid(f"{place}: there is no word list {name!r}, or it is empty")
    return vocabulary[name]
