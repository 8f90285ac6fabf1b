"""Part a region of the store into components and clusters, by the rules of the partition.

A region is a set of records that contains every component it touches. Pure: what is returned depends on
the records, their profiles, which blocking keys are usable, the judgements that bind and the scoring
model; not on how the region came to be touched.

Invariant: a pair's weight is that of its two profiles, plus the evidence of a `same_as` between the two
records; both engines of `matching` give the same one.
Elsewhere: reading a region under its locks (`identity.resolve`), naming its clusters (`identity.assign`),
the algorithms (`matching.partition`, `matching.cluster`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from identity.model import RecordRef, order_bytes
from matching.cluster import UNCONSTRAINED, Constraints, Member, cluster_component
from matching.model import Millibits, column_position
from matching.partition import Links, connect_few, find_components, iter_groups

if TYPE_CHECKING:
    from identity.judge import Bindings
    from identity.prepare import PreparedCommand
    from identity.store import RecordRow, SourcedProfile
    from matching.score import Scorer
    from matching.scoring_model import ScoringModel

__all__ = ["Node", "PairScores", "PartedComponent", "Partitioner", "ProfileLink", "pair_of"]

_WEIGHTS_MAX: Final = 2_000_000
_KIND: Final = column_position("kind")
_IDENTIFIERS: Final = column_position("identifiers")


@dataclass(slots=True)
class Node:
    """A live record as it will stand when the transaction ends."""

    rid: int
    ref: RecordRef
    pid: int
    row: RecordRow | None
    prepared: PreparedCommand | None = None
    is_tied: bool = False


class ProfileLink(NamedTuple):
    """Two profiles that are candidates (or one with itself) and their weight."""

    left: int
    right: int
    weight: Millibits


class PartedComponent(NamedTuple):
    """One component: the index of the link threshold it was taken at, and its clusters."""

    level: int
    clusters: list[list[Node]]


def pair_of(one: int, other: int) -> tuple[int, int]:
    """Return two ids, the smaller first."""
    return (one, other) if one <= other else (other, one)


class PairScores:
    """Weights of pairs of profiles within one transaction.

    Weights between stored profiles are remembered beyond it; those of a profile that the transaction
    brings are not, because its pid is free again if the transaction is rolled back.
    """

    def __init__(
        self,
        scorer: Scorer,
        remembered: dict[tuple[int, int], Millibits],
        *,
        profiles: Mapping[int, SourcedProfile],
        fresh: Collection[int],
    ) -> None:
        self.profiles = profiles
        self.scored_count = 0
        self._scorer = scorer
        self._remembered = remembered
        self._fresh = fresh
        self._own: dict[tuple[int, int], Millibits] = {}

    def weigh(self, left: int, right: int) -> Millibits:
        """Return the weight of two profiles by pid."""
        pair = (left, right) if left <= right else (right, left)
        is_fresh = left in self._fresh or right in self._fresh
        weights = self._own if is_fresh else self._remembered
        weight = weights.get(pair)
        if weight is None:
            left_source, left_profile = self.profiles[left]
            right_source, right_profile = self.profiles[right]
            weight = self._scorer.score_pair(
                left_profile, right_profile, left_source=left_source, right_source=right_source
            )
            if len(weights) >= _WEIGHTS_MAX:
                weights.clear()
            weights[pair] = weight
            self.scored_count += 1
        return weight

    def link_profiles(
        self, keys: Mapping[int, Collection[int]], usable: Collection[int], *, link_min: Millibits
    ) -> list[ProfileLink]:
        """Return every link among these profiles: pairs that share a usable key, each profile with itself too.

        Args:
            keys: the blocking keys of each profile.
            usable: the keys that may connect.
            link_min: the lowest weight of a link.
        """
        holders: dict[int, list[int]] = {}
        pairs: set[tuple[int, int]] = set()
        for pid in sorted(keys):
            for key in keys[pid]:
                if key in usable:
                    held = holders.setdefault(key, [])
                    pairs.update((other, pid) for other in held)
                    pairs.add((pid, pid))
                    held.append(pid)
        links = [ProfileLink(left, right, self.weigh(left, right)) for left, right in pairs]
        return [link for link in links if link.weight >= link_min]


class Partitioner:
    """Parts regions under one scoring model."""

    def __init__(self, model: ScoringModel, scorer: Scorer) -> None:
        self.model = model
        self.scorer = scorer
        self.link_min = model.link_thresholds_millibits[0]
        self._weights: dict[tuple[int, int], Millibits] = {}

    def open_scores(self, profiles: Mapping[int, SourcedProfile], *, fresh: Collection[int]) -> PairScores:
        """Return the weights of one transaction; `fresh` are the pids that it brings."""
        return PairScores(self.scorer, self._weights, profiles=profiles, fresh=fresh)

    def part(
        self,
        nodes: Sequence[Node],
        scores: PairScores,
        *,
        links: Sequence[ProfileLink] | None,
        evidence: Collection[tuple[int, int]],
        bindings: Bindings | None,
        one_each: Collection[str],
    ) -> list[PartedComponent]:
        """Return the components of a region with their clusters.

        Args:
            nodes: every record of the region.
            links: the links among their profiles; None when the nodes are known to be one component of
                at most `component_max` profiles at the lowest threshold.
            evidence: pairs of rids of which one's source states that it is the other.
            bindings: the judgements that bind; None for none.
            one_each: sources that hold one record of a customer.
        """
        if len(nodes) == 1:
            return [PartedComponent(0, [list(nodes)])]
        joined = self._positions(nodes, bindings.joined) if bindings else []
        groups = [(0, list(range(len(nodes))))]
        if links is not None:
            groups = self._connect(nodes, scores, links, evidence, joined)
        return [
            PartedComponent(
                level, self._cluster([nodes[at] for at in group], scores, evidence, bindings, one_each)
            )
            for level, group in groups
        ]

    def _connect(
        self,
        nodes: Sequence[Node],
        scores: PairScores,
        links: Sequence[ProfileLink],
        evidence: Collection[tuple[int, int]],
        joined: list[list[int]],
    ) -> list[tuple[int, list[int]]]:
        """Return the components, each with the index of the threshold at which it was taken."""
        by_pid: dict[int, list[int]] = {}
        by_rid: dict[int, int] = {}
        for position, node in enumerate(nodes):
            by_pid.setdefault(node.pid, []).append(position)
            by_rid[node.rid] = position
        edges: list[tuple[int, int, Millibits]] = []
        for left, right, weight in links:
            lefts, rights = by_pid[left], by_pid[right]
            # Every record of one profile links to every one of the other: a star from each side connects the same.
            edges.extend((at, rights[0], weight) for at in lefts if at != rights[0])
            if left != right:
                edges.extend((lefts[0], at, weight) for at in rights[1:])
        for one, other in evidence:
            if one in by_rid and other in by_rid:
                at, to = by_rid[one], by_rid[other]
                weight = scores.weigh(nodes[at].pid, nodes[to].pid) + self.model.same_as_millibits
                edges.append((at, to, weight))
        if len(nodes) <= self.model.component_max:
            held = [(left, right) for left, right, weight in edges if weight >= self.link_min]
            held += [(group[0], other) for group in joined for other in group[1:]]
            return [(0, group) for group in connect_few(len(nodes), held)]
        table = np.array(edges, dtype=np.int64).reshape(-1, 3)
        components = find_components(
            len(nodes),
            Links(table[:, 0], table[:, 1], table[:, 2]),
            profiles=np.array([node.pid for node in nodes], dtype=np.int64),
            thresholds=self.model.link_thresholds_millibits,
            component_max=self.model.component_max,
            joined=joined,
        )
        return [
            (int(components.levels[group[0]]), [int(at) for at in group])
            for group in iter_groups(components.labels, size_min=1)
        ]

    def _cluster(
        self,
        nodes: list[Node],
        scores: PairScores,
        evidence: Collection[tuple[int, int]],
        bindings: Bindings | None,
        one_each: Collection[str],
    ) -> list[list[Node]]:
        if len(nodes) == 1:
            return [nodes]
        rids = {node.rid for node in nodes} if evidence else set()
        named = {rid for pair in evidence if rids.issuperset(pair) for rid in pair}
        members = [Member(order_bytes(node.ref), node.pid, node.rid in named) for node in nodes]
        bonus = self.model.same_as_millibits

        def weigh(left: int, right: int) -> Millibits:
            weight = scores.weigh(nodes[left].pid, nodes[right].pid)
            if evidence and pair_of(nodes[left].rid, nodes[right].rid) in evidence:
                weight += bonus
            return weight

        clusters = cluster_component(
            members,
            weigh,
            cut=self.model.cut_millibits,
            clip=self.model.clip_millibits,
            constraints=self._constrain(nodes, scores.profiles, bindings, one_each),
        )
        return [[nodes[at] for at in cluster] for cluster in clusters]

    def _constrain(
        self,
        nodes: list[Node],
        profiles: Mapping[int, SourcedProfile],
        bindings: Bindings | None,
        one_each: Collection[str],
    ) -> Constraints:
        apart_weaker = self._conflicts(nodes, profiles)
        groups: list[list[int]] = []
        for source in one_each:
            group = [position for position, node in enumerate(nodes) if node.ref.source == source]
            if len(group) > 1:
                groups.append(group)
        if bindings is None and not apart_weaker and not groups:
            return UNCONSTRAINED
        joined: list[list[int]] = []
        apart_judged: list[tuple[int, int]] = []
        if bindings is not None:
            joined = self._positions(nodes, bindings.joined)
            at = {node.ref: position for position, node in enumerate(nodes)}
            apart_judged = [
                (at[left], at[right]) for left, right in bindings.apart if left in at and right in at
            ]
        return Constraints(joined, apart_judged, apart_weaker, groups)

    def _conflicts(self, nodes: list[Node], profiles: Mapping[int, SourcedProfile]) -> list[tuple[int, int]]:
        telling: dict[int, list[int]] = {}
        kinds = set()
        with_identifiers = 0
        for position, node in enumerate(nodes):
            profile = profiles[node.pid][1]
            if profile[_KIND] is not None or profile[_IDENTIFIERS] is not None:
                if node.pid not in telling:
                    kinds.add(profile[_KIND])
                    with_identifiers += profile[_IDENTIFIERS] is not None
                telling.setdefault(node.pid, []).append(position)
        if with_identifiers < 2 and len(kinds - {None}) < 2:
            return []
        conflict = self.scorer.conflict
        return [
            (one, other)
            for left, right in combinations(telling, 2)
            if conflict(profiles[left][1], profiles[right][1])
            for one in telling[left]
            for other in telling[right]
        ]

    @staticmethod
    def _positions(nodes: Sequence[Node], groups: Iterable[Collection[RecordRef]]) -> list[list[int]]:
        at = {node.ref: position for position, node in enumerate(nodes)}
        found = ([at[ref] for ref in group if ref in at] for group in groups)
        return [group for group in found if len(group) > 1]
