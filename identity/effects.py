"""Turn parted groups into names, history, events and rows, and write them in the attempt's transaction.

Invariants:
1. Every change of a key in the crosswalk writes its history rows and its event together, with one cause.
2. A CID that loses its last record gets a status and successors in the same transaction.
3. Rows are written for what changed and nothing else.
Elsewhere: reading and parting (`identity.attempt`), the pure rules (`identity.assign`, `identity.history`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol

import orjson

from identity.assign import CidFate, decide_fates, take_back, take_overlaps
from identity.attempt import Attempt, BeginAnew, Change, PartedGroup, Seeds
from identity.decide import Standing
from identity.history import HistoryRow, KeyChange, OlderVersion, OtherCause, OwnVersion, edit_history
from identity.judge import JudgementFact
from identity.model import (
    FOREVER,
    Cause,
    CauseKind,
    Cid,
    CidStatus,
    EventType,
    Instant,
    KeyStatus,
    Outcome,
    RecordAnswer,
    RecordRef,
)
from identity.region import Node
from identity.store import RecordRow, Row
from matching.errors import SameasError

__all__ = ["DataKeys", "Effects"]

_LIVE: Final = KeyStatus.LIVE.value
_MOVED_COLUMNS: Final = (
    "component_id",
    "component_level",
    "cid",
    "key_version",
    "first_valid_from",
    "valid_from",
    "system_from",
)


class DataKeys(Protocol):
    """Seals statements with one data key a record (`identity.store_sql.sealing.Sealer`)."""

    def new_data_key(self) -> tuple[bytes, bytes]:
        """Return a data key and its wrapped form."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key."""

    def seal(self, data_key: bytes, plain: bytes) -> bytes:
        """Return the sealed bytes."""


class Effects:
    """Names the clusters of an attempt, writes what follows, and answers its commands."""

    def __init__(
        self,
        attempt: Attempt,
        groups: list[PartedGroup],
        *,
        seeds: Seeds,
        data_keys: DataKeys,
        now: Instant,
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._tx = attempt.tx
        self._attempt = attempt
        self._groups = groups
        self._seeds = seeds
        self._data_keys = data_keys
        self._now = now
        self._new_cid = new_cid
        self._rows: dict[str, list[Row]] = {}
        self._changes = {change.rid: change for change in attempt.changes if change.rid}
        self._new_cids: dict[int, Cid] = {}  # by rid
        self._minted: set[Cid] = set()
        self._revived: set[Cid] = set()
        self._fates: dict[Cid, CidFate] = {}
        self._split: set[Cid] = set()
        self._cluster_of: dict[int, list[Node]] = {}
        self._component_of: dict[int, tuple[int | None, int]] = {}
        self._cause_of: dict[int, Cause] = {}
        self._old_cids: dict[RecordRef, Cid] = {}

    def write(self) -> list[RecordAnswer | SameasError]:
        """Write everything and return one answer a command, in their order."""
        for group in self._groups:
            self._name(group)
        self._lock_revived()
        ids = self._reserve_ids()
        system_at = self._tx.tick(self._now)
        self._place_components(ids)
        self._write_cids(system_at)
        answers = self._write_records(system_at, ids)
        self._flush(system_at)
        return answers

    def without_new_cids(self, answers: list[RecordAnswer | SameasError]) -> list[RecordAnswer | SameasError]:
        """Return the answers of a dry run: a CID that was not issued after all is not named."""
        return [
            replace(answer, cid=None)
            if isinstance(answer, RecordAnswer) and answer.cid in self._minted
            else answer
            for answer in answers
        ]

    # -- names ----------------------------------------------------------------------------------------

    def _name(self, group: PartedGroup) -> None:
        clusters = [cluster for component in group.components for cluster in component.clusters]
        refs = [[node.ref for node in cluster] for cluster in clusters]
        old_cids = {row.ref: row.cid for row in group.rows_before if row.cid is not None}
        self._old_cids.update(old_cids)
        names = take_overlaps(refs, old_cids)
        unnamed = [place for place, name in enumerate(names) if name is None]
        if unnamed:
            for place, cid in zip(unnamed, self._take_back([clusters[at] for at in unnamed]), strict=True):
                names[place] = cid
        cause = self._cause_of_group(group)
        final: list[Cid] = []
        for cluster, name in zip(clusters, names, strict=True):
            if name is None:
                name = self._mint(cluster)
            final.append(name)
            for node in cluster:
                self._new_cids[node.rid] = name
                self._cluster_of[node.rid] = cluster
                self._cause_of[node.rid] = cause
        fates = decide_fates(refs, names=final, old_cids=old_cids) if old_cids else {}
        self._fates.update(fates)
        for row in group.rows_before:
            self._cause_of.setdefault(row.rid, cause)
        parts: dict[Cid, set[Cid]] = {}
        for cluster_refs, name in zip(refs, final, strict=True):
            for ref in cluster_refs:
                if ref in old_cids:
                    parts.setdefault(old_cids[ref], set()).add(name)
        self._split.update(cid for cid, new in parts.items() if len(new) > 1)

    def _take_back(self, unnamed: list[list[Node]]) -> list[Cid | None]:
        rids = [node.rid for cluster in unnamed for node in cluster if node.row is not None]
        if not rids:
            return [None] * len(unnamed)
        read = self._tx.read_borne(rids)
        taken = self._revived
        borne = {
            node.ref: [cid for cid in read[node.rid] if cid not in taken]
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
        cid = wished[0] if wished and wished[0] not in self._minted else self._new_cid(self._now)
        self._minted.add(cid)
        return cid

    def _lock_revived(self) -> None:
        """Make sure that nobody else revives the same CIDs."""
        if not self._revived:
            return
        hasher = self._attempt.preparer.hasher
        self._tx.lock(sorted(hasher.ref_hash(RecordRef("", cid)) for cid in self._revived))
        for row in self._tx.read_cids(self._revived).values():
            if row.status not in (CidStatus.MERGED, CidStatus.SPLIT, CidStatus.WITHDRAWN):
                raise BeginAnew

    def _cause_of_group(self, group: PartedGroup) -> Cause:
        if self._seeds.cause is not None:
            return self._seeds.cause
        if group.changes:
            change = min(group.changes, key=lambda one: one.vid)
            return self._own_cause(change)
        return Cause(CauseKind.RECORD, "")

    def _own_cause(self, change: Change) -> Cause:
        cause = change.prepared.command.cause
        return cause if cause.ref else Cause(cause.kind, f"v{change.vid}")

    # -- ids and components -----------------------------------------------------------------------------

    def _reserve_ids(self) -> Iterator[int]:
        component_count = sum(len(group.components) for group in self._groups)
        key_count = sum(len(group.nodes) + len(group.changes) for group in self._groups)
        older_count = sum(change.backdates for change in self._attempt.changes)
        new_withdrawn = sum(change.applies and change.row is None for change in self._attempt.changes)
        return iter(self._tx.new_ids(component_count + 2 * key_count + older_count + new_withdrawn))

    def _place_components(self, ids: Iterator[int]) -> None:
        """Give each component the id that most of its records have, each id once, else a new one."""
        taken: set[int] = set()
        components = [component for group in self._groups for component in group.components]
        for component in sorted(components, key=lambda one: -sum(map(len, one.clusters))):
            nodes = [node for cluster in component.clusters for node in cluster]
            counts = Counter(
                node.row.component_id
                for node in nodes
                if node.row is not None and node.row.component_id is not None
            )
            component_id: int | None = None
            for candidate, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
                if candidate not in taken:
                    component_id = candidate
                    break
            if component_id is None:
                component_id = next(ids)
            taken.add(component_id)
            for node in nodes:
                self._component_of[node.rid] = (component_id, component.level)

    # -- rows -------------------------------------------------------------------------------------------

    def _write_cids(self, system_at: Instant) -> None:
        closed = [(cid, FOREVER, system_at) for cid in (*sorted(self._fates), *sorted(self._revived))]
        self._tx.update_rows("cid_state", ("cid", "system_to"), ("system_to",), closed)
        rows = self._table("cid_state")
        for cid in (*sorted(self._minted), *sorted(self._revived)):
            rows.append((cid, system_at, FOREVER, CidStatus.LIVE.value, None))
        for cid, fate in sorted(self._fates.items()):
            successors = orjson.dumps(list(fate.successors)).decode() if fate.successors else None
            rows.append((cid, system_at, FOREVER, fate.status.value, successors))

    def _write_records(self, system_at: Instant, ids: Iterator[int]) -> list[RecordAnswer | SameasError]:
        history = self._read_history()
        moved: list[Row] = []
        for group in self._groups:
            for node in group.nodes:
                if node.rid not in self._changes or not self._changes[node.rid].applies:
                    assert node.row is not None
                    row = self._move(node.row, history, system_at, ids)
                    if row is not None:
                        moved.append((row.rid, *(getattr(row, column) for column in _MOVED_COLUMNS)))
        self._tx.update_rows("record", ("rid",), _MOVED_COLUMNS, moved)
        answers: list[RecordAnswer | SameasError] = []
        for change in self._attempt.changes:
            answers.append(change.error or self._write_change(change, history, system_at, ids))
        return answers

    def _read_history(self) -> dict[int, list[HistoryRow]]:
        rids: set[int] = set()
        for group in self._groups:
            rids.update(
                node.rid
                for node in group.nodes
                if node.row is not None and self._new_cids[node.rid] != node.row.cid
            )
        for change in self._attempt.changes:
            row = change.row
            if row is None or change.error is not None:
                continue
            effective_at = change.prepared.command.effective_at
            is_early = effective_at is not None and effective_at < row.first_valid_from
            if change.moves or (is_early and (change.applies or change.backdates)):
                rids.add(row.rid)
        return self._tx.read_open_history(rids)

    def _move(
        self, row: RecordRow, history: dict[int, list[HistoryRow]], system_at: Instant, ids: Iterator[int]
    ) -> RecordRow | None:
        """Return the row of a record that others changed, or None when nothing of it changes."""
        cid = self._new_cids[row.rid]
        component_id, level = self._component_of[row.rid]
        if (cid, component_id, level) == (row.cid, row.component_id, row.component_level):
            return None
        placed = row._replace(component_id=component_id, component_level=level, system_from=system_at)
        if cid == row.cid:
            return placed
        change = OtherCause(cid, KeyStatus.LIVE)
        return self._tell(placed, change, history, system_at, ids, cause=self._cause_of[row.rid])

    def _write_change(
        self, change: Change, history: dict[int, list[HistoryRow]], system_at: Instant, ids: Iterator[int]
    ) -> RecordAnswer:
        command = change.prepared.command
        if not change.applies:
            assert change.row is not None
            return self._write_not_newer(change, change.row, history, system_at, ids)
        row = self._new_row(change, system_at)
        if change.row is not None and not change.moves:
            cid = row.cid
        else:
            cid = None if command.is_withdrawal else self._new_cids[change.rid]
        if command.is_withdrawal:
            cid, status = row.cid, KeyStatus.WITHDRAWN
        else:
            status = KeyStatus.LIVE
        key_change: KeyChange
        is_moved_by_others = not change.moves and change.row is not None and cid != change.row.cid
        if (self._seeds.cause is not None and change.row is not None) or is_moved_by_others:
            key_change = OtherCause(cid, status)
        else:
            key_change = OwnVersion(cid, status, command.effective_at)
        cause = self._own_cause(change) if self._seeds.cause is None else self._seeds.cause
        row = self._tell(row, key_change, history, system_at, ids, cause=cause)
        if change.row is None:
            self._table("record").append(tuple(row))
        else:
            self._table("record changed").append(tuple(row))
        self._write_version(change, row, system_at)
        self._write_ties(change, system_at)
        return RecordAnswer(
            ref=change.ref,
            cid=cid,
            outcome=self._outcome(change),
            known_at=system_at,
            is_new=change.row is None,
            warnings=change.prepared.warnings,
        )

    def _write_not_newer(
        self,
        change: Change,
        row: RecordRow,
        history: dict[int, list[HistoryRow]],
        system_at: Instant,
        ids: Iterator[int],
    ) -> RecordAnswer:
        command = change.prepared.command
        placed = row
        if row.rid in self._new_cids and row.pid is not None:
            # Others of the batch may have moved it; that row is written already.
            placed = row._replace(cid=self._new_cids[row.rid])
        outcome = Outcome.STALE if change.standing is Standing.OLDER else Outcome.UNCHANGED
        if change.backdates:
            self._write_version(change, placed, system_at)
            told = self._tell(
                placed, OlderVersion(command.effective_at), history, system_at, ids, cause=self._own_cause(change)
            ) if command.effective_at is not None and command.effective_at < row.first_valid_from else placed  # fmt: skip
            if told is not placed:
                columns = ("key_version", "first_valid_from", "valid_from", "system_from")
                values = tuple(getattr(told, column) for column in columns)
                self._tx.update_rows("record", ("rid",), columns, [(row.rid, *values)])
        elif change.standing is Standing.SAME:
            stated = (command.version, command.effective_at)
            if stated != (row.version, row.effective_at) and command.version is not None:
                numbers = (command.version, command.effective_at or row.effective_at)
                self._tx.update_rows("record", ("rid",), ("version", "effective_at"), [(row.rid, *numbers)])
                self._tx.update_rows(
                    "record_version", ("vid",), ("version", "effective_at"), [(row.vid, *numbers)]
                )
        return RecordAnswer(
            ref=change.ref,
            cid=placed.cid,
            outcome=outcome,
            known_at=system_at,
            warnings=change.prepared.warnings,
        )

    def _new_row(self, change: Change, system_at: Instant) -> RecordRow:
        """Return the record's row with its new version, before its key's change is told."""
        command, before = change.prepared.command, change.row
        if change.moves:
            component_id, level = self._component_of.get(change.rid, (None, 0))
        else:
            component_id, level = self._component_of.get(
                change.rid, (before.component_id, before.component_level) if before else (None, 0)
            )
        wrapped = before.data_key if before is not None else b""
        if before is None:
            self._data_key, wrapped = self._data_keys.new_data_key()
        else:
            self._data_key = self._data_keys.unwrap(wrapped)
        is_named = bool(self._attempt.names_of(change.ref))
        cid = before.cid if before is not None else None
        if not change.moves and change.rid in self._new_cids:
            cid = self._new_cids[change.rid]
        return RecordRow(
            rid=change.rid,
            source=change.ref.source,
            key=change.ref.key,
            pid=change.pid,
            component_id=component_id,
            component_level=level,
            cid=cid,
            status=KeyStatus.WITHDRAWN.value if command.is_withdrawal else _LIVE,
            vid=change.vid,
            version=command.version,
            effective_at=command.effective_at,
            digest=change.prepared.digest,
            contract_version=change.prepared.contract.version,
            key_version=before.key_version if before is not None else 0,
            first_valid_from=before.first_valid_from if before is not None else system_at,
            valid_from=before.valid_from if before is not None else system_at,
            system_from=system_at,
            is_tied=change.target is not None or is_named or (before is not None and before.is_tied),
            data_key=wrapped,
        )

    def _tell(
        self,
        row: RecordRow,
        change: KeyChange,
        history: dict[int, list[HistoryRow]],
        system_at: Instant,
        ids: Iterator[int],
        *,
        cause: Cause,
    ) -> RecordRow:
        """Write history and events of one key's change; return its row with what they imply."""
        open_rows = history.get(row.rid, [])
        in_force = open_rows[-1] if open_rows else None
        if in_force is None and row.key_version > 0:
            return row  # nothing was read because nothing of the key changes
        edit = edit_history(open_rows, change, system_at)
        if not edit.changed:
            return row
        self._table("history closed").extend(
            (row.rid, old.system_from, old.valid_from, system_at) for old in edit.close
        )
        self._table("crosswalk_history").extend(
            (row.rid, new.system_from, new.valid_from, new.valid_to, new.system_to, new.cid, new.status.value,
             cause.kind.value, cause.ref)
            for new in edit.open
        )  # fmt: skip
        version = row.key_version
        previous = in_force.cid if in_force is not None else None
        is_told = not isinstance(change, OlderVersion) and (
            in_force is None or (change.cid, change.status) != (in_force.cid, in_force.status)
        )
        if is_told and not isinstance(change, OlderVersion):
            version += 1
            kind = self._event_type(row.rid, change, in_force)
            self._table("event").append(
                (system_at, next(ids), kind.value, row.rid, change.cid, previous, version, edit.valid_from,
                 cause.kind.value, cause.ref)
            )  # fmt: skip
            row = row._replace(cid=change.cid)
        first = row.first_valid_from if in_force is not None else edit.valid_from
        if edit.backdated_to is not None:
            version += 1
            first = edit.backdated_to
            self._table("event").append(
                (system_at, next(ids), EventType.BACKDATED.value, row.rid, row.cid, row.cid, version, first,
                 cause.kind.value, cause.ref)
            )  # fmt: skip
        return row._replace(
            key_version=version,
            first_valid_from=min(first, edit.valid_from),
            valid_from=edit.valid_from,
            system_from=system_at,
        )

    def _event_type(self, rid: int, change: OwnVersion | OtherCause, before: HistoryRow | None) -> EventType:
        if change.status is KeyStatus.WITHDRAWN:
            return EventType.WITHDRAWN
        if before is None or before.cid is None:
            return EventType.ISSUED if change.cid in self._minted else EventType.LINKED
        if before.status is not KeyStatus.LIVE:
            return EventType.RETURNED
        fate = self._fates.get(before.cid)
        if fate is not None and fate.status is CidStatus.MERGED:
            return EventType.MERGED
        if isinstance(change, OwnVersion) and (fate is None or fate.status is not CidStatus.SPLIT):
            return EventType.MOVED
        return EventType.SPLIT

    def _outcome(self, change: Change) -> Outcome:
        if change.prepared.command.is_withdrawal:
            return Outcome.WITHDRAWN
        row = change.row
        if not change.moves:
            same = row is not None and bytes(row.digest) == change.prepared.digest
            return Outcome.UNCHANGED if same else Outcome.UPDATED
        cid = self._new_cids[change.rid]
        old_cid = row.cid if row is not None and change.was_live else None
        borne = {self._old_cids.get(node.ref) for node in self._cluster_of[change.rid]} | {old_cid}
        if borne & self._split:
            return Outcome.SPLIT
        if any(old is not None and old != cid and self._is_merged(old) for old in borne):
            return Outcome.MERGED
        if old_cid == cid:
            return Outcome.UPDATED
        return Outcome.ISSUED if cid in self._minted else Outcome.LINKED

    def _is_merged(self, cid: Cid) -> bool:
        fate = self._fates.get(cid)
        return fate is not None and fate.status is CidStatus.MERGED

    def _write_version(self, change: Change, row: RecordRow, system_at: Instant) -> None:
        one = change.prepared
        is_current = change.applies
        if is_current and change.row is not None:
            self._table("superseded").append((change.row.vid, system_at))
        data_key = self._data_key if is_current else self._data_keys.unwrap(row.data_key)
        sealed_statement = sealed_profile = None
        if one.statement is not None and one.encoded_profile is not None:
            sealed_statement = self._data_keys.seal(data_key, one.statement)
            sealed_profile = self._data_keys.seal(data_key, one.encoded_profile)
        command = one.command
        self._table("record_version").append(
            (change.vid, change.rid, command.version, command.effective_at, system_at,
             FOREVER if is_current else system_at, one.digest, one.contract.version, command.author,
             sealed_statement, sealed_profile)
        )  # fmt: skip

    def _write_ties(self, change: Change, system_at: Instant) -> None:
        command = change.prepared.command
        rid = change.rid
        if change.is_new_profile:
            assert change.pid is not None
            self._table("profile").append((change.pid, change.prepared.profile_digest))
            self._table("blocking_key").extend((key, change.pid) for key in change.prepared.hashes)
        if change.row is not None:
            self._table("alternate dropped").append((rid,))
            if change.row.is_tied:
                self._table("evidence dropped").append((rid, ""))
        self._table("alternate_key").extend(
            (change.ref.source, name, value, rid) for name, value in command.alternate_keys.items()
        )
        if change.target is None:
            return
        if change.judgement is None:
            hash_ref = self._attempt.preparer.hasher.ref_hash
            self._table("named_ref").append((hash_ref(change.target), "", rid, *change.target))
            self._table("tied").append((*change.target, True))
        else:
            self._write_judgement(change.judgement, system_at, stated_by=rid)

    def _write_judgement(self, fact: JudgementFact, system_at: Instant, *, stated_by: int | None) -> None:
        hash_ref = self._attempt.preparer.hasher.ref_hash
        self._table("judgement").append(
            (fact.id, fact.verdict.value, fact.judgement_class.value, fact.reason, fact.author, stated_by, system_at,
             FOREVER, None)
        )  # fmt: skip
        for side, refs in enumerate((fact.left, fact.right)):
            self._table("judgement_record").extend((fact.id, side, *ref) for ref in refs)
        named = {*fact.left, *fact.right}
        self._table("named_ref").extend((hash_ref(ref), fact.id, 0, *ref) for ref in named)
        self._table("tied").extend((*ref, True) for ref in named)

    # -- flushing ---------------------------------------------------------------------------------------

    def _table(self, name: str) -> list[Row]:
        return self._rows.setdefault(name, [])

    def _flush(self, system_at: Instant) -> None:
        tx = self._tx
        rows = self._rows
        applied = {change.rid for change in self._attempt.changes if change.applies}
        ended = [row.id for row in self._attempt.stated_before if row.stated_by_rid in applied]
        by_steward = sorted(self._seeds.withdrawn_judgements)
        for fact in self._seeds.new_facts:
            self._write_judgement(fact, system_at, stated_by=None)
        tx.update_rows(
            "judgement", ("id",), ("withdrawn_by",), [(one, self._seeds.withdrawn_by) for one in by_steward]
        )
        ended.extend(by_steward)
        tx.update_rows("judgement", ("id",), ("system_to",), [(ended_id, system_at) for ended_id in ended])
        tx.delete_rows("named_ref", ("judgement_id",), [(ended_id,) for ended_id in ended])
        tx.delete_rows("alternate_key", ("rid",), rows.get("alternate dropped", ()))
        tx.delete_rows("named_ref", ("stating_rid", "judgement_id"), rows.get("evidence dropped", ()))
        vanished = self._attempt.vanished
        tx.delete_rows("profile", ("pid",), [(pid,) for pid in vanished])
        tx.delete_rows(
            "blocking_key",
            ("h", "pid"),
            [(key, pid) for pid in vanished for key in self._attempt.hashes[pid]],
        )
        tx.update_rows("record_version", ("vid",), ("superseded_at",), rows.get("superseded", ()))
        tx.update_rows(
            "crosswalk_history",
            ("rid", "system_from", "valid_from"),
            ("system_to",),
            rows.get("history closed", ()),
        )
        tx.update_rows("record", ("rid",), RecordRow._fields[1:], rows.get("record changed", ()))
        for table in (
            "record",
            "record_version",
            "profile",
            "blocking_key",
            "crosswalk_history",
            "cid_state",
            "event",
            "alternate_key",
            "judgement",
            "judgement_record",
            "named_ref",
        ):
            tx.insert_rows(table, rows.get(table, ()))
        tx.update_rows("record", ("source", "key"), ("is_tied",), rows.get("tied", ()))
        tx.delete_rows("unsettled", ("kind", "id"), self._seeds.settled)
