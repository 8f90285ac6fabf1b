"""Merge many units of a component: a chain of nearest neighbours, with NumPy.

Invariant: the clusters are those of `component`. For units A, B, C the mean of A+B to C lies between those of
A to C and B to C; where all three are equal the next criterion decides in the same way; where all are equal,
A+B has the smallest record of one of both. So merging A and B never brings a pair above the better of the two
that it replaces, two units nearest to each other stay so until they merge, and merging them early gives what
merging the greatest pair first gives. A constraint is a mean below all others and keeps this true.
Elsewhere: few units (`heap`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from matching.cluster.layout import Integers, Layout, in_order

__all__ = ["merge_by_chain"]

_Floats = npt.NDArray[np.float64]
_NEVER: Final = -np.inf


def merge_by_chain(layout: Layout, cut: int, clip: int) -> list[list[int]]:
    """Return the clusters of a component that `fits_arrays`, in no order."""
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
            low, high = in_order(slot, nearest)
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


def _find_greatest(means: _Floats, clipped: _Floats, unclipped: Integers, sizes: Integers) -> int:
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


def _keep_greatest(sums: Integers, sizes: Integers, slots: Integers) -> Integers:
    """Return the slots whose mean is greatest, compared exactly; `sums` are those of `slots`."""
    sizes = sizes[slots]
    best = 0
    while True:
        excess = sums * sizes[best] - sums[best] * sizes
        greater = int(excess.argmax())
        if excess[greater] == 0:
            return np.compress(excess == 0, slots)
        best = greater


def _sum_arrays(layout: Layout, clip: int) -> tuple[_Floats, Integers, Integers]:
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
