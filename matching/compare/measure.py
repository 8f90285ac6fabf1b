"""What a measure is: the columns and parameters it takes, and its two renderings, side by side.

Invariant: both renderings give the same truth value for every pair of profiles, the same whichever side is
left, and false where a value is absent. They can, because measures see folded ASCII only (DuckDB counts
bytes), similarities are compared with a slack of 1e-9 (its Jaro-Winkler rounds differently in the last bit)
and fuzzy measures read at most `TEXT_CHARS_MAX` characters and `LIST_LENGTH_MAX` elements.
Elsewhere: the measures themselves (`texts`, `lists`, `mailboxes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from matching.compare.condition import Condition
from matching.compare.expression import Asked, Expression

__all__ = [
    "LIST_LENGTH_MAX",
    "SLACK",
    "TEXT_CHARS_MAX",
    "Measure",
    "ask",
    "guard",
    "left_sql",
    "quoted_sql",
    "there",
    "within_sql",
]

TEXT_CHARS_MAX: Final = 64
LIST_LENGTH_MAX: Final = 6
SLACK: Final = 1e-9

_RenderPython = Callable[[Condition, list[str], Sequence[str]], Expression]
_RenderSql = Callable[[Condition, list[str]], str]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of the documents.

    `python` gets the values [left, right, …] and those of them that may be None; `sql` gets the values, and
    may give NULL where one is.
    """

    columns: str  # text, list, texts (two text columns), text+list, mailbox (e-mails, given, family)
    python: _RenderPython
    sql: _RenderSql
    number: str | None = None  # name of its numeric parameter
    fraction: bool = False  # whether that number is in (0, 1] instead of whole and positive
    takes_length_min: bool = False
    takes_words: str | None = None  # name of the field that names a word list
    takes_text: bool = False


def there(absent: Sequence[str]) -> str:
    """Return the Python test that none of the values that may be None is."""
    return " and ".join(f"{value} is not None" for value in absent)


def guard(text: str, absent: Sequence[str]) -> str:
    """Return the Python text, false where one of the values that may be None is."""
    return f"({there(absent)} and {text})" if absent else text


def ask(text: str, absent: Sequence[str]) -> Asked:
    """Return a costly truth value, false where one of the values that may be None is."""
    return Asked("{}", (guard(text, absent),))


def left_sql(value: str) -> str:
    """Return as much of a text as fuzzy measures read."""
    return f"left({value}, {TEXT_CHARS_MAX})"


def quoted_sql(words: tuple[str, ...]) -> str:
    """Return words as a list of SQL."""
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def within_sql(name: str, left: str, right: str, at_most: int) -> str:
    """Return a test of an edit distance.

    Damerau is slow in DuckDB: it runs only where Levenshtein, at most twice as large, leaves a chance. CASE,
    because it evaluates its branches for the rows that reach them only; AND may not.
    """
    test = f"{name}({left}, {right}) <= {at_most}"
    if name == "levenshtein":
        return test
    return f"(case when levenshtein({left}, {right}) <= {2 * at_most} then {test} else false end)"
