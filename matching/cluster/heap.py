"""Merge few units of a component: the rule to the letter, with a heap of pairs.

Invariant: the clusters are those of `component`. A mean s/n goes into the heap as s*k//n. Two different
fractions with denominators up to d differ by at least 1/d^2, so with k = d^2 their images differ too and
order them exactly. Records of one profile that are not joined first are exchangeable: of those not merged
yet the smallest goes first, so only two a profile are in play at a time.
Elsewhere: many units (`chain`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from matching.cluster.layout import Layout, Unit, in_order

__all__ = ["merge_by_heap"]

_Entry = tuple[int, int, int, int, int, int]
"""Images of the two means, negated; ranks of the two smallest records; the two slots."""


def merge_by_heap(layout: Layout, cut: int, clip: int) -> list[list[int]]:
    """Return the clusters of a component, in no order."""
    play = _Play(layout, cut, clip)
    while play.heap:
        *_, left, right = heappop(play.heap)
        if play.is_live[left] and play.is_live[right]:
            play.merge(left, right)
    clusters = [records for records, is_live in zip(play.found, play.is_live, strict=True) if is_live]
    return clusters + [[record] for queue in play.waiting.values() for record in queue]


class _Play:
    """The groups of records that may still merge. A slot holds one group; merging two opens a third."""

    def __init__(self, layout: Layout, cut: int, clip: int) -> None:
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

    def _admit(self, units: list[Unit]) -> None:
        """Open a slot for each unit, but of records of one class that are units for two at most."""
        counts: dict[int, int] = {}
        admitted: list[Unit] = []
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

    def _sum_pairs(self, left: Unit, right: Unit) -> tuple[int, int] | None:
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
            low, high = in_order(self.rank[self.found[left][0]], self.rank[self.found[right][0]])
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
