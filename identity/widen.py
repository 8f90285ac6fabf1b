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

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from identity.judge import bindings
from identity.region import Node, PartedComponent

if TYPE_CHECKING:
    from identity.attempt import Attempt
    from identity.change import PartedGroup
    from identity.model import RecordRef

__all__ = ["widen_region"]


def widen_region(attempt: Attempt, group: PartedGroup) -> list[PartedComponent]:
    """Return the components of the region with their clusters; the region grows by what the searches meet.

    Raises:
        BeginAnew: searches met components that are not locked; the next attempt locks them.
    """
    components = _Search(attempt, group).decide()
    attempt.require_locked()  # at the end, so that one more attempt knows them all
    ties = attempt.ties.load(group.nodes)
    one_each = attempt.list_one_each(group.nodes)
    attempt.census.read_profiles({node.pid for node in group.nodes})
    return [
        PartedComponent(
            level,
            attempt.partitioner.part(
                nodes,
                attempt.census.scores,
                links=None,
                evidence=ties.evidence,
                bindings=ties.binding,
                one_each=one_each,
            )[0].clusters,
        )
        for level, nodes in components
    ]


class _Search:
    """Searches from records of one group; remembers links of profiles and what is too large."""

    def __init__(self, attempt: Attempt, group: PartedGroup) -> None:
        self._attempt = attempt
        self._group = group
        self._thresholds = attempt.partitioner.model.link_thresholds_millibits
        self._component_max = attempt.partitioner.model.component_max
        self._nodes: dict[int, Node] = {node.rid: node for node in group.nodes}
        self._by_pid: dict[int, list[Node]] = {}
        self._links: dict[int, list[tuple[int, int]]] = {}
        self._ties: dict[int, list[tuple[Node, int | None]]] = {}
        self._too_large: list[set[int]] = [set() for _ in self._thresholds]
        self._loaded_components = {row.component_id for row in group.rows_before}
        self._moved = {change.rid for change in attempt.changes if change.moves}

    def decide(self) -> list[tuple[int, list[Node]]]:
        """Return (level, nodes) of every component of the group and of all that they touch."""
        decided: set[int] = set()
        components: list[tuple[int, list[Node]]] = []
        waiting = sorted(self._nodes)
        while waiting:
            rid = waiting.pop()
            if rid in decided:
                continue
            level, met = self._decide_one(rid)
            decided |= met
            for other in sorted(met):
                waiting.extend(self._load_mates(self._nodes[other]))
            components.append((level, [self._nodes[other] for other in sorted(met)]))
        group = self._group
        group.nodes[:] = [self._nodes[rid] for rid in sorted(decided)]
        # Components that a search met on its way, and did not have to decide, stay as they are.
        group.rows_before[:] = [
            row for row in group.rows_before if row.rid in decided or row.rid in self._moved
        ]
        return components

    def _decide_one(self, rid: int) -> tuple[int, set[int]]:
        for level, threshold in enumerate(self._thresholds):
            met, is_too_large = self._search(rid, threshold, known=self._too_large[level])
            if not is_too_large:
                return level, met
            self._too_large[level] |= met
        met, _ = self._search(rid, None, known=())
        return len(self._thresholds), met

    def _search(self, rid: int, threshold: int | None, *, known: Collection[int]) -> tuple[set[int], bool]:
        """Return what a search meets, and whether it met too many; without a threshold judgements alone lead on."""
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
        if node.is_tied:
            for other, weight_or_none in self._find_ties(node):
                if weight_or_none is None or (threshold is not None and weight_or_none >= threshold):
                    found.append(other)
        return found

    def _find_links(self, pid: int) -> list[tuple[int, int]]:
        links = self._links.get(pid)
        if links is None:
            census = self._attempt.census
            holders = census.find_holders(pid)
            weighed = ((other, census.scores.weigh(pid, other)) for other in holders)
            links = [(other, weight) for other, weight in weighed if weight >= self._thresholds[0]]
            self._links[pid] = links
        return links

    def _find_ties(self, node: Node) -> list[tuple[Node, int | None]]:
        """Return the records that a tie leads to, with the weight of evidence; a judgement has none."""
        ties = self._ties.get(node.rid)
        if ties is None:
            census, model = self._attempt.census, self._attempt.partitioner.model
            named, facts = self._attempt.ties.find_tied(node)
            judged = {ref for fact in facts for ref in (*fact.left, *fact.right)}
            nodes = self._load_records(named | judged)
            census.read_profiles({node.pid, *(nodes[ref].pid for ref in named if ref in nodes)})
            ties = [
                (nodes[ref], census.scores.weigh(node.pid, nodes[ref].pid) + model.same_as_millibits)
                for ref in named
                if ref in nodes
            ]
            for joined in bindings(facts, nodes.keys() | {node.ref}).joined:
                if node.ref in joined:
                    ties.extend((nodes[ref], None) for ref in joined if ref != node.ref)
            self._ties[node.rid] = ties
        return ties

    def _load_records(self, refs: Iterable[RecordRef]) -> dict[RecordRef, Node]:
        """Return the nodes of those of the records that are live after the batch."""
        wanted = set(refs)
        rows = self._attempt.tx.read_records(wanted)
        self._load_components(
            {
                row.component_id
                for row in rows.values()
                if row.rid not in self._moved and row.component_id is not None
            }
        )
        return {node.ref: node for node in self._nodes.values() if node.ref in wanted}

    def _records(self, pid: int) -> list[Node]:
        nodes = self._by_pid.get(pid)
        if nodes is None:
            places = self._attempt.tx.read_components_of_profiles([pid])
            self._load_components({component_id for _, component_id in places})
            nodes = self._by_pid[pid] = [node for node in self._nodes.values() if node.pid == pid]
        return nodes

    def _load_mates(self, node: Node) -> list[int]:
        """Load the records that shared the node's component before; return their rids."""
        if node.row is None or node.row.component_id is None:
            return []
        component_id = node.row.component_id
        self._load_components({component_id})
        return [
            other.rid
            for other in self._nodes.values()
            if other.row is not None and other.row.component_id == component_id
        ]

    def _load_components(self, component_ids: Collection[int]) -> None:
        missing = set(component_ids) - self._loaded_components
        if not missing:
            return
        self._attempt.note_met(missing)
        self._loaded_components |= missing
        for row in self._attempt.tx.read_members(missing):
            self._group.rows_before.append(row)
            if row.rid not in self._moved and row.pid is not None:
                self._nodes[row.rid] = Node(
                    row.rid, row.ref, row.pid, row, is_tied=self._attempt.is_tied(row)
                )
                self._by_pid.pop(row.pid, None)
