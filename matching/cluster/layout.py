"""Lay one component out for merging: classes of exchangeable records, their weights, units, constraints.

Invariant: a class holds the unpinned records of one profile, or one pinned or judged record; a unit holds
records that are joined before linkage. Classes and units stand in the order of their first records.
Elsewhere: merging units (`heap`, `chain`), which of these is taken (`component`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from matching.cluster.members import UNCONSTRAINED, Constraints, Member, PairWeights

__all__ = ["HEAP_UNITS_MAX", "Integers", "Layout", "Unit", "in_order", "lay_out", "put_in_order"]

Integers = npt.NDArray[np.int64]

HEAP_UNITS_MAX: Final = 30
"""Up to so many units go to the heap; weights of so many classes are lists, those of more an array."""

_ARRAY_UNITS_MAX: Final = 3_000  # 150 MB of matrices


@dataclass(frozen=True, slots=True)
class Unit:
    """Records joined before linkage, of which each class holds some."""

    records: list[int]  # in record order
    parts: list[tuple[int, int]]  # class, number of its records


@dataclass(slots=True)
class Layout:
    """A component by classes: the unpinned records of one profile, or one pinned record, each."""

    order: list[int]  # positions in record order
    rank: list[int]  # of each position
    table: list[list[int]] | Integers  # unclipped weights of classes
    units: list[Unit]  # in the order of their first records
    apart: set[tuple[int, int]] = field(default_factory=set)  # classes, smaller first; maybe itself
    one_each: list[list[int]] = field(default_factory=list)  # classes no two of which may meet

    @property
    def is_free(self) -> bool:
        """Whether no constraint keeps any two records apart."""
        return not self.apart and not self.one_each

    @property
    def weight_min(self) -> int:
        """The lowest weight of two records."""
        return min(map(min, self.table)) if isinstance(self.table, list) else int(self.table.min())

    @property
    def weight_max(self) -> int:
        """The greatest absolute weight."""
        if isinstance(self.table, list):
            return max(max(map(abs, row)) for row in self.table)
        return int(np.abs(self.table).max())

    @property
    def fits_arrays(self) -> bool:
        """Whether every sum is exact as a float and every cross product of sums fits 64 bits."""
        record_count = len(self.order)
        if len(self.units) > _ARRAY_UNITS_MAX:
            return False
        weight_max = self.weight_max
        # Disjoint groups of a, b, c records: ab <= (N/2)^2, abc <= (N/3)^3.
        return record_count**2 * weight_max < 4 << 52 and record_count**3 * weight_max < 27 << 62

    def expand_apart(self) -> set[tuple[int, int]]:
        """Return every pair of classes that may not meet, in both directions."""
        both = self.apart.union(*(combinations(group, 2) for group in self.one_each))
        return both | {(d, c) for c, d in both}


def lay_out(members: Sequence[Member], weights: PairWeights, clip: int, constraints: Constraints) -> Layout:
    """Return the component laid out; ValueError as for `cluster_component`."""
    order = put_in_order(members)
    rank = [0] * len(order)
    for place, position in enumerate(order):
        rank[position] = place
    if constraints is UNCONSTRAINED:
        groups: list[list[int]] = []
        classes, class_of = _sort_into_classes(members, order, set())
        apart: set[tuple[int, int]] = set()
        one_each: list[list[int]] = []
    else:
        groups = _close(constraints.joined)
        named = {position for group in groups for position in group}
        named.update(position for pair in constraints.apart_judged for position in pair)
        classes, class_of = _sort_into_classes(members, order, named)
        apart, one_each = _spread_constraints(constraints, groups, class_of)
    table = _tabulate(classes, weights, clip)
    units = [
        Unit(sorted(group, key=rank.__getitem__), [(class_of[position], 1) for position in group])
        for group in groups
    ]
    joined = {position for group in groups for position in group}
    for number, records in enumerate(classes):
        if len(records) == 1:
            if records[0] not in joined:
                units.append(Unit(records, [(number, 1)]))
        elif table[number][number] >= clip and (number, number) not in apart:
            units.append(Unit(records, [(number, len(records))]))
        else:
            units.extend(Unit([position], [(number, 1)]) for position in records)
    units.sort(key=lambda unit: rank[unit.records[0]])
    return Layout(order, rank, table, units, apart, one_each)


def put_in_order(members: Sequence[Member]) -> list[int]:
    """Return the positions in record order; ValueError when a record occurs twice."""
    keys = [member.order_key for member in members]
    order = sorted(range(len(members)), key=keys.__getitem__)
    if len(set(keys)) < len(keys):
        raise ValueError("a record occurs twice in one component")
    return order


def _sort_into_classes(
    members: Sequence[Member], order: Iterable[int], named: set[int]
) -> tuple[list[list[int]], list[int]]:
    """Return the records of each class in record order, and the class of each position."""
    classes: list[list[int]] = []
    class_of = [0] * len(members)
    by_profile: dict[int, int] = {}
    for position in order:
        member = members[position]
        number = len(classes)
        if not (member.pinned or position in named):
            number = by_profile.setdefault(member.profile, number)
        if number == len(classes):
            classes.append([])
        classes[number].append(position)
        class_of[position] = number
    return classes, class_of


def _close(groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return the groups with all that overlap united, without those of one."""
    parent: dict[int, int] = {}

    def find_root(position: int) -> int:
        root = position
        while (above := parent.setdefault(root, root)) != root:
            root = above
        while position != root:
            parent[position], position = root, parent[position]
        return root

    for group in groups:
        for position in group:
            parent[find_root(position)] = find_root(group[0])
    united: dict[int, list[int]] = {}
    for position in sorted(parent):
        united.setdefault(find_root(position), []).append(position)
    return [group for group in united.values() if len(group) > 1]


def _spread_constraints(
    constraints: Constraints, groups: list[list[int]], class_of: list[int]
) -> tuple[set[tuple[int, int]], list[list[int]]]:
    """Return the pairs and the groups of classes to keep apart."""
    group_of = {position: number for number, group in enumerate(groups) for position in group}
    apart: set[tuple[int, int]] = set()
    for left, right in constraints.apart_judged:
        if left in group_of and group_of[left] == group_of.get(right):
            raise ValueError(f"positions {left} and {right} are judged different, and joined by judgements")
        apart.add(in_order(class_of[left], class_of[right]))
    # A pair inside one unit does no harm below: a unit is never compared with itself.
    for left, right in constraints.apart_weaker:
        apart.add(in_order(class_of[left], class_of[right]))
    one_each = []
    for group in constraints.one_each:
        numbers: set[int] = set()
        for number in (class_of[position] for position in dict.fromkeys(group)):
            if number in numbers:
                apart.add((number, number))
            numbers.add(number)
        if len(numbers) > 1:
            one_each.append(sorted(numbers))
    return apart, one_each


def in_order(left: int, right: int) -> tuple[int, int]:
    """Return the two numbers, the smaller first."""
    return (left, right) if left <= right else (right, left)


def _tabulate(classes: list[list[int]], weights: PairWeights, clip: int) -> list[list[int]] | Integers:
    """Return the weights of all pairs of classes; a class of one record weighs `clip` against itself."""
    count = len(classes)
    first = [records[0] for records in classes]
    repeated = [number for number, records in enumerate(classes) if len(records) > 1]
    if isinstance(weights, np.ndarray):
        table = weights[np.ix_(first, first)].astype(np.int64, copy=False)
        np.fill_diagonal(table, clip)
        for number in repeated:
            table[number, number] = weights[classes[number][0], classes[number][1]]
        return table if count > HEAP_UNITS_MAX else table.tolist()
    rows = [
        [weights(other, position) for other in first[:number]] + [clip]
        for number, position in enumerate(first)
    ]
    for number in repeated:
        rows[number][number] = weights(classes[number][0], classes[number][1])
    if count > HEAP_UNITS_MAX:
        table = np.zeros((count, count), dtype=np.int64)
        for number, row in enumerate(rows):
            table[number, : number + 1] = table[: number + 1, number] = row
        return table
    for number in range(count):
        rows[number] += [rows[other][number] for other in range(number + 1, count)]
    return rows
