"""Foresee how new records of a load will stand: components and clusters, before anything is stored.

Splink on DuckDB finds and scores the candidates among the new records and with the stored ones that share
a blocking key; everything after is done by the same pure functions as for one record. What touches a
stored record is not foreseen: it is resolved one by one, later.

Invariant: a component foreseen is what one-by-one resolving of the whole load would give, as long as
nobody else writes meanwhile; whoever does is looked at again when the load ends (`identity.settling`).
Elsewhere: storing what was foreseen (`identity.bulk.slices`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.model import RecordRef
from identity.region import Node, PartedComponent, Partitioner
from identity.store import SourcedProfile
from matching.engine_duckdb import DuckDbEngine
from matching.model import Profile, decode_profile
from matching.partition import Links, find_components, iter_groups

__all__ = ["Foreseen", "NewRecords", "StoredHolders", "foresee"]


@dataclass(slots=True)
class NewRecords:
    """The new records of a load, by position: key, profile number; profiles by number."""

    source: str
    keys: list[str]
    profile_of: npt.NDArray[np.int64]
    profiles: Sequence[bytes]  # encoded
    table: pa.Table  # the profiles as the engine wants them
    hashes: pa.ListArray  # the blocking keys of each profile

    def count_keys(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return every blocking key of the profiles, ascending, and how many of them hold it."""
        return np.unique(self.hashes.flatten().to_numpy(), return_counts=True)

    def open_profile(self, number: int) -> Profile:
        """Return a profile by its number."""
        return decode_profile(self.profiles[number])


@dataclass(slots=True)
class StoredHolders:
    """What the store holds under the blocking keys of a load."""

    counts: dict[int, int] = field(default_factory=dict)  # stored holders of each key, capped above the limit
    pids: dict[int, list[int]] = field(default_factory=dict)  # the holders, where they are within the limit
    profiles: dict[int, SourcedProfile] = field(default_factory=dict)


@dataclass(slots=True)
class Foreseen:
    """Components of new records only, and the positions that stored records touch."""

    components: list[PartedComponent]
    singles: npt.NDArray[np.int64]
    touched: npt.NDArray[np.int64]
    candidate_count: int
    link_count: int


def foresee(
    new: NewRecords,
    stored: StoredHolders,
    *,
    partitioner: Partitioner,
    hash_key: bytes,
    one_each: Collection[str],
    memory_limit_mb: int,
    temp_dir: Path,
) -> Foreseen:
    """Return the components of the new records; rids and pids are positions and profile numbers here.

    Cost: Splink scores the candidates on all cores; memory grows with the number of new profiles.
    """
    model = partitioner.model
    with DuckDbEngine(model, hash_key=hash_key, memory_limit_mb=memory_limit_mb, temp_dir=temp_dir) as engine:
        engine.load_profiles(
            (number, new.source, new.open_profile(number)) for number in range(len(new.profiles))
        )
        engine.load_profiles((-pid, source, profile) for pid, (source, profile) in stored.profiles.items())
        held = {
            key: count - len(stored.pids.get(key, ())) if key in stored.pids else count
            for key, count in stored.counts.items()
        }
        links, candidate_count = _collect_links(
            engine.iter_candidates(held={k: n for k, n in held.items() if n}), partitioner
        )
    touched_profiles = _touched_profiles(links)
    own = (links[0] >= 0) & (links[1] >= 0)
    return _part(
        new,
        tuple(column[own] for column in links),
        touched_profiles,
        stored,
        partitioner=partitioner,
        one_each=one_each,
        candidate_count=candidate_count,
    )


def _collect_links(
    tables: Iterator[pa.Table], partitioner: Partitioner
) -> tuple[tuple[npt.NDArray[np.int64], ...], int]:
    count = 0
    kept: list[tuple[npt.NDArray[np.int64], ...]] = []
    for table in tables:
        count += table.num_rows
        left, right, weight = (column.to_numpy().astype(np.int64) for column in table.columns)
        is_link = (weight >= partitioner.link_min) & ((left >= 0) | (right >= 0))
        kept.append((left[is_link], right[is_link], weight[is_link]))
    empty = np.empty(0, dtype=np.int64)
    return tuple(np.concatenate([empty, *(part[at] for part in kept)]) for at in range(3)), count


def _touched_profiles(links: tuple[npt.NDArray[np.int64], ...]) -> npt.NDArray[np.int64]:
    left, right, _ = links
    mixed = (left < 0) != (right < 0)
    return np.unique(np.maximum(left[mixed], right[mixed]))


def _part(
    new: NewRecords,
    links: tuple[npt.NDArray[np.int64], ...],
    touched_profiles: npt.NDArray[np.int64],
    stored: StoredHolders,
    *,
    partitioner: Partitioner,
    one_each: Collection[str],
    candidate_count: int,
) -> Foreseen:
    model = partitioner.model
    record_count = len(new.keys)
    first_of = np.full(len(new.profiles), -1, dtype=np.int64)
    order = np.arange(record_count - 1, -1, -1)
    first_of[new.profile_of[order]] = order
    left, right, weight = [first_of[links[0]]], [first_of[links[1]]], [links[2]]
    repeated = np.flatnonzero(first_of[new.profile_of] != np.arange(record_count))
    chain = _link_repeated(new, repeated, first_of, links, stored, partitioner)
    for at, column in enumerate((left, right, weight)):
        column.append(chain[:, at])
    components = find_components(
        record_count,
        Links(np.concatenate(left), np.concatenate(right), np.concatenate(weight)),
        profiles=new.profile_of,
        thresholds=model.link_thresholds_millibits,
        component_max=model.component_max,
    )
    is_touched_profile = np.zeros(len(new.profiles), dtype=np.bool_)
    is_touched_profile[touched_profiles] = True
    touched_labels = np.unique(components.labels[is_touched_profile[new.profile_of]])
    is_touched = np.isin(components.labels, touched_labels)
    sizes = np.bincount(components.labels, minlength=record_count)
    singles = np.flatnonzero((sizes[components.labels] == 1) & ~is_touched)
    parted = []
    for group in iter_groups(components.labels):
        if not is_touched[group[0]]:
            parted.append(
                _part_group(
                    new, group, int(components.levels[group[0]]), partitioner=partitioner, one_each=one_each
                )
            )
    return Foreseen(parted, singles, np.flatnonzero(is_touched), candidate_count, len(links[0]))


def _link_repeated(
    new: NewRecords,
    repeated: npt.NDArray[np.int64],
    first_of: npt.NDArray[np.int64],
    links: tuple[npt.NDArray[np.int64], ...],
    stored: StoredHolders,
    partitioner: Partitioner,
) -> npt.NDArray[np.int64]:
    """Return the links of records that repeat a profile: to its first record, by the profile's own weight."""
    rows: list[tuple[int, int, int]] = []
    own_weights: dict[int, int] = {}
    partners: dict[int, list[tuple[int, int]]] = {}
    numbers = set(new.profile_of[repeated].tolist())
    if numbers:
        wanted = np.isin(links[0], list(numbers)) | np.isin(links[1], list(numbers))
        for one, other, weight in zip(*(column[wanted].tolist() for column in links), strict=True):
            partners.setdefault(one, []).append((other, weight))
            partners.setdefault(other, []).append((one, weight))
    usable = _usable_of(new, numbers, stored, partitioner.model.holders_max)
    for position in repeated.tolist():
        number = int(new.profile_of[position])
        if number not in own_weights:
            profile = new.open_profile(number)
            own_weights[number] = partitioner.scorer.score_pair(
                profile, profile, left_source=new.source, right_source=new.source
            )
        if own_weights[number] >= partitioner.link_min and number in usable:
            rows.append((position, int(first_of[number]), own_weights[number]))
        rows.extend((position, int(first_of[other]), weight) for other, weight in partners.get(number, ()))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _usable_of(
    new: NewRecords, numbers: Collection[int], stored: StoredHolders, holders_max: int
) -> set[int]:
    """Return those of the profiles that have a usable key."""
    if not numbers:
        return set()
    hashes = {number: new.hashes[number].as_py() for number in numbers}
    keys, counts = new.count_keys()
    wanted = np.unique([key for own in hashes.values() for key in own])
    places = np.searchsorted(keys, wanted)
    usable = {
        key
        for key, count in zip(wanted.tolist(), counts[places].tolist(), strict=True)
        if count + stored.counts.get(key, 0) <= holders_max
    }
    return {number for number, own in hashes.items() if any(key in usable for key in own)}


def _part_group(
    new: NewRecords,
    group: npt.NDArray[np.int64],
    level: int,
    *,
    partitioner: Partitioner,
    one_each: Collection[str],
) -> PartedComponent:
    nodes = [
        Node(int(at), RecordRef(new.source, new.keys[at]), int(new.profile_of[at]), None)
        for at in group.tolist()
    ]
    profiles: Mapping[int, SourcedProfile] = {
        node.pid: (new.source, new.open_profile(node.pid)) for node in nodes
    }
    scores = partitioner.open_scores(profiles, fresh=profiles.keys())
    parted: list[Any] = partitioner.part(
        nodes, scores, links=None, evidence=(), bindings=None, one_each=one_each
    )
    return PartedComponent(level, parted[0].clusters)
