"""List the candidate pairs of a load: new profiles with each other and with stored ones, by shared blocking keys.

Invariant: each pair that shares a usable key comes once, if one of the two is new; a key is usable while at most
`holders_max` profiles, stored and new together, hold it. Pure; what two stored profiles share is no concern of a load.
Elsewhere: scoring the pairs (`matching.engine_duckdb`), who holds the keys (`identity.bulk.stored_side`).

How: all (key, holder) rows stand sorted by key, so the holders of a key are one run. For a block of new profiles
each of their rows is repeated for every holder in its run, and repeats within the block are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["HolderRows", "Pairs", "is_among", "iter_pairs", "sort_holders"]

Ids = npt.NDArray[np.int64]

_BLOCK_PAIRS: Final = 4_000_000
"""So many pairs, repeats included, are held in memory at once; one profile alone may bring more."""
_SHIFT: Final = 32
_ZERO: Final = 1 << 31


class HolderRows(NamedTuple):
    """Rows (key, id of a profile that holds it), ascending by key; stored profiles have negative ids; both fit 31 bits."""

    keys: Ids
    ids: Ids


class Pairs(NamedTuple):
    """Candidate pairs: `left` is new; `right` is stored or a greater new id."""

    left: Ids
    right: Ids


def sort_holders(keys: Ids, ids: Ids) -> HolderRows:
    """Return the rows of usable keys and of others alike, sorted."""
    order = np.argsort(keys, kind="stable")
    return HolderRows(keys[order], ids[order])


def is_among(values: Ids, ascending: Ids) -> npt.NDArray[np.bool_]:
    """Tell for each value whether it is one of the others, which ascend; `numpy.isin` would sort them anew."""
    if not len(ascending):
        return np.zeros(len(values), dtype=np.bool_)
    places = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: npt.NDArray[np.bool_] = ascending[places] == values
    return found


def iter_pairs(rows: HolderRows, *, holders_max: int) -> Iterator[Pairs]:
    """Yield the candidate pairs in blocks of ascending `left`.

    Cost: O(pairs log pairs) time; memory for one block of pairs and two numbers a row.
    """
    if not len(rows.keys):
        return
    starts = np.flatnonzero(np.concatenate(([True], rows.keys[1:] != rows.keys[:-1])))
    counts = np.append(starts[1:], len(rows.keys)) - starts
    row_start = np.repeat(starts, counts)
    row_count = np.repeat(counts, counts)
    wanted = np.flatnonzero((rows.ids >= 0) & (row_count > 1) & (row_count <= holders_max))
    wanted = wanted[np.argsort(rows.ids[wanted], kind="stable")]
    if not len(wanted):
        return
    # A block ends where a profile ends.
    sizes = np.cumsum(row_count[wanted])
    borders = np.flatnonzero(np.diff(rows.ids[wanted])) + 1
    at = 0
    while at < len(wanted):
        done = int(sizes[at - 1]) if at else 0
        full = int(np.searchsorted(sizes, done + _BLOCK_PAIRS, side="right"))
        place = int(np.searchsorted(borders, full, side="right")) - 1
        end = int(borders[place]) if place >= 0 and borders[place] > at else at
        if full >= len(wanted):
            end = len(wanted)
        elif end <= at:
            following = borders[np.searchsorted(borders, at, side="right") :]
            end = int(following[0]) if len(following) else len(wanted)
        yield _pair_up(rows, wanted[at:end], row_start, row_count)
        at = end


def _pair_up(rows: HolderRows, wanted: Ids, row_start: Ids, row_count: Ids) -> Pairs:
    counts = row_count[wanted]
    left = np.repeat(rows.ids[wanted], counts)
    offsets = np.arange(len(left), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    right = rows.ids[np.repeat(row_start[wanted], counts) + offsets]
    kept = (right < 0) | (right > left)
    left, right = left[kept], right[kept]
    packed = np.sort((left << _SHIFT) | (right + _ZERO))  # one number sorts several times as fast as two
    if len(packed):
        packed = packed[np.concatenate(([True], packed[1:] != packed[:-1]))]
    return Pairs(packed >> _SHIFT, (packed & (2 * _ZERO - 1)) - _ZERO)
