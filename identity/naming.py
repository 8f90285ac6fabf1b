"""Name the clusters of an attempt: CIDs kept, taken back and issued, and what becomes of the others.

Invariant: a CID that loses its last record gets a status and successors in the same transaction; a retired
one is taken back only under a lock that nobody else who takes it back can hold.
Elsewhere: the pure rules (`identity.assign`), the history of each key (`identity.effects`).
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from identity.assign import CidFate, decide_fates, take_back, take_overlaps
from identity.attempt import Attempt
from identity.change import BeginAnew, Change, PartedGroup
from identity.model import FOREVER, Cause, CauseKind, Cid, CidStatus, Instant, Outcome, RecordRef
from identity.region import Node
from identity.store import Row

__all__ = ["Naming", "own_cause"]


class Naming:
    """The names that one attempt gives."""

    def __init__(self, attempt: Attempt, *, now: Instant, new_cid: Callable[[Instant], Cid]) -> None:
        self.new_cids: dict[int, Cid] = {}  # by rid, of every record of the groups that is live now
        self.cause_of: dict[int, Cause] = {}  # by rid
        self.minted: dict[
            Cid, int
        ] = {}  # to the rid of the record it was issued to; the others are linked to it
        self.fates: dict[Cid, CidFate] = {}
        self._attempt = attempt
        self._told = {change.rid: place for place, change in enumerate(attempt.changes)}
        self._now = now
        self._new_cid = new_cid
        self._revived: set[Cid] = set()
        self._split: set[Cid] = set()
        self._cluster_of: dict[int, list[Node]] = {}
        self._old_cids: dict[RecordRef, Cid] = {}

    def name(self, groups: list[PartedGroup]) -> None:
        """Name every cluster; begins anew when another writer took back a CID first."""
        for group in groups:
            self._name_group(group)
        self._lock_revived()

    def list_state_rows(self, system_at: Instant) -> tuple[list[Row], list[Row]]:
        """Return the (cid, old system_to, new system_to) of states that end, and the rows that begin."""
        changed = (*sorted(self.fates), *sorted(self._revived))
        begun: list[Row] = [
            (cid, system_at, FOREVER, CidStatus.LIVE.value, None)
            for cid in (*sorted(self.minted), *sorted(self._revived))
        ]
        for cid, fate in sorted(self.fates.items()):
            successors = orjson.dumps(list(fate.successors)).decode() if fate.successors else None
            begun.append((cid, system_at, FOREVER, fate.status.value, successors))
        return [(cid, FOREVER, system_at) for cid in changed], begun

    def outcome_of(self, change: Change) -> Outcome:
        """Return what the current version of a record did, by precedence."""
        if change.prepared.command.is_withdrawal:
            return Outcome.WITHDRAWN
        row = change.row
        is_same = row is not None and bytes(row.digest) == change.prepared.digest
        told = Outcome.UNCHANGED if is_same else Outcome.UPDATED
        if not change.moves:
            return told
        cid = self.new_cids[change.rid]
        old_cid = row.cid if row is not None and change.was_live else None
        borne = {self._old_cids.get(node.ref) for node in self._cluster_of[change.rid]} | {old_cid}
        if borne & self._split:
            return Outcome.SPLIT
        if any(old is not None and old != cid and self._is_merged(old) for old in borne):
            return Outcome.MERGED
        if old_cid == cid:
            return told
        return Outcome.ISSUED if self.minted.get(cid) == change.rid else Outcome.LINKED

    def _is_merged(self, cid: Cid) -> bool:
        fate = self.fates.get(cid)
        return fate is not None and fate.status is CidStatus.MERGED

    def _name_group(self, group: PartedGroup) -> None:
        clusters = [cluster for component in group.components for cluster in component.clusters]
        refs = [[node.ref for node in cluster] for cluster in clusters]
        old_cids = {row.ref: row.cid for row in group.rows_before if row.cid is not None}
        for old, new in self._attempt.ties.renamed.items():
            if old in old_cids and new not in old_cids:
                old_cids[new] = old_cids.pop(old)
        self._old_cids.update(old_cids)
        names = take_overlaps(refs, old_cids)
        unnamed = [place for place, name in enumerate(names) if name is None]
        if unnamed:
            for place, cid in zip(unnamed, self._take_back([clusters[at] for at in unnamed]), strict=True):
                names[place] = cid
        cause = self._cause_of_group(group)
        final: list[Cid] = []
        parts: dict[Cid, set[Cid]] = {}
        for cluster, name in zip(clusters, names, strict=True):
            cid = self._mint(cluster) if name is None else name
            final.append(cid)
            for node in cluster:
                self.new_cids[node.rid] = cid
                self._cluster_of[node.rid] = cluster
                self.cause_of[node.rid] = cause
                if node.ref in old_cids:
                    parts.setdefault(old_cids[node.ref], set()).add(cid)
        self._split.update(cid for cid, new in parts.items() if len(new) > 1)
        if old_cids:
            self.fates.update(decide_fates(refs, names=final, old_cids=old_cids))

    def _take_back(self, unnamed: list[list[Node]]) -> list[Cid | None]:
        rids = [node.rid for cluster in unnamed for node in cluster if node.row is not None]
        if not rids:
            return [None] * len(unnamed)
        read = self._attempt.tx.read_borne(rids)
        borne = {
            node.ref: [cid for cid in read[node.rid] if cid not in self._revived]
            for cluster in unnamed
            for node in cluster
            if node.rid in read
        }
        names = take_back([[node.ref for node in cluster] for cluster in unnamed], borne)
        self._revived.update(cid for cid in names if cid is not None)
        return names

    def _mint(self, cluster: list[Node]) -> Cid:
        wished = [
            node.prepared.command.wished_cid
            for node in cluster
            if node.prepared is not None and node.prepared.command.wished_cid is not None
        ]
        cid = wished[0] if wished and wished[0] not in self.minted else self._new_cid(self._now)
        told = self._told
        self.minted[cid] = min(
            (node.rid for node in cluster), key=lambda rid: (told.get(rid, len(told)), rid)
        )
        return cid

    def _lock_revived(self) -> None:
        """Make sure that nobody else revives the same CIDs."""
        if not self._revived:
            return
        tx, hasher = self._attempt.tx, self._attempt.preparer.hasher
        tx.lock(sorted(hasher.ref_hash(RecordRef("", cid)) for cid in self._revived))
        for row in tx.read_cids(self._revived).values():
            if row.status not in (CidStatus.MERGED, CidStatus.SPLIT, CidStatus.WITHDRAWN):
                raise BeginAnew

    def _cause_of_group(self, group: PartedGroup) -> Cause:
        if self._attempt.seeds.cause is not None:
            return self._attempt.seeds.cause
        if group.changes:
            return own_cause(min(group.changes, key=lambda one: one.vid))
        return Cause(CauseKind.RECORD, "")


def own_cause(change: Change) -> Cause:
    """Return the cause of what a record's own version changes."""
    cause = change.prepared.command.cause
    return cause if cause.ref else Cause(cause.kind, f"v{change.vid}")
