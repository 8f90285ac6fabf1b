"""Measures of e-mail addresses that two records share: whether a role or the name explains that.

Native functions never get None. Most records share none, and an expression asks that first.
Elsewhere: e-mail addresses as a list like others (`lists`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matching.compare.condition import Condition
from matching.compare.expression import AllOf, Expression
from matching.compare.lists import share_an_element
from matching.compare.measure import Measure, ask, guard, quoted_sql

__all__ = ["MAILBOX_FUNCTIONS", "MAILBOX_MEASURES"]

_SEPARATORS: Final = str.maketrans("", "", "._-")


def _shares_mailbox(
    left: tuple[str, ...], right: tuple[str, ...], words: frozenset[str] = frozenset()
) -> bool:
    for value in left:
        if value in right and value.partition("@")[0].translate(_SEPARATORS) not in words:
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


MAILBOX_FUNCTIONS: Final[Mapping[str, Any]] = {
    "shares_mailbox": _shares_mailbox,
    "named_mailbox": _named_mailbox,
}
"""The functions that the Python renderings call, by the names they use."""


def _shares_mailbox_python(c: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    shares = ask(share_an_element(*v), absent)
    if not c.words:
        return shares
    return AllOf((shares, ask(f"shares_mailbox({v[0]}, {v[1]}, words_{c.words_name})", ())))


def _named_mailbox_python(_: Condition, v: list[str], absent: Sequence[str]) -> Expression:
    missing = [value for value in absent if value in v[:2]]
    named = guard(f"named_mailbox({v[0]}, {v[1]}, (({v[2]}, {v[4]}), ({v[3]}, {v[5]})))", missing)
    return AllOf((ask(share_an_element(*v[:2]), missing), ask(named, ())))


def _shared_users_sql(v: list[str]) -> str:
    shared = f"list_intersect({v[0]}, {v[1]})"
    return f"list_transform({shared}, lambda t: translate(split_part(t, '@', 1), '._-', ''))"


def _shares_mailbox_sql(c: Condition, v: list[str]) -> str:
    if not c.words:
        return f"list_has_any({v[0]}, {v[1]})"
    users = _shared_users_sql(v)
    return f"(len(list_filter({users}, lambda u: not list_contains({quoted_sql(c.words)}, u))) > 0)"


def _named_mailbox_sql(_: Condition, v: list[str]) -> str:
    users = _shared_users_sql(v)
    names = []
    for given, family in ((v[2], v[4]), (v[3], v[5])):
        joined = f"replace({family}, ' ', '')"
        names += [f"{given} || {joined}", f"{joined} || {given}"]
    return f"list_has_any({users}, [{', '.join(names)}])"


MAILBOX_MEASURES: Final[Mapping[str, Measure]] = {
    "shares_mailbox": Measure("list", _shares_mailbox_python, _shares_mailbox_sql, takes_words="ignoring"),
    "named_mailbox": Measure("mailbox", _named_mailbox_python, _named_mailbox_sql),
}
