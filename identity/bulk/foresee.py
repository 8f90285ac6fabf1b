"""Foresee how new records of a load will stand: components and clusters, before anything is stored.

Splink on DuckDB finds and scores the candidates among the new records and with the stored ones that share
a blocking key; everything after is done by the same pure functions as for one record. What touches a
stored record is not foreseen: it is resolved one by one, later.

Invariant: a component foreseen is what one-by-one resolving of the whole load would give, as long as
nobody else writes meanwhile; whoever does is looked at again when the load ends (`identity.settling`).
Elsewhere: storing what was foreseen (`identity.bulk.slices`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from identity.bulk.prepared_rows import ProfileTable
from identity.model import RecordRef
from identity.region import Node, PartedComponent, Partitioner
from identity.store import SourcedProfile
from matching.engine_duckdb import DuckDbEngine
from matching.model import Profile, decode_profile
from matching.partition import Links, find_components, iter_groups
from matching.tabulate import ProfileTabler

__all__ = ["Foreseen", "NewRecords", "ProfileReader", "StoredHolders", "foresee"]

Places = npt.NDArray[np.int64]

_STORED_SLICE: Final = 20_000


@dataclass(slots=True)
class NewRecords:
    """The new records of a load, by place: key, profile number; the profiles by number."""

    source: str
    keys: list[str]
    profile_of: Places
    profile_count: int
    profiles: ProfileReader
    held_keys: Places  # every blocking key of the profiles, ascending
    held_counts: Places  # how many of them hold it

    @classmethod
    def gather(cls, source: str, keys: list[str], profile_of: Places, profiles: ProfileReader) -> NewRecords:
        """Return the records with their keys counted."""
        parts = [np.empty(0, dtype=np.int64)]
        count = 0
        for table in profiles.iter_tables():
            parts.append(table.hashes.flatten().to_numpy())
            count += len(table.numbers)
        held_keys, held_counts = np.unique(np.concatenate(parts), return_counts=True)
        return cls(source, keys, profile_of, count, profiles, held_keys, held_counts)

    def open_profile(self, number: int) -> Profile:
        """Return a profile by its number."""
        return decode_profile(self.profiles.read(number))


class ProfileReader(Protocol):
    """Gives the distinct profiles of new records by number."""

    def iter_tables(self) -> Iterator[ProfileTable]:
        """Yield all of them, some at a time."""

    def read(self, number: int) -> bytes:
        """Return one of them, encoded."""


@dataclass(slots=True)
class StoredHolders:
    """What the store holds under the blocking keys of a load; counts stop one above the limit."""

    keys: Places  # ascending
    counts: Places
    holders: tuple[Places, Places]  # (key, pid) of the keys that are within the limit
    read_profiles: Callable[[list[int]], Mapping[int, SourcedProfile]]

    @classmethod
    def none(cls) -> StoredHolders:
        """Return those of an empty store."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, (empty, empty), lambda _pids: {})

    def count(self, keys: Places) -> Places:
        """Return how many stored profiles hold each of these keys."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.counts[places], 0)


@dataclass(slots=True)
class Foreseen:
    """Components of new records only, and the places of new records that stored ones touch."""

    components: list[PartedComponent]
    singles: Places
    single_levels: npt.NDArray[np.int16]
    touched: Places
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
    """Return the components of the new records; rids and pids are places and profile numbers here.

    Cost: Splink scores the candidates on all cores; memory grows with the number of new profiles.
    """
    model = partitioner.model
    with DuckDbEngine(model, hash_key=hash_key, memory_limit_mb=memory_limit_mb, temp_dir=temp_dir) as engine:
        for table in new.profiles.iter_tables():
            engine.load_table(table.numbers, new.source, table.columns, table.hashes)
        _load_stored(engine, stored, ProfileTabler(model, hash_key=hash_key))
        is_common = stored.counts > model.holders_max
        held = dict(zip(stored.keys[is_common].tolist(), stored.counts[is_common].tolist(), strict=True))
        links, candidate_count = _collect_links(engine.iter_candidates(held=held), partitioner)
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


def _load_stored(engine: DuckDbEngine, stored: StoredHolders, tabler: ProfileTabler) -> None:
    """Give the engine the stored profiles under negative ids, with those of their keys that new profiles hold too."""
    order = np.argsort(stored.holders[1], kind="stable")
    keys, holders = stored.holders[0][order], stored.holders[1][order]
    pids, starts = np.unique(holders, return_index=True)
    ends = np.append(starts[1:], len(keys))
    for first in range(0, len(pids), _STORED_SLICE):
        part = slice(first, first + _STORED_SLICE)
        read = stored.read_profiles(pids[part].tolist())
        by_source: dict[str, list[tuple[int, int, int, Profile]]] = {}
        for pid, start, end in zip(
            pids[part].tolist(), starts[part].tolist(), ends[part].tolist(), strict=True
        ):
            if pid in read:  # else it went meanwhile; who took it away has noted its keys
                source, profile = read[pid]
                by_source.setdefault(source, []).append((pid, start, end, profile))
        for source, entries in by_source.items():
            ids = pa.array([-pid for pid, _, _, _ in entries], pa.int64())
            hashes = pa.array([keys[start:end] for _, start, end, _ in entries], pa.list_(pa.int64()))
            engine.load_table(ids, source, tabler.tabulate([entry[3] for entry in entries]), hashes)


def _collect_links(tables: Iterator[pa.Table], partitioner: Partitioner) -> tuple[tuple[Places, ...], int]:
    count = 0
    kept: list[tuple[Places, ...]] = []
    for table in tables:
        count += table.num_rows
        left, right, weight = (column.to_numpy().astype(np.int64) for column in table.columns)
        is_link = (weight >= partitioner.link_min) & ((left >= 0) | (right >= 0))
        kept.append((left[is_link], right[is_link], weight[is_link]))
    empty = np.empty(0, dtype=np.int64)
    return tuple(np.concatenate([empty, *(part[at] for part in kept)]) for at in range(3)), count


def _touched_profiles(links: tuple[Places, ...]) -> Places:
    left, right, _ = links
    mixed = (left < 0) != (right < 0)
    return np.unique(np.maximum(left[mixed], right[mixed]))


def _part(
    new: NewRecords,
    links: tuple[Places, ...],
    touched_profiles: Places,
    stored: StoredHolders,
    *,
    partitioner: Partitioner,
    one_each: Collection[str],
    candidate_count: int,
) -> Foreseen:
    model = partitioner.model
    record_count = len(new.keys)
    first_of = np.full(new.profile_count, -1, dtype=np.int64)
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
    is_touched_profile = np.zeros(new.profile_count, dtype=np.bool_)
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
    return Foreseen(
        parted,
        singles,
        components.levels[singles],
        np.flatnonzero(is_touched),
        candidate_count,
        len(links[0]),
    )


def _link_repeated(
    new: NewRecords,
    repeated: Places,
    first_of: Places,
    links: tuple[Places, ...],
    stored: StoredHolders,
    partitioner: Partitioner,
) -> Places:
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
    usable = _find_usable(new, numbers, stored, partitioner.model.holders_max)
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


def _find_usable(
    new: NewRecords, numbers: Collection[int], stored: StoredHolders, holders_max: int
) -> set[int]:
    """Return those of the profiles that have a usable key."""
    if not numbers:
        return set()
    is_usable = new.held_counts + stored.count(new.held_keys) <= holders_max
    wanted = np.array(sorted(numbers), dtype=np.int64)
    found: set[int] = set()
    for table in new.profiles.iter_tables():
        places = np.flatnonzero(np.isin(table.numbers.to_numpy(), wanted))
        hashes = table.hashes.take(pa.array(places))
        parents = pc.list_parent_indices(hashes).to_numpy()
        held = is_usable[np.searchsorted(new.held_keys, hashes.flatten().to_numpy())]
        found.update(table.numbers.to_numpy()[places[np.unique(parents[held])]].tolist())
    return found


def _part_group(
    new: NewRecords,
    group: Places,
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
