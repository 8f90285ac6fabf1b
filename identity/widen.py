"""Part a region where a component was too large for the lowest link threshold.

There a record's component was taken at a stricter threshold, so weaker links lead out of the region. By
the rule of the partition a record's component is the one at the lowest threshold at which it has at most
`component_max` profiles, and a search that stops one profile later decides it. So, for every record of the
region and of every component that the answer touches:
 1. search from the record along links of at least the threshold and along judgements *same*, until the
    search ends or has met `component_max` + 1 profiles;
 2. if it met too many, all that it met are too many at this threshold: take the next stricter one;
 3. if it ended, what it met is one component at this threshold.
Records that are too many at the last threshold stay apart except by judgement.

Invariant: exact and local: a search costs at most `component_max` + 1 profiles a threshold, whatever the
size of what lies behind.
Elsewhere: regions that are closed at the lowest threshold (`identity.region`), which every region is until
some component outgrows the limit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from identity.region import Node, PartedComponent

if TYPE_CHECKING:
    from identity.attempt import Attempt, PartedGroup
    from identity.judge import Bindings

__all__ = ["widen_region"]


def widen_region(
    attempt: Attempt,
    group: PartedGroup,
    *,
    evidence: Collection[tuple[int, int]],
    binding: Bindings | None,
    one_each: Sequence[str],
) -> list[PartedComponent]:
    """Return the components of the region with their clusters; the region grows by what the searches meet.

    Raises:
        BeginAnew: a search met a component that is not locked; the next attempt locks it.
    """
    search = _Search(attempt, group, evidence, binding)
    components = search.decide()
    return [
        PartedComponent(
            level,
            attempt.partitioner.part(
                nodes, attempt.scores, links=None, evidence=evidence, bindings=binding, one_each=one_each
            )[0].clusters,
        )
        for level, nodes in components
    ]


class _Search:
    """Searches from records of one group; remembers links of profiles and what is too large."""

    def __init__(
        self,
        attempt: Attempt,
        group: PartedGroup,
        evidence: Collection[tuple[int, int]],
        binding: Bindings | None,
    ) -> None:
        self._attempt = attempt
        self._group = group
        self._thresholds = attempt.partitioner.model.link_thresholds_millibits
        self._component_max = attempt.partitioner.model.component_max
        self._nodes: dict[int, Node] = {node.rid: node for node in group.nodes}
        self._by_pid: dict[int, list[Node]] = {}
        self._links: dict[int, list[tuple[int, int]]] = {}
        self._too_large: list[set[int]] = [set() for _ in self._thresholds]
        self._ties: dict[int, list[tuple[int, int | None]]] = {}
        self._loaded_components = {row.component_id for row in group.rows_before}
        self._tie_nodes(evidence, binding)

    def decide(self) -> list[tuple[int, list[Node]]]:
        """Return (level, nodes) of every component of the group and of all that they touch."""
        decided: dict[int, int] = {}
        components: list[tuple[int, list[Node]]] = []
        waiting = sorted(self._nodes)
        while waiting:
            rid = waiting.pop()
            if rid in decided:
                continue
            level, met = self._decide_one(rid)
            for other in met:
                decided[other] = len(components)
                waiting.extend(self._load_mates(self._nodes[other]))
            components.append((level, [self._nodes[other] for other in sorted(met)]))
        self._group.nodes[:] = [self._nodes[rid] for rid in sorted(decided)]
        return components

    def _decide_one(self, rid: int) -> tuple[int, set[int]]:
        for level, threshold in enumerate(self._thresholds):
            met, is_too_large = self._search(rid, level, threshold)
            if not is_too_large:
                return level, met
            self._too_large[level] |= met
        met, _ = self._search(rid, len(self._thresholds), None)
        return len(self._thresholds), met

    def _search(self, rid: int, level: int, threshold: int | None) -> tuple[set[int], bool]:
        """Return what a search meets, and whether it met too many; without a threshold judgements alone lead on."""
        known = self._too_large[level] if threshold is not None else ()
        met = {rid}
        pids: set[int] = set()
        waiting = [rid]
        while waiting:
            node = self._nodes[waiting.pop()]
            if node.rid in known:
                return met, True
            pids.add(node.pid)
            if threshold is not None and len(pids) > self._component_max:
                return met, True
            for other in self._neighbours(node, threshold):
                if other.rid not in met:
                    met.add(other.rid)
                    waiting.append(other.rid)
        return met, False

    def _neighbours(self, node: Node, threshold: int | None) -> list[Node]:
        found: list[Node] = []
        if threshold is not None:
            for pid, weight in self._find_links(node.pid):
                if weight >= threshold:
                    found.extend(self._records(pid))
        for rid, tie in self._ties.get(node.rid, ()):
            if tie is None or (threshold is not None and tie >= threshold):
                found.append(self._nodes[rid])
        return found

    def _find_links(self, pid: int) -> list[tuple[int, int]]:
        links = self._links.get(pid)
        if links is None:
            attempt = self._attempt
            weighed = ((other, attempt.scores.weigh(pid, other)) for other in attempt.find_holders(pid))
            links = [(other, weight) for other, weight in weighed if weight >= self._thresholds[0]]
            self._links[pid] = links
        return links

    def _records(self, pid: int) -> list[Node]:
        nodes = self._by_pid.get(pid)
        if nodes is None:
            changed = {change.rid for change in self._attempt.changes if change.applies}
            places = self._attempt.tx.read_components_of_profiles([pid])
            component_ids = {component_id for _, component_id in places}
            self._load_components(component_ids)
            nodes = [
                node
                for node in self._nodes.values()
                if node.pid == pid and (node.prepared is not None or node.rid not in changed)
            ]
            self._by_pid[pid] = nodes
        return nodes

    def _load_mates(self, node: Node) -> list[int]:
        """Load the records that shared the node's component before; return their rids."""
        if node.row is None or node.row.component_id is None:
            return []
        self._load_components({node.row.component_id})
        component_id = node.row.component_id
        return [
            other.rid
            for other in self._nodes.values()
            if other.row and other.row.component_id == component_id
        ]

    def _load_components(self, component_ids: Collection[int]) -> None:
        missing = set(component_ids) - self._loaded_components
        if not missing:
            return
        self._attempt.require_locked(missing)
        self._loaded_components |= missing
        moved = {change.rid for change in self._attempt.changes if change.moves}
        for row in self._attempt.tx.read_members(missing):
            self._group.rows_before.append(row)
            if row.rid not in moved and row.pid is not None:
                self._nodes[row.rid] = Node(row.rid, row.ref, row.pid, row, is_tied=row.is_tied)
                self._by_pid.pop(row.pid, None)

    def _tie_nodes(self, evidence: Collection[tuple[int, int]], binding: Bindings | None) -> None:
        bonus = self._attempt.partitioner.model.same_as_millibits
        for one, other in evidence:
            if one in self._nodes and other in self._nodes:
                weight = self._attempt.scores.weigh(self._nodes[one].pid, self._nodes[other].pid) + bonus
                self._ties.setdefault(one, []).append((other, weight))
                self._ties.setdefault(other, []).append((one, weight))
        if binding is None:
            return
        by_ref = {node.ref: node.rid for node in self._nodes.values()}
        for joined in binding.joined:
            rids = sorted(by_ref[ref] for ref in joined if ref in by_ref)
            for rid in rids[1:]:
                self._ties.setdefault(rids[0], []).append((rid, None))
                self._ties.setdefault(rid, []).append((rids[0], None))
