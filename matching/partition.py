"""Part any set of records into components and clusters, in memory: the bulk path of the partition.

Invariant: labels are a function of the links and judgements alone; their order, direction and
repetition change nothing. A label is the smallest position of its group and is valid for one call.
Elsewhere: which pairs are candidates (`matching.block`), their weights (`matching.score`), clusters of
one component (`matching.cluster`), the same rule record by record (`identity.resolve`).

1. Link weights below the lowest threshold are dropped; *same* judgements connect at every threshold.
2. Every component with at most `component_max` distinct profiles is settled. In the others the links
   below the next threshold are dropped and they are looked at again, until the thresholds are used up.
   Rising thresholds only ever take links away, so this finds for each record the lowest threshold at
   which its component is small enough, as a search from that record alone would.
3. What is still too large after the last threshold falls apart into what judgements join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from matching.model import Millibits

__all__ = [
    "Components",
    "Links",
    "Oversized",
    "Partition",
    "connect_few",
    "find_components",
    "iter_groups",
    "part_records",
]

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Links:
    """Scored candidate pairs, by positions of records; arrays of one length, any order, repeats allowed."""

    left: npt.NDArray[np.integer]
    right: npt.NDArray[np.integer]
    weight: npt.NDArray[np.integer]  # unclipped, millibits


@dataclass(frozen=True, slots=True)
class Oversized:
    """A component that was too large at the last threshold: only judgements join its records."""

    records: Positions  # ascending
    profile_count: int


@dataclass(frozen=True, slots=True)
class Components:
    """The component of every record."""

    labels: Positions  # by record; the smallest position in its component
    levels: npt.NDArray[np.int16]  # by record; index of the threshold used, their number if none was enough
    oversized: tuple[Oversized, ...]  # by first record


@dataclass(frozen=True, slots=True)
class Partition:
    """The component and the cluster of every record."""

    labels: Positions  # by record; the smallest position in its cluster
    components: Components


def find_components(
    record_count: int,
    links: Links,
    *,
    profiles: npt.NDArray[np.integer],
    thresholds: Sequence[Millibits],
    component_max: int,
    joined: Sequence[Sequence[int]] = (),
) -> Components:
    """Label every record with its component.

    Args:
        record_count: N; records are the positions 0 to N-1.
        links: E candidate pairs. Records of one profile are connected by links like any others.
        profiles: by record; equal for records with equal source and standardised attributes.
        thresholds: millibits, rising, at least one; a link exactly at one holds.
        component_max: most distinct profiles in a component.
        joined: records that judgements *same* join; need not be closed.
    Raises:
        ValueError: thresholds do not rise, or an array has the wrong length.
    Cost: O((N + E) log N) time at most, O(N + E) memory; 1,000,000 records and 5,000,000 links take
        two to five seconds on one core.
    """
    if not thresholds or any(low >= high for low, high in pairwise(thresholds)):
        raise ValueError(f"thresholds must rise and not be empty, got {list(thresholds)}")
    if len(profiles) != record_count or not len(links.left) == len(links.right) == len(links.weight):
        raise ValueError("profiles must have one entry a record, and the arrays of links one length")
    glue_left, glue_right = _pair_up(joined)
    left, right, weight = links.left, links.right, links.weight
    labels = np.arange(record_count, dtype=np.int64)
    levels = np.full(record_count, len(thresholds), dtype=np.int16)
    open_records = labels.copy()
    is_too_large = np.ones(record_count, dtype=np.bool_)
    for level, threshold in enumerate(thresholds):
        held = (weight >= threshold) & is_too_large[left]
        left, right, weight = left[held], right[held], weight[held]
        kept = is_too_large[glue_left]
        glue_left, glue_right = glue_left[kept], glue_right[kept]
        roots = _connect(record_count, np.concatenate((left, glue_left)), np.concatenate((right, glue_right)))
        labels[open_records] = roots[open_records]
        profile_counts = _count_profiles(labels[open_records], profiles[open_records], record_count)
        settled = profile_counts[labels[open_records]] <= component_max
        levels[open_records[settled]] = level
        is_too_large[open_records[settled]] = False
        open_records = open_records[~settled]
        if not len(open_records):
            return Components(labels, levels, ())
    oversized = tuple(
        Oversized(open_records[group], int(profile_counts[labels[open_records[group[0]]]]))
        for group in iter_groups(labels[open_records], size_min=1)
    )
    kept = is_too_large[glue_left]
    roots = _connect(record_count, glue_left[kept], glue_right[kept])
    labels[open_records] = roots[open_records]
    return Components(labels, levels, oversized)


def connect_few(record_count: int, edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Group records that edges connect: positions ascending, groups by their first.

    What `find_components` finds for at most `component_max` records, given their links and judgements as
    edges; without arrays, which cost more than a few records do.
    """
    group_of: list[list[int]] = [[position] for position in range(record_count)]
    for left, right in edges:
        kept, joining = group_of[left], group_of[right]
        if kept is joining:
            continue
        if len(kept) < len(joining):
            kept, joining = joining, kept
        kept += joining
        for position in joining:
            group_of[position] = kept
    groups = {id(group): group for group in group_of}
    return sorted(sorted(group) for group in groups.values())


def part_records(
    record_count: int,
    links: Links,
    *,
    profiles: npt.NDArray[np.integer],
    thresholds: Sequence[Millibits],
    component_max: int,
    cluster: Callable[[Positions], Sequence[Sequence[int]]],
    joined: Sequence[Sequence[int]] = (),
) -> Partition:
    """Label every record with its cluster.

    Args:
        cluster: given the records of one component of two or more, ascending, returns its clusters as
            indexes into them: `matching.cluster.cluster_component` with weights and constraints bound.
    Others, errors and cost as for `find_components`, which this calls first.
    """
    components = find_components(
        record_count,
        links,
        profiles=profiles,
        thresholds=thresholds,
        component_max=component_max,
        joined=joined,
    )
    labels = np.arange(record_count, dtype=np.int64)
    for records in iter_groups(components.labels):
        for found in cluster(records):
            if len(found) > 1:
                group = records[np.asarray(found)]
                labels[group] = group.min()
    return Partition(labels, components)


def iter_groups(labels: Positions, *, size_min: int = 2) -> Iterator[Positions]:
    """Yield the positions that share a label, ascending, for each label that has enough of them."""
    if not len(labels):
        return
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(order))
    large = ends - starts >= size_min
    for start, end in zip(starts[large].tolist(), ends[large].tolist(), strict=True):
        yield order[start:end]


_NO_PAIRS: Final = np.empty(0, dtype=np.int64)


def _pair_up(groups: Sequence[Sequence[int]]) -> tuple[Positions, Positions]:
    """Return edges that connect the members of each group."""
    pairs = [(group[0], other) for group in groups for other in group[1:]]
    if not pairs:
        return _NO_PAIRS, _NO_PAIRS
    edges = np.array(pairs, dtype=np.int64)
    return edges[:, 0], edges[:, 1]


def _connect(record_count: int, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Positions:
    """Return for each record the smallest position that it is connected with.

    Each round hooks every root under the smallest root that an edge leads it to, then flattens the
    trees. A root that nothing was hooked under has only neighbours that went to a smaller one, so it
    is hooked itself in the next round: two rounds at least halve the roots that still have edges.
    Roots only ever go under smaller ones, so the last root of a tree is its smallest position.
    """
    parent = np.arange(record_count, dtype=np.int64)
    while True:
        left, right = parent[left], parent[right]
        crossing = left != right
        left, right = left[crossing], right[crossing]
        if not len(left):
            return parent
        np.minimum.at(parent, np.maximum(left, right), np.minimum(left, right))
        while True:
            above = parent[parent]
            if np.array_equal(above, parent):
                break
            parent = above


def _count_profiles(
    labels: Positions, profiles: npt.NDArray[np.integer], record_count: int
) -> npt.NDArray[np.int64]:
    """Return the number of distinct profiles under each label."""
    numbers = np.unique(profiles, return_inverse=True)[1].astype(np.int64)
    pairs = np.unique(labels * (int(numbers.max(initial=0)) + 1) + numbers)
    return np.bincount(pairs // (int(numbers.max(initial=0)) + 1), minlength=record_count)
