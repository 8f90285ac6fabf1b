"""One attempt to resolve a batch: lock, read, and part every region of the store that the batch touches.

The steps, in the order that makes two writers see each other:
 1. read what is held, unlocked, to know which blocking keys the old versions had;
 2. lock the names of the records and all their old and new blocking keys, sorted;
 3. read again in a new statement; begin anew if a key came in that is not locked;
 4. decide which statements change anything; find or give each new profile its pid;
 5. read the holders of every key: who are candidates, and which keys cross the limit of holders;
 6. score the candidates; the links, the old components, crossing keys and judgements say which
    components are touched;
 7. lock those, sorted; read them in a new statement; begin anew if one came in that is not locked;
 8. part each group of components that anything connects into components and clusters.

Invariant: nothing is written here; what is returned depends on the store as the locks hold it.
Elsewhere: naming clusters and the rows to write (`identity.effects`), retries (`identity.resolve`),
regions larger than a component may be (`identity.widen`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from identity.contract import SourceContract
from identity.decide import Standing, decide_standing
from identity.errors import CidUnknown, JudgementConflict, RecordUnknown, VersionConflict
from identity.judge import Bindings, JudgementFact, bindings, check_judgement
from identity.model import Cause, CidTarget, JudgementClass, KeyStatus, RecordRef, Verdict
from identity.prepare import PreparedCommand, Preparer
from identity.region import Node, PairScores, PartedComponent, Partitioner, ProfileLink, pair_of
from identity.store import JudgementRow, NamedRow, RecordRow, SourcedProfile, WriteTransaction
from identity.widen import widen_region
from matching.errors import SameasError

__all__ = ["Attempt", "BeginAnew", "Change", "PartedGroup", "Seeds"]

_LIVE: Final = KeyStatus.LIVE.value


class BeginAnew(Exception):
    """Something came in between two reads that is not locked: run the transaction again."""


@dataclass(slots=True)
class Seeds:
    """What has to be looked at again though no statement about it came in."""

    refs: frozenset[RecordRef] = frozenset()
    keys: frozenset[int] = frozenset()
    new_facts: tuple[JudgementFact, ...] = ()
    withdrawn_judgements: frozenset[str] = frozenset()
    withdrawn_by: str = ""
    holders_extra: int = 0  # holders of a key that may have come in beside a load
    settled: tuple[tuple[str, int], ...] = ()  # rows of `unsettled` that this settles
    cause: Cause | None = None


@dataclass(slots=True)
class Change:
    """One command of the batch with what it changes."""

    prepared: PreparedCommand
    row: RecordRow | None
    standing: Standing | None
    error: SameasError | None = None
    rid: int = 0
    vid: int = 0
    pid: int | None = None
    target: RecordRef | None = None
    is_new_profile: bool = False
    moves: bool = False
    backdates: bool = False
    judgement: JudgementFact | None = None

    @property
    def ref(self) -> RecordRef:
        """The record's name."""
        return self.prepared.command.ref

    @property
    def applies(self) -> bool:
        """True when the command becomes the record's current version."""
        return self.error is None and self.standing is Standing.NEWER

    @property
    def was_live(self) -> bool:
        """True when the record was live before the batch."""
        return self.row is not None and self.row.pid is not None


@dataclass(slots=True)
class PartedGroup:
    """Components that the batch connects, parted anew; `changes` are those that touched them."""

    nodes: list[Node]
    rows_before: list[RecordRow]
    components: list[PartedComponent]
    changes: list[Change] = field(default_factory=list)


class Attempt:
    """Runs the steps on one transaction; see the module's docstring."""

    def __init__(
        self,
        tx: WriteTransaction,
        *,
        preparer: Preparer,
        partitioner: Partitioner,
        contracts: Mapping[str, SourceContract],
        is_exclusive: bool,
        extra_components: set[int],
    ) -> None:
        self.tx = tx
        self.preparer = preparer
        self.partitioner = partitioner
        self.contracts = contracts
        self.extra_components = extra_components
        self.changes: list[Change] = []
        self.profiles: dict[int, SourcedProfile] = {}
        self.fresh: set[int] = set()
        self.vanished: set[int] = set()
        self.hashes: dict[int, tuple[int, ...]] = {}
        self.counters: Counter[str] = Counter()
        self.stated_before: list[JudgementRow] = []
        self.scores: PairScores = partitioner.open_scores(self.profiles, fresh=self.fresh)
        self._holders_max = partitioner.model.holders_max
        self._is_exclusive = is_exclusive
        self._after: dict[int, Collection[int]] = {}
        self._crossed: list[int] = []
        self._crossed_pids: set[int] = set()
        self._touched: set[int] = set()
        self._named: dict[RecordRef, list[NamedRow]] = {}
        self._seeds = Seeds()

    # -- steps 1 to 4 -----------------------------------------------------------------------------------

    def run(self, prepared: Sequence[PreparedCommand], seeds: Seeds) -> list[PartedGroup]:
        """Lock, read and part; return the groups whose records, components or clusters may have changed."""
        self._seeds = seeds
        held = self._lock(prepared)
        self._admit_judgements(held)
        self._decide(prepared, held)
        self._admit_stated_judgements()
        self._give_ids()
        moving = [change for change in self.changes if change.moves]
        self._note_beside_load(moving)
        if not moving and not seeds.refs and not seeds.keys:
            return []
        self._take_census(moving)
        links = self._link(moving)
        return self._part(moving, links)

    def _note_beside_load(self, moving: Sequence[Change]) -> None:
        """While a bulk load stores what it foresaw, what moves beside it has to be looked at again."""
        if not moving or not self.tx.is_load_running():
            return
        pids = {change.pid for change in moving} | {change.row.pid for change in moving if change.row is not None}
        noted = [("record", change.rid) for change in moving]
        noted.extend(("key", key) for pid in pids if pid is not None for key in self.hashes.get(pid, ()))
        self.tx.add_unsettled(noted)

    def _lock(self, prepared: Sequence[PreparedCommand]) -> dict[RecordRef, RecordRow]:
        tx = self.tx
        judges = bool(self._seeds.new_facts or self._seeds.withdrawn_judgements)
        if judges or any(
            one.command.same_as is not None and one.contract.same_as_is_judgement for one in prepared
        ):
            tx.lock_judgements()
        refs = [one.command.ref for one in prepared]
        refs.extend(ref for ref in self._seeds.refs)
        held = tx.read_records(refs)
        wanted = {one.ref_hash for one in prepared} | set(self._seeds.keys)
        for one in prepared:
            wanted.update(one.hashes)
            if one.profile_digest is not None and not one.hashes:
                wanted.add(int.from_bytes(one.profile_digest[:8], "big", signed=True))
            target = self._find_target(one)
            if target is not None:
                wanted.add(self.preparer.hasher.ref_hash(target))
        wanted.update(self.preparer.hasher.ref_hash(ref) for ref in self._seeds.refs)
        wanted.update(self._old_hashes(prepared, held))
        tx.lock(sorted(wanted))
        if not self._is_exclusive:
            held = tx.read_records(refs)
            if not wanted.issuperset(self._old_hashes(prepared, held)):
                raise BeginAnew
        return held

    def _admit_judgements(self, held: Mapping[RecordRef, RecordRow]) -> None:
        """Refuse a steward's new judgement that names no record or contradicts others in force."""
        for fact in self._seeds.new_facts:
            refs = (*fact.left, *fact.right)
            if any(ref not in held for ref in refs):
                raise RecordUnknown("The judgement names a record that no source ever stated.")
            admission = check_judgement(
                fact, [other for other in self.load_facts(refs) if other.id != fact.id]
            )
            if admission.conflicts:
                raise JudgementConflict(
                    f"The judgement contradicts judgements in force: {', '.join(admission.conflicts)}. "
                    "Withdraw those first, or leave the records as they are."
                )

    def _find_target(self, one: PreparedCommand) -> RecordRef | None:
        same_as = one.command.same_as
        if isinstance(same_as, CidTarget):
            return self._find_bearer(same_as)
        return same_as

    def _find_bearer(self, target: CidTarget) -> RecordRef | None:
        """Return the smallest live record of the CID, or of what it stands for now."""
        waiting, seen = [target.cid], set()
        while waiting:
            cid = waiting.pop(0)
            if cid in seen:
                continue
            seen.add(cid)
            ref = self.tx.find_smallest_live_record(cid)
            if ref is not None:
                return ref
            row = self.tx.read_cids([cid]).get(cid)
            if row is not None:
                waiting.extend(row.successors)
        return None

    def _old_hashes(
        self, prepared: Sequence[PreparedCommand], held: Mapping[RecordRef, RecordRow]
    ) -> set[int]:
        pids = {
            row.pid
            for one in prepared
            if (row := held.get(one.command.ref)) is not None
            and row.pid is not None
            and row.digest != one.digest
        }
        pids.update(
            row.pid
            for one in prepared
            if (row := held.get(one.command.ref)) is not None
            and row.pid is not None
            and row.contract_version != one.contract.version
        )
        if not pids:
            return set()
        found: set[int] = set()
        for pid, profile in self._read_profiles(pids).items():
            self.hashes[pid] = self.preparer.blocker(profile[1])
            found.update(self.hashes[pid])
        return found

    def _read_profiles(self, pids: Collection[int]) -> dict[int, SourcedProfile]:
        missing = [pid for pid in pids if pid not in self.profiles]
        if missing:
            read = self.tx.read_profiles(missing)
            if len(read) < len(missing):
                raise BeginAnew
            self.profiles.update(read)
        return {pid: self.profiles[pid] for pid in pids}

    def _decide(self, prepared: Sequence[PreparedCommand], held: Mapping[RecordRef, RecordRow]) -> None:
        for one in prepared:
            row = held.get(one.command.ref)
            change = Change(one, row, None, rid=row.rid if row else 0)
            self.changes.append(change)
            command = one.command
            if row is None:
                if command.is_withdrawal and command.version is None and command.effective_at is None:
                    change.error = RecordUnknown(
                        f"Source {one.contract.name} never stated this record, so there is nothing to withdraw; "
                        "give a version or an effective_at to keep a later, older statement out."
                    )
                change.standing = Standing.NEWER
                continue
            stated = (command.version, command.effective_at, one.digest)
            change.standing = decide_standing(stated, (row.version, row.effective_at, bytes(row.digest)))
            is_read_otherwise = row.contract_version != one.contract.version and not command.is_withdrawal
            if change.standing is Standing.SAME and is_read_otherwise:
                change.standing = Standing.NEWER
            elif change.standing is Standing.OLDER:
                self._decide_older(change, row)
            if change.standing is Standing.CONFLICT:
                change.error = VersionConflict(
                    f"Version {command.version} of this record of source {one.contract.name} is recorded with other "
                    "content. Send the changed content with a higher version."
                )
        for change in self.changes:
            if change.applies:
                self._find_stated_target(change)

    def _decide_older(self, change: Change, row: RecordRow) -> None:
        command = change.prepared.command
        change.backdates = True
        for number, effective_at, digest in self.tx.list_version_facts(row.rid):
            if command.version is not None and number == command.version:
                change.backdates = False
                if digest != change.prepared.digest:
                    change.standing = Standing.CONFLICT
            elif (number, effective_at, digest) == (
                command.version,
                command.effective_at,
                change.prepared.digest,
            ):
                change.backdates = False

    def _find_stated_target(self, change: Change) -> None:
        same_as = change.prepared.command.same_as
        if same_as is None:
            return
        if isinstance(same_as, CidTarget):
            change.target = self._find_bearer(same_as)
            if change.target is None:
                change.error = CidUnknown(
                    "same_as names a CID that no live record bears; name a record instead."
                )
            elif change.target == change.ref:
                change.target = None
        else:
            change.target = same_as

    def _admit_stated_judgements(self) -> None:
        """Turn the `same_as` of trusted sources into judgements, or refuse the statement."""
        rids = [
            change.rid
            for change in self.changes
            if change.applies and change.row is not None and change.row.is_tied
        ]
        if rids:
            self.stated_before = self.tx.read_judgements_stated_by(rids)
        replaced = {row.id for row in self.stated_before}
        for change in self.changes:
            if (
                not change.applies
                or change.target is None
                or not change.prepared.contract.same_as_is_judgement
            ):
                continue
            refs = (change.ref, change.target)
            fact = JudgementFact(
                "",
                Verdict.SAME,
                JudgementClass.STEWARD,
                (change.ref,),
                (change.target,),
                f"source:{change.prepared.contract.name}",
                "same_as",
            )
            in_force = [fact for fact in self.load_facts(refs) if fact.id not in replaced]
            in_force.extend(other.judgement for other in self.changes if other.judgement is not None)
            admission = check_judgement(fact, in_force)
            if admission.conflicts:
                change.error = JudgementConflict(
                    f"same_as contradicts judgements in force: {', '.join(admission.conflicts)}. "
                    "Withdraw those first, or leave same_as out."
                )
            else:
                change.judgement = fact

    def _give_ids(self) -> None:
        kept = [
            change
            for change in self.changes
            if change.error is None and (change.standing is Standing.NEWER or change.backdates)
        ]
        if not kept:
            return
        digests = {
            digest: change
            for change in kept
            if change.applies and (digest := change.prepared.profile_digest) is not None
        }
        found = self.tx.find_pids(list(digests))
        found = {bytes(digest): pid for digest, pid in found.items()}
        ids = iter(
            self.tx.new_ids(2 * len(kept) + len(digests) - len(found) + 2 * len(self._seeds.new_facts))
        )
        for digest, change in digests.items():
            if digest not in found:
                found[digest] = next(ids)
                change.is_new_profile = True
                self.fresh.add(found[digest])
        for change in kept:
            if change.row is None:
                change.rid = next(ids)
            change.vid = next(ids)
            if change.judgement is not None:
                change.judgement = JudgementFact(
                    f"same_as-{change.vid}",
                    change.judgement.verdict,
                    change.judgement.judgement_class,
                    change.judgement.left,
                    change.judgement.right,
                    change.judgement.author,
                    change.judgement.reason,
                )
            if not change.applies:
                continue
            if change.prepared.profile_digest is not None and change.prepared.profile is not None:
                change.pid = found[change.prepared.profile_digest]
                self.profiles[change.pid] = (change.ref.source, change.prepared.profile)
                self.hashes[change.pid] = change.prepared.hashes
            old_pid = change.row.pid if change.row else None
            had_tie = change.row is not None and change.row.is_tied
            change.moves = change.pid != old_pid or change.target is not None or had_tie

    # -- steps 5 and 6 ----------------------------------------------------------------------------------

    def _take_census(self, moving: Sequence[Change]) -> None:
        """Count the holders of every key before and after the batch; find the keys that cross the limit."""
        tx = self.tx
        leaving = Counter(
            change.row.pid for change in moving if change.row is not None and change.row.pid is not None
        )
        joining = Counter(change.pid for change in moving if change.pid is not None)
        for pid in list(leaving):
            if joining.get(pid):
                leaving[pid] -= joining[pid]
        gone = {pid: count for pid, count in leaving.items() if count > 0 and pid is not None}
        if gone:
            counts = tx.count_records_of_profiles(list(gone))
            self.vanished = {pid for pid, count in gone.items() if counts.get(pid, 0) <= count}
        keys: set[int] = set(self._seeds.keys)
        for pid in joining:
            assert pid is not None
            keys.update(self.hashes[pid])
        for pid in self.vanished:
            if pid not in self.hashes:
                self.hashes[pid] = self.preparer.blocker(self._read_profiles([pid])[pid][1])
            keys.update(self.hashes[pid])
        before = tx.read_holders(keys, limit=self._holders_max + 1 + len(self.vanished) + self._seeds.holders_extra)
        after: dict[int, Collection[int]] = dict(before)
        for pid in self.vanished:
            for key in self.hashes[pid]:
                after[key] = set(after.get(key, ())) - {pid}
        gained: dict[int, set[int]] = {}
        for pid in self.fresh:
            for key in self.hashes[pid]:
                gained.setdefault(key, set()).add(pid)
        for key, pids in gained.items():
            after[key] = pids.union(after.get(key, ()))
        self._after = after
        limit = self._holders_max
        self._crossed = [
            key for key in keys if (len(before.get(key, ())) <= limit) != (len(after.get(key, ())) <= limit)
        ]
        self._crossed_pids = {
            pid
            for key in (*self._crossed, *self._seeds.keys)
            for pid in (*before.get(key, ()), *after.get(key, ()))
            if pid not in self.fresh
        }
        self.counters["keys"] += len(keys)
        self.counters["keys_unusable"] += sum(len(holders) > limit for holders in after.values())

    def _link(self, moving: Sequence[Change]) -> list[ProfileLink]:
        """Score every moving profile against its candidates; return the links."""
        limit = self._holders_max
        candidates: dict[int, set[int]] = {}
        for pid in {change.pid for change in moving if change.pid is not None}:
            found: set[int] = set()
            for key in self.hashes[pid]:
                holders = self._after.get(key, ())
                if len(holders) <= limit:
                    found.update(holders)
            candidates[pid] = found
        self._read_profiles({pid for found in candidates.values() for pid in found})
        weigh, link_min = self.scores.weigh, self.partitioner.link_min
        links = {
            pair_of(pid, other): weight
            for pid, found in candidates.items()
            for other in found
            if (weight := weigh(pid, other)) >= link_min
        }
        self.counters["candidates"] += sum(len(found - {pid}) for pid, found in candidates.items())
        return [ProfileLink(left, right, weight) for (left, right), weight in links.items()]

    # -- steps 7 and 8 ----------------------------------------------------------------------------------

    def _part(self, moving: Sequence[Change], links: Sequence[ProfileLink]) -> list[PartedGroup]:
        partners = self._find_partners(moving)
        linked = {pid for link in links for pid in link[:2]} - self.fresh
        rows = self._touch(moving, linked, partners)
        places = self._component_places
        moved_rids = {change.rid for change in moving}
        nodes: dict[int, Node] = {
            row.rid: Node(row.rid, row.ref, row.pid, row, is_tied=row.is_tied or row.ref in self._seeds.refs)
            for row in rows
            if row.rid not in moved_rids and row.pid is not None
        }
        for change in moving:
            if change.pid is not None:
                is_tied = change.target is not None or bool(self._named.get(change.ref))
                nodes[change.rid] = Node(
                    change.rid, change.ref, change.pid, change.row, change.prepared, is_tied
                )
        groups = _Groups()
        for change in moving:
            item = ("record", change.rid)
            groups.add(item)
            if change.was_live and change.row is not None and change.row.component_id is not None:
                groups.join(item, ("component", change.row.component_id))
        for row in rows:
            groups.add(("component", row.component_id or 0))
        by_pid: dict[int, list[tuple[str, int]]] = {}
        for change in moving:
            if change.pid is not None:
                by_pid.setdefault(change.pid, []).append(("record", change.rid))
        for pid, component_ids in places.items():
            by_pid.setdefault(pid, []).extend(("component", component_id) for component_id in component_ids)
        for link in links:
            items = by_pid.get(link.left, []) + by_pid.get(link.right, [])
            for item in items[1:]:
                groups.join(items[0], item)
        crossed_items = [
            ("component", component_id) for pid in self._crossed_pids for component_id in places.get(pid, ())
        ]
        for item in crossed_items[1:]:
            groups.join(crossed_items[0], item)
        for one, other in partners:
            left, right = self._item(nodes, moved_rids, one), self._item(nodes, moved_rids, other)
            if left is not None and right is not None:
                groups.join(left, right)
        seed_items = {("component", row.component_id or 0) for row in rows if row.ref in self._seeds.refs}
        return self._part_groups(groups, nodes, rows, moving, links, set(crossed_items) | seed_items)

    def _item(
        self, nodes: Mapping[int, Node], moved_rids: Collection[int], ref: RecordRef
    ) -> tuple[str, int] | None:
        rid = self._rid_of.get(ref)
        node = nodes.get(rid) if rid is not None else None
        if node is None or rid is None:
            return None
        if rid in moved_rids:
            return ("record", rid)
        return ("component", node.row.component_id or 0) if node.row else None

    def _find_partners(self, moving: Sequence[Change]) -> list[tuple[RecordRef, RecordRef]]:
        """Return the pairs of records, one of them moving or a seed, that a tie may connect."""
        hasher = self.preparer.hasher
        refs = {change.ref: change.prepared.ref_hash for change in moving}
        refs.update((ref, hasher.ref_hash(ref)) for ref in self._seeds.refs)
        rows = self.tx.find_named(list(refs.values()))
        rows.extend(self.tx.find_stated([change.rid for change in moving if change.row is not None]))
        moving_rids = {change.rid: change for change in moving}
        rows = [row for row in rows if row.stating_rid not in moving_rids or row.judgement_id]
        for row in rows:
            self._named.setdefault(row.ref, []).append(row)
        partners = [(change.ref, change.target) for change in moving if change.target is not None]
        stating = {row.stating_rid for row in rows if not row.judgement_id and row.ref in refs}
        for stater in self.tx.read_records_by_rid(stating):
            partners.extend((stater.ref, named.ref) for named in rows if named.stating_rid == stater.rid)
        judged = {row.judgement_id for row in rows if row.judgement_id}
        for judgement in self.tx.read_judgements(judged):
            named_refs = (*judgement.left, *judgement.right)
            partners.extend((named_refs[0], ref) for ref in named_refs[1:])
        for fact in self._seeds.new_facts:
            named_refs = (*fact.left, *fact.right)
            partners.extend((named_refs[0], ref) for ref in named_refs[1:])
        return partners

    def _touch(
        self,
        moving: Sequence[Change],
        linked: Collection[int],
        partners: Sequence[tuple[RecordRef, RecordRef]],
    ) -> list[RecordRow]:
        """Lock the touched components and return their live records as they stand under the locks."""
        tx = self.tx
        pids = set(linked) | self._crossed_pids
        partner_refs = {ref for pair in partners for ref in pair} | set(self._seeds.refs)
        own = {
            change.row.component_id
            for change in moving
            if change.was_live and change.row is not None and change.row.component_id is not None
        }
        self._rid_of: dict[RecordRef, int] = {change.ref: change.rid for change in moving}
        self._component_places: dict[int, set[int]] = {}
        touched: set[int] = set()
        for is_locked in (False, True):
            places = tx.read_components_of_profiles(pids) if pids else []
            partner_rows = tx.read_records(partner_refs) if partner_refs else {}
            found = own | self.extra_components | {component_id for _, component_id in places}
            found.update(row.component_id for row in partner_rows.values() if row.component_id is not None)
            if is_locked and not found <= touched:
                raise BeginAnew
            touched = found
            if self._is_exclusive or not touched:
                break
            if not is_locked:
                tx.lock_components(sorted(touched))
        self._touched = touched
        for pid, component_id in places:
            self._component_places.setdefault(pid, set()).add(component_id)
        self._rid_of.update((ref, row.rid) for ref, row in partner_rows.items())
        rows = tx.read_members(touched) if touched else []
        self.counters["members"] += len(rows)
        return rows

    def _part_groups(
        self,
        groups: _Groups,
        nodes: Mapping[int, Node],
        rows: Sequence[RecordRow],
        moving: Sequence[Change],
        links: Sequence[ProfileLink],
        reopened: Collection[tuple[str, int]],
    ) -> list[PartedGroup]:
        changes = {change.rid: change for change in moving}
        gathered: dict[tuple[str, int], PartedGroup] = {}
        complex_roots = {groups.find(item) for item in reopened}
        for row in rows:
            root = groups.find(("component", row.component_id or 0))
            group = gathered.setdefault(root, PartedGroup([], [], []))
            group.rows_before.append(row)
            if row.rid not in changes:
                group.nodes.append(nodes[row.rid])
            if row.component_level > 0:
                complex_roots.add(root)
        for change in moving:
            root = groups.find(("record", change.rid))
            group = gathered.setdefault(root, PartedGroup([], [], []))
            group.changes.append(change)
            if change.pid is not None:
                group.nodes.append(nodes[change.rid])
            if change.was_live and len(group.rows_before) > 1:
                complex_roots.add(root)
        for root, group in gathered.items():
            if group.nodes:
                group.components = self._part_group(group, links, is_complex=root in complex_roots)
        return list(gathered.values())

    def _part_group(
        self, group: PartedGroup, links: Sequence[ProfileLink], *, is_complex: bool
    ) -> list[PartedComponent]:
        nodes = group.nodes
        if len(nodes) == 1 and not is_complex:
            return [PartedComponent(0, [nodes])]
        pids = {node.pid for node in nodes}
        self._read_profiles(pids)
        evidence, binding = self._load_ties(nodes)
        one_each = [
            name
            for name in {node.ref.source for node in nodes}
            if (contract := self.contracts.get(name)) is not None and contract.one_per_customer
        ]
        self.counters["component_pairs"] += len(nodes) * (len(nodes) - 1) // 2
        found_links: list[ProfileLink] | None = None
        if any(node.row is not None and node.row.component_level > 0 for node in nodes):
            return widen_region(self, group, evidence=evidence, binding=binding, one_each=one_each)
        if is_complex or len(pids) > self.partitioner.model.component_max:
            keys, usable = self.find_usable_keys(pids)
            found_links = self.scores.link_profiles(keys, usable, link_min=self.partitioner.link_min)
        return self.partitioner.part(
            nodes, self.scores, links=found_links, evidence=evidence, bindings=binding, one_each=one_each
        )

    def find_usable_keys(self, pids: Iterable[int]) -> tuple[dict[int, tuple[int, ...]], set[int]]:
        """Return the blocking keys of these profiles, and which of them are usable after the batch."""
        keys: dict[int, tuple[int, ...]] = {}
        for pid in pids:
            if pid not in self.hashes:
                self.hashes[pid] = self.preparer.blocker(self.profiles[pid][1])
            keys[pid] = self.hashes[pid]
        wanted = {key for hashes in keys.values() for key in hashes}
        unread = wanted - self._after.keys()
        if unread:
            read = self.tx.read_holders(unread, limit=self._holders_max + 1)
            self._after.update((key, read.get(key, ())) for key in unread)
        limit = self._holders_max
        return keys, {key for key in wanted if len(self._after[key]) <= limit}

    def find_holders(self, pid: int) -> set[int]:
        """Return the profiles that share a usable key with this one after the batch, itself included."""
        self._read_profiles([pid])
        keys, usable = self.find_usable_keys([pid])
        found: set[int] = {pid}
        for key in keys[pid]:
            if key in usable:
                found.update(self._after[key])
        self._read_profiles(found)
        return found

    def require_locked(self, component_ids: Collection[int]) -> None:
        """Return when these components are locked; else begin anew with them locked."""
        if not self._is_exclusive and not self._touched.issuperset(component_ids):
            self.extra_components.update(component_ids)
            raise BeginAnew

    # -- judgements and evidence ------------------------------------------------------------------------

    def _load_ties(self, nodes: Sequence[Node]) -> tuple[set[tuple[int, int]], Bindings | None]:
        """Return the evidence pairs between the nodes, and the judgements that bind them."""
        tied = [node for node in nodes if node.is_tied]
        if not tied:
            return set(), None
        by_ref = {node.ref: node.rid for node in nodes}
        replaced = {change.rid for change in self.changes if change.applies}
        evidence: set[tuple[int, int]] = set()
        named = self.tx.find_named([self.preparer.hasher.ref_hash(node.ref) for node in tied])
        stated = self.tx.find_stated([node.rid for node in tied])
        for row in (*named, *stated):
            if not row.judgement_id and row.stating_rid not in replaced and row.ref in by_ref:
                evidence.add(pair_of(row.stating_rid, by_ref[row.ref]))
        for change in self.changes:
            if change.applies and change.target in by_ref and change.judgement is None:
                evidence.add(pair_of(change.rid, by_ref[change.target]))
        facts = self.load_facts([node.ref for node in tied])
        return evidence, (bindings(facts, by_ref.keys()) if facts else None)

    def names_of(self, ref: RecordRef) -> list[NamedRow]:
        """Return who names a record of the batch."""
        return self._named.get(ref, [])

    def load_facts(self, refs: Iterable[RecordRef]) -> list[JudgementFact]:
        """Return every judgement in force after the batch that names one of these records, or is chained to one."""
        replaced = {row.id for row in self.stated_before} | self._seeds.withdrawn_judgements
        fresh = [*self._seeds.new_facts, *(change.judgement for change in self.changes if change.judgement)]
        facts: dict[str, JudgementFact] = {}
        waiting = set(refs)
        seen: set[RecordRef] = set()
        while waiting:
            seen |= waiting
            hashes = [self.preparer.hasher.ref_hash(ref) for ref in waiting]
            ids = {row.judgement_id for row in self.tx.find_named(hashes) if row.judgement_id}
            found = [_as_fact(row) for row in self.tx.read_judgements(ids - facts.keys() - replaced)]
            found.extend(
                fact
                for fact in fresh
                if fact.id not in facts and not waiting.isdisjoint((*fact.left, *fact.right))
            )
            facts.update((fact.id, fact) for fact in found)
            waiting = {ref for fact in found for ref in (*fact.left, *fact.right)} - seen
        return list(facts.values())


class _Groups:
    """Union-find over records and components."""

    def __init__(self) -> None:
        self._parents: dict[tuple[str, int], tuple[str, int]] = {}

    def add(self, item: tuple[str, int]) -> None:
        self._parents.setdefault(item, item)

    def find(self, item: tuple[str, int]) -> tuple[str, int]:
        parents = self._parents
        root = item
        while (parent := parents.setdefault(root, root)) != root:
            root = parent
        while parents[item] != root:
            parents[item], item = root, parents[item]
        return root

    def join(self, one: tuple[str, int], other: tuple[str, int]) -> None:
        left, right = self.find(one), self.find(other)
        if left != right:
            self._parents[left] = right


def _as_fact(row: JudgementRow) -> JudgementFact:
    return JudgementFact(
        row.id, row.verdict, row.judgement_class, row.left, row.right, row.author, row.reason
    )
