"""Part groups of new records and stored components into clusters, shortly before they are stored.

What is parted are the stored records as they stand at that moment; the slice that stores the result takes it only
if every one of them stands there unchanged under its lock (`identity.bulk.slices`).

Invariant: a group that is parted is one component at the lowest threshold: its stored components were, nothing that
words tie together is in it, and all its profiles together are few enough. Every other group is left to be resolved
one by one.
Elsewhere: which records form a group (`identity.bulk.foresee`), the algorithms (`identity.region`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from identity.bulk.foresee import JoinedGroup
from identity.bulk.new_records import NewRecords
from identity.model import Cid, RecordRef
from identity.region import Node, PairScores, Partitioner, ProfileLink, pair_of
from identity.store_sql.bulk_reads import Member, OpenedMember, read_members, read_opened_members
from matching.model import decode_profile

if TYPE_CHECKING:
    from identity.store import SourcedProfile
    from identity.store_sql.sealing import Sealer
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["JoinedCluster", "PartedJoin", "find_unchanged", "part_groups"]


@dataclass(frozen=True, slots=True)
class JoinedCluster:
    """Records that stand for one customer."""

    places: list[int]  # of the new ones
    rids: list[int]  # of the stored ones


@dataclass(frozen=True, slots=True)
class PartedJoin:
    """A group with its clusters, and what it was made from."""

    members: dict[int, Member]  # by rid
    component_id: int  # the one that most of its stored records have: the group takes it over
    clusters: list[JoinedCluster]
    merges_or_splits: bool  # customers that are stored

    def find_cid(self, cluster: JoinedCluster) -> Cid | None:
        """Return the CID of a cluster of a group that neither merges nor splits customers."""
        return self.members[cluster.rids[0]].cid if cluster.rids else None

    @property
    def places(self) -> list[int]:
        """The new records of the group."""
        return [place for cluster in self.clusters for place in cluster.places]

    @property
    def moved(self) -> list[int]:
        """The stored records that come to another component."""
        return [rid for rid, member in self.members.items() if member.component_id != self.component_id]


def part_groups(
    tx: SqlTransaction,
    groups: Sequence[JoinedGroup],
    new: NewRecords,
    *,
    partitioner: Partitioner,
    one_each: Collection[str],
    sealer: Sealer,
) -> tuple[list[PartedJoin], list[int]]:
    """Return the groups that can be stored as they are parted, and the new records of the others."""
    by_component: dict[int, list[OpenedMember]] = {}
    wanted = {component_id for group in groups for component_id in group.component_ids}
    for member in read_opened_members(tx, wanted, sealer=sealer):
        by_component.setdefault(member.place.component_id, []).append(member)
    parted: list[PartedJoin] = []
    left: list[int] = []
    for group in groups:
        members = [member for one in group.component_ids for member in by_component.get(one, ())]
        found = _part(group, members, new, partitioner, one_each)
        if found is None:
            left.extend(group.places)
        else:
            parted.append(found)
    return parted, left


def find_unchanged(tx: SqlTransaction, joins: Sequence[PartedJoin]) -> list[PartedJoin]:
    """Return those of the groups whose stored components hold the same records in the same way, under the lock."""
    wanted = {member.component_id for join in joins for member in join.members.values()}
    by_component: dict[int, dict[int, Member]] = {}
    for member in read_members(tx, wanted):
        by_component.setdefault(member.component_id, {})[member.rid] = member
    unchanged = []
    for join in joins:
        now: dict[int, Member] = {}
        for component_id in {member.component_id for member in join.members.values()}:
            now.update(by_component.get(component_id, {}))
        if now == join.members:
            unchanged.append(join)
    return unchanged


def _part(
    group: JoinedGroup,
    members: Sequence[OpenedMember],
    new: NewRecords,
    partitioner: Partitioner,
    one_each: Collection[str],
) -> PartedJoin | None:
    places = {member.place.rid: member.place for member in members}
    pids = {place.pid for place in places.values()}
    numbers = {int(new.profile_of[at]) for at in group.places}
    if (
        {place.component_id for place in places.values()} != set(group.component_ids)
        or any(place.component_level or place.is_tied for place in places.values())
        or not pids.issuperset(group.pids)
        or len(pids) + len(numbers) > partitioner.model.component_max
    ):
        return None
    nodes = [Node(member.place.rid, member.ref, member.place.pid, None) for member in members]
    nodes.extend(
        Node(_new_id(at), RecordRef(new.source, new.keys[at]), _new_id(int(new.profile_of[at])), None)
        for at in group.places
    )
    profiles: dict[int, SourcedProfile] = {
        _new_id(number): (new.source, new.open_profile(number)) for number in numbers
    }
    profiles.update((one.place.pid, (one.ref.source, decode_profile(one.profile))) for one in members)
    known = {pair_of(_new_id(left), right): weight for left, right, weight in group.links}
    scores = PairScores(partitioner.scorer, known, profiles=profiles, fresh=())
    no_links: list[ProfileLink] | None = None
    (component,) = partitioner.part(
        nodes, scores, links=no_links, evidence=(), bindings=None, one_each=one_each
    )
    return _take_over(component.clusters, places)


def _take_over(clusters: Sequence[Sequence[Node]], members: Mapping[int, Member]) -> PartedJoin:
    joined: list[JoinedCluster] = []
    seen: set[Cid] = set()
    merges_or_splits = False
    for cluster in clusters:
        rids = [node.rid for node in cluster if node.rid >= 0]
        cids = {members[rid].cid for rid in rids}
        merges_or_splits |= len(cids) > 1 or not seen.isdisjoint(cids)
        seen |= cids
        joined.append(JoinedCluster([_new_id(node.rid) for node in cluster if node.rid < 0], rids))
    counts = Counter(member.component_id for member in members.values())
    component_id = min(counts, key=lambda one: (-counts[one], one))
    return PartedJoin(dict(members), component_id, joined, merges_or_splits)


def _new_id(number: int) -> int:
    """Return the id of a new record or profile beside stored ones, and back."""
    return -1 - number
