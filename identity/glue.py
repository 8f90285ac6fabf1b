"""Group profiles that are too many to be one component by what links them, and find the values that glue.

 1. Judgements *same* connect, and the evidence of a `same_as`; so does a link at the last threshold between two
    profiles that share a usable blocking value. Values that few hold are looked at first: once they have connected
    most, those that many hold leave few pairs to be scored.
 2. A value glues a group when it makes at least one of its links. The commonest come first.

Invariant: pure; what is returned depends on the arguments alone, not on their order.
Elsewhere: reading them (`identity.oversized`), the rule of components (`matching.partition`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

__all__ = ["GluedGroup", "SharedValue", "group_glued"]


class SharedValue(NamedTuple):
    """A blocking value with the profiles that hold it; personal data."""

    rule: str
    value: str
    pids: tuple[int, ...]  # ascending


@dataclass(frozen=True, slots=True)
class GluedGroup:
    """Profiles that links connect, and the values that make the links, commonest first."""

    pids: frozenset[int]
    values: tuple[SharedValue, ...]


def group_glued(
    shared: Sequence[SharedValue],
    *,
    joined: Iterable[Collection[int]],
    is_link: Callable[[int, int], bool],
    values_max: int,
) -> list[GluedGroup]:
    """Return the groups of two or more profiles, largest first.

    Args:
        shared: usable blocking values that two or more of the profiles hold.
        joined: profiles that judgements or evidence join.
        is_link: whether two profiles that share one of the values link.
        values_max: how many values to name for each group.
    Cost: `is_link` is asked once for each pair under a value at most, and less often the sooner links connect.
    """
    roots: dict[int, int] = {}
    for pids in joined:
        first = min(pids)
        for pid in pids:
            _join(roots, first, pid)
    for one in sorted(shared, key=lambda one: (len(one.pids), one)):
        for left, right in combinations(one.pids, 2):
            if _find(roots, left) != _find(roots, right) and is_link(left, right):
                _join(roots, left, right)
    groups: dict[int, set[int]] = {}
    for pid in roots:
        groups.setdefault(_find(roots, pid), set()).add(pid)
    by_root: dict[int, list[SharedValue]] = {}
    for one in shared:
        within: dict[int, list[int]] = {}
        for pid in one.pids:
            within.setdefault(_find(roots, pid), []).append(pid)
        for root, pids in within.items():
            if len(pids) > 1:
                by_root.setdefault(root, []).append(one._replace(pids=tuple(pids)))
    glued = [
        GluedGroup(frozenset(pids), _find_glue(by_root.get(root, ()), is_link, values_max))
        for root, pids in groups.items()
        if len(pids) > 1
    ]
    return sorted(glued, key=lambda group: (-len(group.pids), min(group.pids)))


def _find_glue(
    shared: Iterable[SharedValue], is_link: Callable[[int, int], bool], values_max: int
) -> tuple[SharedValue, ...]:
    found: list[SharedValue] = []
    for one in sorted(shared, key=lambda one: (-len(one.pids), one)):
        if len(found) == values_max:
            break
        if any(is_link(left, right) for left, right in combinations(one.pids, 2)):
            found.append(one)
    return tuple(found)


def _find(roots: dict[int, int], pid: int) -> int:
    root = roots.setdefault(pid, pid)
    while root != roots[root]:
        roots[root] = roots[roots[root]]
        root = roots[root]
    return root


def _join(roots: dict[int, int], one: int, other: int) -> None:
    low, high = sorted((_find(roots, one), _find(roots, other)))
    roots[high] = low
