"""Cluster one component: which of its records stand for the same customer.

Invariant: the clusters are a function of the set of records, their weights and the constraints; never
of the order of arguments, of merge history or of the implementation chosen. Sums are whole millibits
and means are compared as exact fractions; a float only preselects and never decides.
Elsewhere: finding components (`matching.partition`), weights (`matching.score`), which judgements are
in force (`identity.judge`), turning clusters into CIDs (`identity.assign`).

1. Records that a judgement *same* joins become one unit. So do the unpinned records of one profile
   when its weight against itself is at least the clip and nothing keeps them apart.
2. While two units have a mean of at least the cut and no constraint between them, merge the pair that
   is greatest by: mean of clipped weights over all record pairs; mean of unclipped weights; smaller
   smallest record; smaller smallest record of the other unit. The last two name a pair, so this is a
   total order on the pairs of units.

Three ways give the same result:
- *At once.* When every pair is at least the cut, so is every mean; with no constraint some pair can
  merge as long as two units are left. One cluster, nothing to compute.
- *Heap.* The rule to the letter, for few units. A mean s/n goes into the heap as s*k//n. Two different
  fractions with denominators up to d differ by at least 1/d^2, so with k = d^2 their images differ
  too and order them exactly. Records of one profile that are not joined first are exchangeable: of
  those not merged yet the smallest goes first, so only two a profile are in play at a time.
- *Chain of nearest neighbours* (NumPy), for many units. For units A, B, C the mean of A+B to C lies
  between those of A to C and B to C; where all three are equal the next criterion decides in the same
  way; where all are equal, A+B has the smallest record of one of both. So merging A and B never brings
  a pair above the better of the two that it replaces, two units nearest to each other stay so until
  they merge, and merging them early gives what merging the greatest pair first gives. A constraint is
  a mean below all others and keeps this true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from matching.model import Millibits

__all__ = ["UNCONSTRAINED", "Constraints", "Member", "PairWeights", "cluster_component"]

PairWeights = Callable[[int, int], Millibits] | npt.NDArray[np.int64]
"""Unclipped weight of the records at two positions, symmetric: a function, or a square matrix."""


class Member(NamedTuple):
    """One record of a component, as far as clustering needs it."""

    order_key: tuple[bytes, bytes]  # (source, K) as UTF-8
    profile: int  # equal for records with equal source and standardised attributes
    pinned: bool = False  # weighs otherwise than its profile does: `same_as` evidence names it


@dataclass(frozen=True, slots=True)
class Constraints:
    """What weights may not decide, by position in the component."""

    joined: Sequence[Sequence[int]] = ()  # judged *same*; need not be closed
    apart_judged: Sequence[tuple[int, int]] = ()  # judged *different*
    apart_weaker: Sequence[tuple[int, int]] = ()  # kind, exclusive identifiers
    one_each: Sequence[Sequence[int]] = ()  # no two of a group: one record per customer of a source


UNCONSTRAINED: Final = Constraints()

_Entry = tuple[int, int, int, int, int, int]
"""Images of the two means, negated; ranks of the two smallest records; the two slots."""

_Integers = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

_NEVER: Final = -np.inf
_HEAP_UNITS_MAX: Final = 30
_ARRAY_UNITS_MAX: Final = 3_000  # 150 MB of matrices
_FEW_MEMBERS_MAX: Final = 8


def cluster_component(
    members: Sequence[Member],
    weights: PairWeights,
    *,
    cut: Millibits,
    clip: Millibits,
    constraints: Constraints = UNCONSTRAINED,
) -> list[list[int]]:
    """Group the positions of `members` into clusters, each in record order, ordered by first record.

    Args:
        members: the whole component, any order. Unpinned records of one profile are exchangeable: a
            weight or a weaker constraint stated for one of them holds for all. Records that a judgement
            names need no pin.
        weights: asked once for each pair of profiles (or pinned records), and once for two records of
            one profile, in few records perhaps twice; never for a record with itself.
        cut: lowest mean at which two groups of records still merge; at most `clip`.
        clip: weights count in the mean as at most this, and at least minus this.
        constraints: weaker ones do not hold between records that are joined.
    Raises:
        ValueError: a record occurs twice, cut is above clip, or records judged different are joined.
    Cost: n units of one or more records: O(n^2 log n) time up to 30 units, O(n^2) with NumPy above.
    """
    if cut > clip or clip <= 0:
        raise ValueError(f"clip must be positive and not below the cut; got cut {cut}, clip {clip}")
    if not members:
        return []
    if constraints is UNCONSTRAINED and len(members) <= _FEW_MEMBERS_MAX and callable(weights):
        order = _put_in_order(members)
        if all(weights(left, right) >= cut for left, right in combinations(order, 2)):
            return [order]
    layout = _lay_out(members, weights, clip, constraints)
    if layout.is_free and layout.weight_min >= cut:
        return [layout.order]
    if len(layout.units) <= _HEAP_UNITS_MAX or not layout.fits_arrays:
        clusters = _merge_by_heap(layout, cut, clip)
    else:
        clusters = _merge_by_chain(layout, cut, clip)
    rank = layout.rank
    return sorted((sorted(c, key=rank.__getitem__) for c in clusters), key=lambda c: rank[c[0]])


@dataclass(frozen=True, slots=True)
class _Unit:
    """Records joined before linkage, of which each class holds some."""

    records: list[int]  # in record order
    parts: list[tuple[int, int]]  # class, number of its records


@dataclass(slots=True)
class _Layout:
    """A component by classes: the unpinned records of one profile, or one pinned record, each."""

    order: list[int]  # positions in record order
    rank: list[int]  # of each position
    table: list[list[int]] | _Integers  # unclipped weights of classes
    units: list[_Unit]  # in the order of their first records
    apart: set[tuple[int, int]] = field(default_factory=set)  # classes, smaller first; maybe itself
    one_each: list[list[int]] = field(default_factory=list)  # classes no two of which may meet

    @property
    def is_free(self) -> bool:
        return not self.apart and not self.one_each

    @property
    def weight_min(self) -> int:
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


def _lay_out(members: Sequence[Member], weights: PairWeights, clip: int, constraints: Constraints) -> _Layout:
    order = _put_in_order(members)
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
        _Unit(sorted(group, key=rank.__getitem__), [(class_of[position], 1) for position in group])
        for group in groups
    ]
    joined = {position for group in groups for position in group}
    for number, records in enumerate(classes):
        if len(records) == 1:
            if records[0] not in joined:
                units.append(_Unit(records, [(number, 1)]))
        elif table[number][number] >= clip and (number, number) not in apart:
            units.append(_Unit(records, [(number, len(records))]))
        else:
            units.extend(_Unit([position], [(number, 1)]) for position in records)
    units.sort(key=lambda unit: rank[unit.records[0]])
    return _Layout(order, rank, table, units, apart, one_each)


def _put_in_order(members: Sequence[Member]) -> list[int]:
    """Return the positions in record order."""
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
        apart.add(_in_order(class_of[left], class_of[right]))
    # A pair inside one unit does no harm below: a unit is never compared with itself.
    for left, right in constraints.apart_weaker:
        apart.add(_in_order(class_of[left], class_of[right]))
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


def _in_order(left: int, right: int) -> tuple[int, int]:
    return (left, right) if left <= right else (right, left)


def _tabulate(classes: list[list[int]], weights: PairWeights, clip: int) -> list[list[int]] | _Integers:
    """Return the weights of all pairs of classes; a class of one record weighs `clip` against itself."""
    count = len(classes)
    first = [records[0] for records in classes]
    repeated = [number for number, records in enumerate(classes) if len(records) > 1]
    if isinstance(weights, np.ndarray):
        table = weights[np.ix_(first, first)].astype(np.int64, copy=False)
        np.fill_diagonal(table, clip)
        for number in repeated:
            table[number, number] = weights[classes[number][0], classes[number][1]]
        return table if count > _HEAP_UNITS_MAX else table.tolist()
    rows = [
        [weights(other, position) for other in first[:number]] + [clip]
        for number, position in enumerate(first)
    ]
    for number in repeated:
        rows[number][number] = weights(classes[number][0], classes[number][1])
    if count > _HEAP_UNITS_MAX:
        table = np.zeros((count, count), dtype=np.int64)
        for number, row in enumerate(rows):
            table[number, : number + 1] = table[: number + 1, number] = row
        return table
    for number in range(count):
        rows[number] += [rows[other][number] for other in range(number + 1, count)]
    return rows


def _merge_by_heap(layout: _Layout, cut: int, clip: int) -> list[list[int]]:
    play = _Play(layout, cut, clip)
    while play.heap:
        *_, left, right = heappop(play.heap)
        if play.is_live[left] and play.is_live[right]:
            play.merge(left, right)
    clusters = [records for records, is_live in zip(play.found, play.is_live, strict=True) if is_live]
    return clusters + [[record] for queue in play.waiting.values() for record in queue]


class _Play:
    """The groups of records that may still merge. A slot holds one group; merging two opens a third."""

    def __init__(self, layout: _Layout, cut: int, clip: int) -> None:
        self.rank = layout.rank
        self.cut, self.clip = cut, clip
        self.scale = (len(layout.order) ** 2 // 4) ** 2
        self.table = layout.table if isinstance(layout.table, list) else layout.table.tolist()
        self.apart = layout.expand_apart()
        self.heap: list[_Entry] = []
        self.waiting: dict[int, deque[int]] = {}  # records not in play yet, by class
        self.found: list[list[int]] = []  # records by slot, the smallest first
        self.is_live: list[bool] = []  # by slot
        self.sums: list[dict[int, tuple[int, int]]] = []  # (clipped, unclipped) by slot, by slot it may meet
        self.fresh: list[int | None] = []  # by slot; the class of its one record
        self._admit(layout.units)
        heapify(self.heap)

    def _admit(self, units: list[_Unit]) -> None:
        """Open a slot for each unit, but of records of one class that are units for two at most."""
        counts: dict[int, int] = {}
        admitted: list[_Unit] = []
        for unit in units:
            number = None
            if len(unit.records) == 1:
                number = unit.parts[0][0]
                counts[number] = counts.get(number, 0) + 1
                if counts[number] > 2:
                    self.waiting.setdefault(number, deque()).append(unit.records[0])
                    continue
            slot = self._open(unit.records, number)
            for other, earlier in enumerate(admitted):
                pair_sums = self._sum_pairs(earlier, unit)
                if pair_sums is not None:
                    self._record(other, slot, pair_sums)
                    self._enter(other, slot, self.heap.append)
            admitted.append(unit)

    def _sum_pairs(self, left: _Unit, right: _Unit) -> tuple[int, int] | None:
        """Return the sums over all record pairs, or None for units that may not meet."""
        clipped = unclipped = 0
        for c, c_count in left.parts:
            row = self.table[c]
            for d, d_count in right.parts:
                if (c, d) in self.apart:
                    return None
                pair_count = c_count * d_count
                unclipped += pair_count * row[d]
                clipped += pair_count * max(-self.clip, min(row[d], self.clip))
        return clipped, unclipped

    def _open(self, records: list[int], number: int | None = None) -> int:
        self.found.append(records)
        self.is_live.append(True)
        self.sums.append({})
        self.fresh.append(number)
        return len(self.found) - 1

    def _record(self, left: int, right: int, pair_sums: tuple[int, int]) -> None:
        self.sums[left][right] = self.sums[right][left] = pair_sums

    def _enter(self, left: int, right: int, put: Callable[[_Entry], None]) -> None:
        """Put the pair into the heap if its mean is at least the cut; a greater pair sorts first."""
        clipped, unclipped = self.sums[left][right]
        pair_count = len(self.found[left]) * len(self.found[right])
        if clipped >= self.cut * pair_count:
            low, high = _in_order(self.rank[self.found[left][0]], self.rank[self.found[right][0]])
            mean_image = -clipped * self.scale // pair_count
            unclipped_image = -unclipped * self.scale // pair_count
            put((mean_image, unclipped_image, low, high, left, right))

    def merge(self, left: int, right: int) -> None:
        """Replace two slots by one that holds the records of both, and bring in what waited for them."""
        opened = [slot for merging in (left, right) for slot in self._bring_in_next(merging)]
        if self.rank[self.found[right][0]] < self.rank[self.found[left][0]]:
            left, right = right, left
        merged = self._open(self.found[left] + self.found[right])
        for slot in (left, right):
            self.is_live[slot] = False
            for other in self.sums[slot]:
                del self.sums[other][slot]
        for other, (clipped, unclipped) in self.sums[left].items():
            more = self.sums[right].get(other)
            if more is not None:
                self._record(merged, other, (clipped + more[0], unclipped + more[1]))
        self.sums[left] = self.sums[right] = {}
        for slot in (merged, *opened):
            for other in self.sums[slot]:
                self._enter(slot, other, lambda entry: heappush(self.heap, entry))

    def _bring_in_next(self, slot: int) -> list[int]:
        """Open a slot for the next record of the same class as the one that is about to merge, if any."""
        number = self.fresh[slot]
        if number is None or not self.waiting.get(number):
            return []
        arrival = self._open([self.waiting[number].popleft()], number)
        for other, pair_sums in tuple(self.sums[slot].items()):
            self._record(arrival, other, pair_sums)
        if (number, number) not in self.apart:
            weight = self.table[number][number]
            self._record(arrival, slot, (max(-self.clip, min(weight, self.clip)), weight))
        return [arrival]


def _merge_by_chain(layout: _Layout, cut: int, clip: int) -> list[list[int]]:
    clipped, unclipped, sizes = _sum_arrays(layout, clip)
    divisors = sizes.astype(np.float64)
    count = len(sizes)
    found = [unit.records for unit in layout.units]
    is_open = [True] * count
    # The number of a slot orders it by its smallest record: merged units keep the smaller slot.
    chain: list[int] = []
    for start in range(count):
        if is_open[start]:
            chain.append(start)
        while chain:
            slot = chain[-1]
            # The slot's own size divides all means alike and is left out.
            nearest = _find_greatest(clipped[slot] / divisors, clipped[slot], unclipped[slot], sizes)
            if clipped[slot, nearest] < cut * int(sizes[slot] * sizes[nearest]):
                # Nothing can come nearer later. Only the first of a chain gets here.
                is_open[slot] = False
                chain.pop()
                continue
            if len(chain) < 2 or chain[-2] != nearest:
                chain.append(nearest)
                continue
            del chain[-2:]
            low, high = _in_order(slot, nearest)
            for sums in (clipped, unclipped):
                sums[low] += sums[high]
                sums[:, low] = sums[low]
            clipped[high] = clipped[:, high] = _NEVER
            divisors[low] = sizes[low] = sizes[low] + sizes[high]
            found[low] = found[low] + found[high]
            found[high] = []
            is_open[high] = False
            if not chain:
                chain.append(low)
    return [records for records in found if records]


def _find_greatest(means: _Floats, clipped: _Floats, unclipped: _Integers, sizes: _Integers) -> int:
    """Return the slot with the greatest mean; any slot when there is none that may be met.

    Division of exact floats is rounded correctly, so it is monotone: a slot whose mean rounds to less
    than another's cannot have a greater one. Those that round to the same are compared exactly.
    """
    greatest = means.max()
    ties = (means == greatest).nonzero()[0]
    if len(ties) > 1 and greatest > _NEVER:
        ties = _keep_greatest(clipped[ties].astype(np.int64), sizes, ties)
        if len(ties) > 1:
            ties = _keep_greatest(unclipped[ties], sizes, ties)
    return int(ties[0])


def _keep_greatest(sums: _Integers, sizes: _Integers, slots: _Integers) -> _Integers:
    """Return the slots whose mean is greatest, compared exactly; `sums` are those of `slots`."""
    sizes = sizes[slots]
    best = 0
    while True:
        excess = sums * sizes[best] - sums[best] * sizes
        greater = int(excess.argmax())
        if excess[greater] == 0:
            return np.compress(excess == 0, slots)
        best = greater


def _sum_arrays(layout: _Layout, clip: int) -> tuple[_Floats, _Integers, _Integers]:
    """Return clipped sums with minus infinity for never, unclipped sums, and numbers of records, by unit.

    The floats are whole numbers that `fits_arrays` keeps below 2^53, so adding them is exact, and
    minus infinity stays what it is whatever is added.
    """
    table = np.asarray(layout.table, dtype=np.int64)
    forbidden = np.zeros(table.shape, dtype=np.bool_)
    for group in layout.one_each:
        forbidden[np.ix_(group, group)] = True
    np.fill_diagonal(forbidden, val=False)
    for c, d in layout.apart:
        forbidden[c, d] = forbidden[d, c] = True
    clipped = np.clip(table, -clip, clip).astype(np.float64)
    clipped[forbidden] = _NEVER
    parts = [part for unit in layout.units for part in unit.parts]
    starts = np.cumsum([0] + [len(unit.parts) for unit in layout.units[:-1]])
    numbers = np.array([number for number, _ in parts])
    counts = np.array([count for _, count in parts], dtype=np.int64)
    if np.array_equal(numbers, np.arange(len(table))):
        unclipped = table.copy()
    else:
        unclipped = table[numbers][:, numbers]
        clipped = clipped[numbers][:, numbers]
    if counts.max() > 1:
        pair_counts = np.outer(counts, counts)
        unclipped *= pair_counts
        clipped *= pair_counts
    if len(parts) > len(layout.units):
        unclipped = np.add.reduceat(np.add.reduceat(unclipped, starts, axis=0), starts, axis=1)
        clipped = np.add.reduceat(np.add.reduceat(clipped, starts, axis=0), starts, axis=1)
    np.fill_diagonal(clipped, _NEVER)
    return clipped, unclipped, np.add.reduceat(counts, starts)
