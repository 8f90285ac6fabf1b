"""Foresee how the new records of a load will stand: components and clusters, before anything is stored.

Splink on DuckDB scores the candidates among the new records and with the stored ones that share a blocking key;
everything after is done by the same pure functions as for one record.
 1. Components of the new records among themselves.
 2. Those that nothing stored is linked to are parted into clusters here.
 3. The others are joined with the stored components that they are linked to; who stores them reads those as they
    stand by then, and parts the whole (`identity.bulk.joining`).
 4. What is too large at the lowest threshold and linked to something stored is left to be resolved one by one.

Invariant: a component foreseen is what one-by-one resolving of the whole load would give, as long as nobody else
writes meanwhile; whoever does is looked at again when the load ends (`identity.settling`).
Elsewhere: the pairs (`identity.bulk.candidates`), the store's side (`identity.bulk.stored_side`), storing what was
foreseen (`identity.bulk.slices`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from identity.bulk.candidates import HolderRows, Pairs, is_among, iter_pairs, sort_holders
from identity.bulk.new_records import NewRecords
from identity.bulk.sieve import Sieve
from identity.bulk.stored_side import StoredHolders
from identity.model import RecordRef
from identity.region import Node, PartedComponent, Partitioner
from identity.store import SourcedProfile
from matching.engine_duckdb import DuckDbEngine
from matching.model import Profile, decode_profile
from matching.partition import Links, find_components, iter_groups
from matching.tabulate import ProfileTabler

__all__ = ["Foreseen", "JoinedGroup", "foresee", "no_hashes"]

Places = npt.NDArray[np.int64]

_STORED_SLICE: Final = 20_000


@dataclass(frozen=True, slots=True)
class JoinedGroup:
    """New records that links join with each other and with stored components."""

    places: list[int]  # of the new records
    component_ids: list[int]
    pids: list[int]  # stored profiles that new ones are linked to
    links: list[tuple[int, int, int]]  # (profile number, pid or -1 - profile number, weight)


@dataclass(slots=True)
class Foreseen:
    """Components of new records only, groups of new records with stored components, and what is left."""

    components: list[PartedComponent]
    singles: Places
    single_levels: npt.NDArray[np.int16]
    joined: list[JoinedGroup]
    left: Places
    candidate_count: int
    link_count: int


class _Links(NamedTuple):
    """Links of two profiles; `left` is new, `right` new, or stored: -1 - its place among the stored ones."""

    left: Places
    right: Places
    weight: Places

    def take(self, wanted: npt.NDArray[np.bool_]) -> _Links:
        return _Links(*(column[wanted] for column in self))


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

    Cost: Splink scores the candidates on all cores; memory grows with the number of profiles compared.
    """
    model = partitioner.model
    rows, pids = _list_holders(new, stored, holders_max=model.holders_max)
    kept = [_Links(*(np.empty(0, dtype=np.int64) for _ in _Links._fields))]
    candidate_count = 0
    with DuckDbEngine(model, hash_key=hash_key, memory_limit_mb=memory_limit_mb, temp_dir=temp_dir) as engine:
        is_compared = np.zeros(new.profile_count, dtype=np.bool_)
        is_compared[rows.ids[rows.ids >= 0]] = True
        sieve = Sieve(model)
        tabler = ProfileTabler(model, hash_key=hash_key)
        _load_new(engine, sieve, new, is_compared, tabler)
        _load_stored(engine, sieve, stored, pids, tabler)
        sieve.seal()
        for pairs in iter_pairs(rows, holders_max=model.holders_max):
            candidate_count += len(pairs.left)
            kept.append(_find_links(engine, sieve, pairs, partitioner))
    links = _Links(*(np.concatenate(columns) for columns in zip(*kept, strict=True)))
    return _part(
        new, links, pids, stored, partitioner=partitioner, one_each=one_each, candidate_count=candidate_count
    )


def _list_holders(new: NewRecords, stored: StoredHolders, *, holders_max: int) -> tuple[HolderRows, Places]:
    """Return the rows of usable keys that more than one profile holds, and the pids of the stored ones among them."""
    totals = new.held_counts + stored.count(new.held_keys)
    is_useful = (totals > 1) & (totals <= holders_max)
    keys, ids = new.list_holders(is_useful)
    held, pids = stored.holders
    wanted = is_useful[np.searchsorted(new.held_keys, held)] if len(held) else np.empty(0, dtype=np.bool_)
    found, places = np.unique(pids[wanted], return_inverse=True)
    stored_ids = -1 - places.astype(np.int64)
    return sort_holders(np.concatenate((keys, held[wanted])), np.concatenate((ids, stored_ids))), found


def _load_new(
    engine: DuckDbEngine,
    sieve: Sieve,
    new: NewRecords,
    is_compared: npt.NDArray[np.bool_],
    tabler: ProfileTabler,
) -> None:
    for numbers, columns in new.iter_tabulated(is_compared, tabler):
        engine.load_table(numbers, new.source, columns, no_hashes(len(numbers)))
        sieve.add(numbers, new.source, columns)


def _load_stored(
    engine: DuckDbEngine, sieve: Sieve, stored: StoredHolders, pids: Places, tabler: ProfileTabler
) -> None:
    """Give the engine the stored profiles that new ones are compared with.

    One that went since its key was read is not given: who took it away has noted its keys.
    """
    for start in range(0, len(pids), _STORED_SLICE):
        part = pids[start : start + _STORED_SLICE]
        by_source: dict[str, tuple[list[int], list[Profile]]] = {}
        for pid, source, encoded in stored.iter_profiles(part.tolist()):
            ids, profiles = by_source.setdefault(source, ([], []))
            ids.append(pid)
            profiles.append(decode_profile(encoded))
        for source, (ids, profiles) in by_source.items():
            numbers = pa.array(-1 - np.searchsorted(pids, ids), pa.int64())
            columns = tabler.tabulate(profiles)
            engine.load_table(numbers, source, columns, no_hashes(len(ids)))
            sieve.add(numbers, source, columns)


def no_hashes(count: int) -> pa.Array:
    """Return no blocking keys for so many profiles: the pairs are found without the engine."""
    return pa.ListArray.from_arrays(np.zeros(count + 1, dtype=np.int32), pa.array([], pa.int64()))


def _find_links(engine: DuckDbEngine, sieve: Sieve, pairs: Pairs, partitioner: Partitioner) -> _Links:
    is_open = sieve.keep(pairs.left, pairs.right, link_min=partitioner.link_min)
    scored = engine.score_pairs(pa.table({"left": pairs.left[is_open], "right": pairs.right[is_open]}))
    links = _Links(*(column.to_numpy().astype(np.int64) for column in scored.columns))
    return links.take(links.weight >= partitioner.link_min)


def _part(
    new: NewRecords,
    links: _Links,
    pids: Places,
    stored: StoredHolders,
    *,
    partitioner: Partitioner,
    one_each: Collection[str],
    candidate_count: int,
) -> Foreseen:
    is_mixed = links.right < 0
    own, mixed = links.take(~is_mixed), links.take(is_mixed)
    model = partitioner.model
    record_count = len(new.keys)
    first_of = np.full(new.profile_count, -1, dtype=np.int64)
    order = np.arange(record_count - 1, -1, -1)
    first_of[new.profile_of[order]] = order
    repeated = np.flatnonzero(first_of[new.profile_of] != np.arange(record_count))
    chain = _link_repeated(new, repeated, first_of, own, stored, partitioner)
    components = find_components(
        record_count,
        Links(
            np.concatenate((first_of[own.left], chain[:, 0])),
            np.concatenate((first_of[own.right], chain[:, 1])),
            np.concatenate((own.weight, chain[:, 2])),
        ),
        profiles=new.profile_of,
        thresholds=model.link_thresholds_millibits,
        component_max=model.component_max,
    )
    is_touched_profile = np.zeros(new.profile_count, dtype=np.bool_)
    is_touched_profile[mixed.left] = True
    touched_labels = np.unique(components.labels[is_touched_profile[new.profile_of]])
    is_touched = is_among(components.labels, touched_labels)
    sizes = np.bincount(components.labels, minlength=record_count)
    singles = np.flatnonzero((sizes[components.labels] == 1) & ~is_touched)
    parted = [
        _part_group(new, group, int(components.levels[group[0]]), partitioner=partitioner, one_each=one_each)
        for group in iter_groups(components.labels)
        if not is_touched[group[0]]
    ]
    # A component that is too large at the lowest threshold may have been cut where stored records join it.
    is_joined = is_touched & (components.levels == 0)
    joined = _join(new, components.labels, is_joined, own=own, mixed=mixed, pids=pids, stored=stored)
    return Foreseen(
        parted,
        singles,
        components.levels[singles],
        joined,
        np.flatnonzero(is_touched & ~is_joined),
        candidate_count,
        len(own.left),
    )


def _join(
    new: NewRecords,
    labels: Places,
    is_joined: npt.NDArray[np.bool_],
    *,
    own: _Links,
    mixed: _Links,
    pids: Places,
    stored: StoredHolders,
) -> list[JoinedGroup]:
    """Return the groups of new records and stored components that links connect."""
    places = np.flatnonzero(is_joined)
    if not len(places):
        return []
    linked = pids[-1 - mixed.right]
    found = np.array(stored.list_components(np.unique(linked).tolist()), dtype=np.int64).reshape(-1, 2)
    found = found[np.argsort(found[:, 0], kind="stable")]
    component_ids = np.unique(found[:, 1])
    # Nodes: first the new records, then profiles by number, then the stored profiles, then their components.
    record_count, number_count = len(new.keys), new.profile_count
    pid_base = record_count + number_count
    component_base = pid_base + len(pids)
    is_live = is_among(linked, found[:, 0])
    lefts = [
        places,
        places,
        record_count + mixed.left[is_live],
        pid_base + np.searchsorted(pids, found[:, 0]),
    ]
    rights = [
        labels[places],
        record_count + new.profile_of[places],
        pid_base + (-1 - mixed.right[is_live]),
        component_base + np.searchsorted(component_ids, found[:, 1]),
    ]
    # A profile may be held by records of a component that is left alone.
    has_place = np.zeros(number_count, dtype=np.bool_)
    has_place[new.profile_of[places]] = True
    kept = has_place[mixed.left[is_live]]
    lefts[2], rights[2] = lefts[2][kept], rights[2][kept]
    groups = find_components(
        component_base + len(component_ids),
        Links(np.concatenate(lefts), np.concatenate(rights), np.zeros(sum(map(len, lefts)), dtype=np.int64)),
        profiles=np.zeros(component_base + len(component_ids), dtype=np.int64),
        thresholds=(0,),
        component_max=1,
    ).labels
    gathered: dict[int, JoinedGroup] = {}
    for place, label in zip(places.tolist(), groups[places].tolist(), strict=True):
        group = gathered.get(label)
        if group is None:
            group = gathered[label] = JoinedGroup([], [], [], [])
        group.places.append(place)
    for component_id, label in zip(component_ids.tolist(), groups[component_base:].tolist(), strict=True):
        if label in gathered:
            gathered[label].component_ids.append(component_id)
    own, mixed = own.take(has_place[own.left]), mixed.take(has_place[mixed.left])
    for one, others in ((own, -1 - own.right), (mixed, pids[-1 - mixed.right])):
        of_left = groups[record_count + one.left].tolist()
        for number, other, weight, label in zip(
            one.left.tolist(), others.tolist(), one.weight.tolist(), of_left, strict=True
        ):
            gathered[label].links.append((number, other, weight))
            if other >= 0:
                gathered[label].pids.append(other)
    return list(gathered.values())


def _link_repeated(
    new: NewRecords,
    repeated: Places,
    first_of: Places,
    links: _Links,
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
