"""Compare two crosswalks: what the records of a newcomer would do to the customers that are there.

Invariant: pure but for reading a file; a partition is compared by its groups of records, never by CIDs.
Elsewhere: where the crosswalks come from (`sameas export crosswalk`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pyarrow import parquet

__all__ = ["Crosswalk", "Foreseen", "Name", "foresee", "groups_of", "read_crosswalk"]

Name = tuple[str, str]
"""Source and key of a record."""
Crosswalk = Mapping[Name, str]
"""The CID of each live record."""


class Foreseen(NamedTuple):
    """What would become of customers; a group is the sorted records of one customer."""

    joined: int
    apart: int
    issued: int
    merged: list[list[Name]]
    split: list[str]
    largest: list[list[Name]]


def foresee(before: Crosswalk, after: Crosswalk, *, newcomer: str) -> Foreseen:
    """Return what the newcomer's records do: `joined` to customers of before, or `apart` as `issued` new ones."""
    groups = _by_cid(after)
    joined = apart = issued = 0
    merged = []
    places: dict[str, int] = defaultdict(int)
    for group in groups.values():
        theirs = sum(name[0] == newcomer for name in group)
        ours = {before[name] for name in group if name in before}
        for cid in ours:
            places[cid] += 1
        if ours:
            joined += theirs
        else:
            apart += theirs
            issued += 1
        if len(ours) > 1:
            merged.append(group)
    return Foreseen(
        joined=joined,
        apart=apart,
        issued=issued,
        merged=merged,
        split=sorted(cid for cid, count in places.items() if count > 1),
        largest=sorted(groups.values(), key=lambda group: (-len(group), group)),
    )


def groups_of(crosswalk: Crosswalk) -> frozenset[tuple[Name, ...]]:
    """Return the partition: the records of each customer, without its CID."""
    return frozenset(map(tuple, _by_cid(crosswalk).values()))


def read_crosswalk(file: Path) -> Crosswalk:
    """Return what `sameas export crosswalk` wrote."""
    table = parquet.read_table(file, columns=["source", "key", "cid"])
    sources, keys, cids = (table.column(name).to_pylist() for name in ("source", "key", "cid"))
    return dict(zip(zip(sources, keys, strict=True), cids, strict=True))


def _by_cid(crosswalk: Crosswalk) -> dict[str, list[Name]]:
    groups: dict[str, list[Name]] = defaultdict(list)
    for name in sorted(crosswalk):
        groups[crosswalk[name]].append(name)
    return groups
