"""Turn parted groups into history, events and rows, and write them in the attempt's transaction.

Invariants:
1. Every change of a key in the crosswalk writes its history rows and its event together, with one cause.
2. Rows are written for what changed and nothing else.
Elsewhere: reading and parting (`identity.attempt`), the CIDs of clusters (`identity.naming`), the rules of
the two clocks (`identity.history`), the order of the statements (`identity.flush`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol

from identity.attempt import Attempt
from identity.change import Change, PartedGroup
from identity.decide import Standing
from identity.flush import RowBook
from identity.history import HistoryRow, KeyChange, OlderVersion, OtherCause, OwnVersion, edit_history
from identity.model import (
    FOREVER,
    Cause,
    Cid,
    CidStatus,
    EventType,
    Instant,
    KeyStatus,
    Outcome,
    RecordAnswer,
)
from identity.naming import Naming, own_cause
from identity.store import RecordRow
from matching.errors import SameasError

__all__ = ["DataKeys", "Effects"]

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
    """Writes what follows from an attempt, and answers its commands."""

    def __init__(
        self,
        attempt: Attempt,
        groups: list[PartedGroup],
        *,
        data_keys: DataKeys,
        now: Instant,
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._tx = attempt.tx
        self._attempt = attempt
        self._groups = groups
        self._data_keys = data_keys
        self._now = now
        self._naming = Naming(attempt, now=now, new_cid=new_cid)
        self._book = RowBook(attempt)
        self._changes = {change.rid: change for change in attempt.changes if change.rid}
        self._component_of: dict[int, tuple[int, int]] = {}
        self._moved: dict[int, RecordRow] = {}  # records that others changed, as they stand now
        self._history: dict[int, list[HistoryRow]] = {}
        self._system_at: Instant = 0
        self._ids: Iterator[int] = iter(())

    def write(self) -> list[RecordAnswer | SameasError]:
        """Write everything and return one answer a command, in their order."""
        self._naming.name(self._groups)
        self._ids = self._reserve_ids()
        self._system_at = self._tx.tick(self._now)
        self._place_components()
        self._history = self._read_history()
        self._book.ended_states, self._book.table("cid_state")[:] = self._naming.list_state_rows(
            self._system_at
        )
        for group in self._groups:
            for node in group.nodes:
                change = self._changes.get(node.rid)
                if node.row is not None and (change is None or not change.applies):
                    self._move(node.row, change)
        answers = [change.error or self._write_change(change) for change in self._attempt.changes]
        self._book.flush(self._system_at)
        return answers

    def without_new_cids(self, answers: list[RecordAnswer | SameasError]) -> list[RecordAnswer | SameasError]:
        """Return the answers of a dry run: a CID that was not issued after all is not named."""
        return [
            replace(answer, cid=None)
            if isinstance(answer, RecordAnswer) and answer.cid in self._naming.minted
            else answer
            for answer in answers
        ]

    # -- ids, components, what is there ------------------------------------------------------------------

    def _reserve_ids(self) -> Iterator[int]:
        component_count = sum(len(group.components) for group in self._groups)
        node_count = sum(len(group.nodes) for group in self._groups)
        return iter(self._tx.new_ids(component_count + 2 * (node_count + len(self._attempt.changes))))

    def _place_components(self) -> None:
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
                component_id = next(self._ids)
            taken.add(component_id)
            for node in nodes:
                self._component_of[node.rid] = (component_id, component.level)

    def _read_history(self) -> dict[int, list[HistoryRow]]:
        rids = {
            node.rid
            for group in self._groups
            for node in group.nodes
            if node.row is not None and self._naming.new_cids[node.rid] != node.row.cid
        }
        rids.update(
            change.row.rid
            for change in self._attempt.changes
            if change.row is not None
            and change.error is None
            and (change.moves or change.backdates or change.renames)
        )
        return self._tx.read_open_history(rids)

    # -- records that others changed ---------------------------------------------------------------------

    def _move(self, row: RecordRow, change: Change | None) -> None:
        """Note what becomes of a record whose own version stays current."""
        cid = self._naming.new_cids[row.rid]
        component_id, level = self._component_of[row.rid]
        if (cid, component_id, level) == (row.cid, row.component_id, row.component_level):
            return
        placed = row._replace(component_id=component_id, component_level=level, system_from=self._system_at)
        if cid != row.cid:
            cause = self._naming.cause_of[row.rid]
            placed = self._tell(placed, _by_others(cid, KeyStatus.LIVE, change), cause)
        self._moved[row.rid] = placed
        self._book.moved(placed, _MOVED_COLUMNS)

    # -- records of the batch ----------------------------------------------------------------------------

    def _write_change(self, change: Change) -> RecordAnswer:
        if not change.applies:
            return self._write_not_newer(change)
        status = _status_of(change)
        before = change.row
        cid = self._naming.new_cids.get(change.rid, before.cid if before is not None else None)
        if change.renames and before is None:
            cid = self._find_cid_of_new_name(change)
        cause, seeds_cause = own_cause(change), self._attempt.seeds.cause
        key_change: KeyChange
        if before is not None and (seeds_cause is not None or (not change.moves and cid != before.cid)):
            key_change = _by_others(cid, status, change)
            cause = seeds_cause or self._naming.cause_of[change.rid]
        else:
            key_change = OwnVersion(cid, status, change.prepared.command.effective_at)
        data_key, row = self._new_row(change)
        if before is None or change.moves or change.backdates or change.renames or cid != before.cid:
            row = self._tell(row, key_change, cause)
        self._book.record(row, is_new=before is None)
        self._write_version(change, data_key=data_key)
        self._book.ties(change, self._system_at)
        return self._answer(change, cid, self._naming.outcome_of(change))

    def _find_cid_of_new_name(self, change: Change) -> Cid | None:
        """Return the CID under the new key of a record that was never seen under its old one."""
        new = self._attempt.ties.renamed.get(change.ref)
        return next(
            (self._naming.new_cids.get(one.rid) for one in self._attempt.changes if one.ref == new), None
        )

    def _write_not_newer(self, change: Change) -> RecordAnswer:
        if change.row is None:  # older than a truncation of its source, and never seen before
            return self._answer(change, None, Outcome.STALE)
        command = change.prepared.command
        row = self._moved.get(change.rid, change.row)
        if change.is_kept_older:
            self._write_version(change, data_key=self._data_keys.unwrap(row.data_key))
        if change.backdates and row.cid == change.row.cid:  # else the move has told it
            told = self._tell(row, OlderVersion(command.effective_at), own_cause(change))
            self._book.moved(told, _MOVED_COLUMNS)
        if change.is_remembered:
            self._book.remember(change, self._system_at)
        outcome = Outcome.STALE if change.standing is Standing.OLDER else Outcome.UNCHANGED
        return self._answer(change, row.cid, outcome)

    def _answer(self, change: Change, cid: Cid | None, outcome: Outcome) -> RecordAnswer:
        return RecordAnswer(
            ref=change.ref,
            cid=cid,
            outcome=outcome,
            known_at=self._system_at,
            is_new=change.row is None and change.applies,
            warnings=change.prepared.warnings,
        )

    def _new_row(self, change: Change) -> tuple[bytes, RecordRow]:
        """Return the record's data key, and its row with its new version, before its key's change is told."""
        command, before, system_at = change.prepared.command, change.row, self._system_at
        component_id: int | None
        if change.moves or before is None:
            component_id, level = self._component_of.get(change.rid, (None, 0))
        else:
            stays = (before.component_id, before.component_level)
            component_id, level = self._component_of.get(change.rid, stays)
        if before is None:
            data_key, wrapped = self._data_keys.new_data_key()
        else:
            data_key, wrapped = self._data_keys.unwrap(before.data_key), before.data_key
        is_tied = change.target is not None or self._attempt.ties.is_named(change.ref)
        return data_key, RecordRow(
            rid=change.rid,
            source=change.ref.source,
            key=change.ref.key,
            pid=change.pid,
            component_id=component_id,
            component_level=level,
            cid=before.cid if before is not None else None,
            status=_status_of(change).value,
            vid=change.vid,
            version=command.version,
            effective_at=command.effective_at,
            digest=change.prepared.digest,
            contract_version=change.prepared.contract.version,
            key_version=before.key_version if before is not None else 0,
            first_valid_from=before.first_valid_from if before is not None else system_at,
            valid_from=before.valid_from if before is not None else system_at,
            system_from=system_at,
            is_tied=is_tied or (before is not None and before.is_tied),
            data_key=wrapped,
        )

    def _write_version(self, change: Change, *, data_key: bytes) -> None:
        one, command = change.prepared, change.prepared.command
        sealed_statement = sealed_profile = None
        if one.statement is not None and one.encoded_profile is not None:
            sealed_statement = self._data_keys.seal(data_key, one.statement)
            sealed_profile = self._data_keys.seal(data_key, one.encoded_profile)
        if change.applies and change.row is not None:
            self._book.table("superseded").append((change.row.vid, self._system_at))
        self._book.table("record_version").append(
            (change.vid, change.rid, command.version, command.effective_at, self._system_at,
             FOREVER if change.applies else self._system_at, one.digest, one.contract.version, command.author,
             sealed_statement, sealed_profile)
        )  # fmt: skip

    # -- history and events ------------------------------------------------------------------------------

    def _tell(self, row: RecordRow, change: KeyChange, cause: Cause) -> RecordRow:
        """Note history and events of one key's change; return its row with what they imply."""
        open_rows = self._history.get(row.rid, [])
        in_force = open_rows[-1] if open_rows else None
        edit = edit_history(open_rows, change, self._system_at)
        if not edit.changed:
            return row
        self._book.history(row.rid, edit, self._system_at, cause)
        version = row.key_version
        previous = in_force.cid if in_force is not None else None
        if not isinstance(change, OlderVersion) and (
            in_force is None or (change.cid, change.status) != (in_force.cid, in_force.status)
        ):
            version += 1
            kind = self._event_type(row.rid, change, in_force)
            event = (kind.value, row.rid, change.cid, previous, version, edit.valid_from)
            self._book.event(self._system_at, next(self._ids), event, cause)
            row = row._replace(cid=change.cid)
        first = row.first_valid_from if in_force is not None else edit.valid_from
        if edit.backdated_to is not None:
            version += 1
            first = edit.backdated_to
            event = (EventType.BACKDATED.value, row.rid, row.cid, row.cid, version, first)
            self._book.event(self._system_at, next(self._ids), event, cause)
        return row._replace(
            key_version=version,
            first_valid_from=min(first, edit.valid_from),
            valid_from=edit.valid_from,
            system_from=self._system_at,
        )

    def _event_type(self, rid: int, change: OwnVersion | OtherCause, before: HistoryRow | None) -> EventType:
        if change.status is KeyStatus.WITHDRAWN:
            return EventType.WITHDRAWN
        if change.status is KeyStatus.RENAMED:
            return EventType.RENAMED
        if before is None or before.cid is None:
            is_issued = change.cid is not None and self._naming.minted.get(change.cid) == rid
            return EventType.ISSUED if is_issued else EventType.LINKED
        if before.status is not KeyStatus.LIVE:
            return EventType.RETURNED
        fate = self._naming.fates.get(before.cid)
        if fate is not None and fate.status is CidStatus.MERGED:
            return EventType.MERGED
        if isinstance(change, OwnVersion) and (fate is None or fate.status is not CidStatus.SPLIT):
            return EventType.MOVED
        return EventType.SPLIT


def _status_of(change: Change) -> KeyStatus:
    """Return the status of a key once the command is its current version."""
    if not change.prepared.command.is_withdrawal:
        return KeyStatus.LIVE
    return KeyStatus.WITHDRAWN if change.prepared.command.renamed_to is None else KeyStatus.RENAMED


def _by_others(cid: Cid | None, status: KeyStatus, change: Change | None) -> OtherCause | OwnVersion:
    """Return what a record's key meets when others move it, while its own statement may move its beginning back."""
    if change is not None and change.backdates:
        return OwnVersion(cid, status, change.prepared.command.effective_at)
    return OtherCause(cid, status)
