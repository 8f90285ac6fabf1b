"""One attempt to resolve a batch: lock, read, and part every region of the store that the batch touches.

The steps, in the order that makes two writers see each other:
 1. lock the records and their blocking keys, read them, decide what changes (`identity.admit`);
 2. count the holders of every key: who are candidates, and which keys cross the limit (`identity.census`);
 3. score the candidates; the links, the old components, crossing keys, ties and what a vanished profile
    linked to say which components are touched;
 4. lock those, sorted; read them in a new statement, the records of the batch too; begin anew if a
    component came in that is not locked;
 5. part each group of components that anything connects into components and clusters.

Invariant: nothing is written here; what is returned depends on the store as the locks hold it.
Elsewhere: naming clusters and the rows to write (`identity.effects`), retries (`identity.resolve`),
regions larger than a component may be (`identity.widen`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from identity.admit import Admission
from identity.census import Census
from identity.change import BeginAnew, Change, PartedGroup, Seeds
from identity.contract import SourceContract
from identity.decide import Standing
from identity.matcher import Matcher
from identity.model import RecordRef
from identity.prepare import PreparedCommand
from identity.region import Node, PartedComponent, ProfileLink
from identity.store import Question, RecordRow, WriteTransaction, known
from identity.ties import Ties
from identity.widen import widen_region

__all__ = ["Attempt"]

_Item = tuple[str, int]
"""A record of the batch or a stored component, as something that groups are made of."""


_LOCK_ROUNDS_MAX: Final = 6
"""How often more components may be locked without waiting before the batch begins anew."""


class Attempt:
    """Runs the steps on one transaction; see the module's docstring."""

    def __init__(
        self,
        tx: WriteTransaction,
        *,
        matcher: Matcher,
        contracts: Mapping[str, SourceContract],
        is_exclusive: bool,
        extra_components: set[int],
        seeds: Seeds,
    ) -> None:
        self.tx = tx
        self.preparer = matcher.preparer
        self.partitioner = matcher.partitioner
        self.seeds = seeds
        self.changes: list[Change] = []
        self.census = Census(
            tx, preparer=self.preparer, partitioner=self.partitioner, key_rules=matcher.key_rules
        )
        self.ties = Ties(tx, self.preparer.hasher, changes=self.changes, seeds=seeds)
        self.counters: Counter[str] = self.census.counters
        self.contracts_in_force: Mapping[str, tuple[int, bool]] = {}
        self.model_in_force: str | None = None
        self._contracts = contracts
        self._is_exclusive = is_exclusive
        self._extra_components = extra_components
        self._locked: set[int] = set()
        self._met: set[int] = set()
        self._held: dict[RecordRef, RecordRow] = {}
        self._places: dict[int, set[int]] = {}
        self._targets: set[RecordRef] = set()

    def run(self, prepared: Sequence[PreparedCommand]) -> list[PartedGroup]:
        """Lock, read and part; return the groups whose records, components or clusters may have changed."""
        admission = Admission(
            self.tx,
            hasher=self.preparer.hasher,
            census=self.census,
            ties=self.ties,
            is_exclusive=self._is_exclusive,
        )
        self._held = admission.admit(prepared, self.seeds, self.changes)
        self.contracts_in_force = admission.contracts_in_force
        self.model_in_force = admission.model_in_force
        self.ties.follow(self._find_renamed())
        moving = [change for change in self.changes if change.moves]
        self._targets = {change.target for change in moving if change.target is not None}
        links: list[ProfileLink] = []
        if moving or self.seeds.keys:
            self.census.take(moving, seeds=self.seeds)
            links = self.census.link(moving)
        seed_rids = [row.rid for ref in self.seeds.refs if (row := self._held.get(ref)) is not None]
        partners = self.ties.find_partners(moving, seed_rids) if moving or seed_rids else []
        rows = self._touch(moving, links, partners)
        groups = self._part(moving, links, partners, rows)
        if groups and admission.is_load_running:
            self._note_beside_load(moving, groups)
        return groups

    def _find_renamed(self) -> dict[RecordRef, RecordRef]:
        """Return the old and the new name of each record that goes on under another key."""
        applied = {change.ref: change for change in self.changes if change.applies}
        renamed: dict[RecordRef, RecordRef] = {}
        for change in self.changes:
            key = change.prepared.command.renamed_to
            if (
                key is not None
                and change.standing in (Standing.NEWER, Standing.SAME)
                and change.error is None
            ):
                new = applied.get(RecordRef(change.ref.source, key))
                if new is not None and new.pid is not None:
                    renamed[change.ref] = new.ref
        return renamed

    def _note_beside_load(self, moving: Sequence[Change], groups: Sequence[PartedGroup]) -> None:
        """While a bulk load stores what it foresaw, what moves beside it has to be looked at again.

        So have the records that stand beside what moves: they were parted with keys that the load may be about
        to make too common.
        """
        pids = {change.pid for change in moving}
        pids.update(change.row.pid for change in moving if change.row is not None)
        noted = [("record", change.rid) for change in moving]
        noted.extend(("record", node.rid) for group in groups for node in group.nodes)
        noted.extend(("key", key) for pid in pids if pid is not None for key in self.census.keys_of(pid))
        self.tx.add_unsettled(noted)

    # -- which components are touched --------------------------------------------------------------------

    def _touch(
        self, moving: Sequence[Change], links: Sequence[ProfileLink], partners: Sequence[Sequence[RecordRef]]
    ) -> list[RecordRow]:
        """Lock the touched components and return their live records as they stand under the locks."""
        tx = self.tx
        linked = {pid for link in links for pid in link[:2]} - self.census.fresh
        looked_at = {ref for group in partners for ref in group} | self.seeds.refs
        looked_at.update(change.ref for change in moving)
        own = {change.ref for change in self.changes if change.row is not None}
        # Whoever would store a record that is not there yet waits for the lock of its name.
        unsure = (looked_at | own) - {change.ref for change in self.changes if change.row is None}
        if self._is_exclusive:
            unsure -= self._held.keys()
        touched: set[int] = set()
        places: list[tuple[int, int]] = []
        rows: list[RecordRow] = []
        lock: Question[None] = known(None)
        for lock_round in range(_LOCK_ROUNDS_MAX):
            pids = linked | self.census.crossed | self._find_left_behind(moving)
            asked = touched
            if lock_round or unsure or pids:
                _, held, places, rows = tx.at_once(
                    lock,
                    tx.ask_records(unsure),
                    tx.ask_components_of_profiles(pids),
                    tx.ask_members(asked),
                )
                self._held.update(held)
            touched = {component_id for _, component_id in places} | self._list_components(looked_at)
            found = touched | self._list_components(own) | self._extra_components
            lock = known(None)
            if self._is_exclusive or not found:
                self._locked = found
                break
            if not lock_round:
                lock = tx.ask_lock_components(sorted(found))
                self._locked = found
            elif found <= self._locked:
                if pids >= self._find_left_behind(moving):
                    break
            elif tx.try_lock_components(found - self._locked):
                self._locked |= found  # and read once more, now that they are locked
            else:
                raise BeginAnew
        else:
            raise BeginAnew
        if touched != asked:
            rows = tx.read_members(touched)
        for pid, component_id in places:
            self._places.setdefault(pid, set()).add(component_id)
        for change in self.changes:
            if change.row is not None:
                change.row = self._held[change.ref]
        self.counters["members"] += len(rows)
        return rows

    def _list_components(self, refs: Iterable[RecordRef]) -> set[int]:
        return {
            row.component_id
            for ref in refs
            if (row := self._held.get(ref)) is not None and row.component_id is not None
        }

    def _find_left_behind(self, moving: Sequence[Change]) -> set[int]:
        """Return what vanished profiles linked to beyond their components.

        Nothing, unless the component was taken at a stricter threshold: what weaker links hold too large
        may be small enough without the profile.
        """
        found: set[int] = set()
        for change in moving:
            row = self._held.get(change.ref)
            if row is not None and row.component_level > 0 and row.pid in self.census.vanished:
                found |= self.census.find_left_behind(row.pid)
        return found

    def is_tied(self, row: RecordRow) -> bool:
        """Return whether a stored record is tied after the batch, which may be the first to name it."""
        return row.is_tied or row.ref in self.seeds.refs or row.ref in self._targets

    def note_met(self, component_ids: Collection[int]) -> None:
        """Note components that a search met, whether they are locked or not."""
        self._met.update(component_ids)

    def require_locked(self) -> None:
        """Return when all components met are locked; else begin anew with them locked."""
        if not self._is_exclusive and not self._met <= self._locked:
            self._extra_components |= self._met
            raise BeginAnew

    # -- what belongs together ---------------------------------------------------------------------------

    def _part(
        self,
        moving: Sequence[Change],
        links: Sequence[ProfileLink],
        partners: Sequence[Sequence[RecordRef]],
        rows: Sequence[RecordRow],
    ) -> list[PartedGroup]:
        moved = {change.ref: change for change in moving}
        groups = _Groups()
        reopened: set[_Item] = {_component(row) for row in rows if row.ref in self.seeds.refs}
        self._join_linked(groups, moving, links)
        for old, new in self.ties.renamed.items():
            if old in moved and new in moved:
                groups.join((("record", moved[old].rid), ("record", moved[new].rid)))
        crossed = {item for pid in self.census.crossed for item in self._stored_items(pid)}
        for holders in self.census.crossings:
            groups.join({item for pid in holders for item in self._stored_items(pid)})
        for refs in partners:
            tied = {item for ref in refs if (item := self._item_of(ref, moved)) is not None}
            groups.join(tied)
            # That a tie joins them is for the partition to say: it may be weak, asleep, or of the other kind.
            reopened |= tied
        # Weaker links may lead from one oversized part to another: they are searched together.
        widened = {_component(row) for row in rows if row.component_level > 0}
        while True:
            groups.join(widened)
            gathered = self._gather(moving, rows, moved, groups, reopened)
            open_roots = {groups.find(item) for item in reopened | crossed}
            for root, group in gathered.items():
                if group.nodes:
                    group.components = self._part_group(group, is_open=root in open_roots)
            # While a load is not settled, a search may meet what a group of its own was made of.
            roots = {groups.find(item) for item in widened}
            met = {_component(row) for row in rows if row.component_id in self._met}
            apart = {item for item in met if groups.find(item) not in roots}
            if not apart:
                return list(gathered.values())
            widened |= apart

    def _gather(
        self,
        moving: Sequence[Change],
        rows: Sequence[RecordRow],
        moved: Mapping[RecordRef, Change],
        groups: _Groups,
        reopened: set[_Item],
    ) -> dict[_Item, PartedGroup]:
        """Return the groups with their records, by root; more of them may be found to be open."""
        gathered: dict[_Item, PartedGroup] = {}
        for row in rows:
            group = gathered.setdefault(groups.find(_component(row)), PartedGroup())
            group.rows_before.append(row)
            if row.ref not in moved and row.pid is not None:
                group.nodes.append(Node(row.rid, row.ref, row.pid, row, is_tied=self.is_tied(row)))
        for change in moving:
            group = gathered.setdefault(groups.find(("record", change.rid)), PartedGroup())
            group.changes.append(change)
            if change.pid is not None:
                is_tied = (
                    change.target is not None or self.ties.is_named(change.ref) or change.ref in self._targets
                )
                group.nodes.append(
                    Node(change.rid, change.ref, change.pid, change.row, change.prepared, is_tied)
                )
            if change.was_live and len(group.rows_before) > 1:
                reopened.add(("record", change.rid))
        return gathered

    def _join_linked(self, groups: _Groups, moving: Sequence[Change], links: Sequence[ProfileLink]) -> None:
        by_pid: dict[int, list[_Item]] = {}
        for change in moving:
            item = ("record", change.rid)
            if change.pid is not None:
                by_pid.setdefault(change.pid, []).append(item)
            if change.was_live and change.row is not None:
                groups.join((item, _component(change.row)))
        for link in links:
            items = {item for pid in link[:2] for item in (*by_pid.get(pid, ()), *self._stored_items(pid))}
            groups.join(items)

    def _stored_items(self, pid: int) -> Iterable[_Item]:
        return (("component", component_id) for component_id in self._places.get(pid, ()))

    def _item_of(self, ref: RecordRef, moved: Mapping[RecordRef, Change]) -> _Item | None:
        """Return the item of a record that is live after the batch."""
        change = moved.get(ref)
        if change is not None:
            return None if change.pid is None else ("record", change.rid)
        row = self._held.get(ref)
        return None if row is None or row.component_id is None else _component(row)

    def _part_group(self, group: PartedGroup, *, is_open: bool) -> list[PartedComponent]:
        """Part one group; unless `is_open`, its links are known to connect all of it."""
        nodes = group.nodes
        if any(row.component_level > 0 for row in group.rows_before):
            return widen_region(self, group)
        if len(nodes) == 1:
            return [PartedComponent(0, [nodes])]
        pids = {node.pid for node in nodes}
        self.census.read_profiles(pids)
        self.counters["component_pairs"] += len(nodes) * (len(nodes) - 1) // 2
        found_links: list[ProfileLink] | None = None
        if is_open or len(pids) > self.partitioner.model.component_max:
            keys, usable = self.census.find_usable_keys(pids)
            found_links = self.census.scores.link_profiles(keys, usable, link_min=self.partitioner.link_min)
        ties = self.ties.load(nodes)
        return self.partitioner.part(
            nodes,
            self.census.scores,
            links=found_links,
            evidence=ties.evidence,
            bindings=ties.binding,
            one_each=self.list_one_each(nodes),
        )

    def list_one_each(self, nodes: Iterable[Node]) -> list[str]:
        """Return the sources of these records that hold one record of a customer."""
        return [
            name
            for name in {node.ref.source for node in nodes}
            if (contract := self._contracts.get(name)) is not None and contract.one_per_customer
        ]


class _Groups:
    """Union-find over records and components."""

    def __init__(self) -> None:
        self._parents: dict[_Item, _Item] = {}

    def find(self, item: _Item) -> _Item:
        parents = self._parents
        root = item
        while (parent := parents.setdefault(root, root)) != root:
            root = parent
        while parents[item] != root:
            parents[item], item = root, parents[item]
        return root

    def join(self, items: Iterable[_Item]) -> None:
        first: _Item | None = None
        for item in items:
            root = self.find(item)
            if first is None:
                first = root
            elif root != first:
                self._parents[root] = first


def _component(row: RecordRow) -> _Item:
    return "component", row.component_id or 0
