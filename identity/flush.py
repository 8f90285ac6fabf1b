"""Gather the rows of one transaction, table by table, and write them in one order.

Invariant: rows that end are updated before rows that begin are inserted; each table is written once.
Elsewhere: what the rows say (`identity.effects`, `identity.naming`), the statements (`identity.store_sql`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from identity.attempt import Attempt
from identity.change import Change
from identity.history import HistoryEdit
from identity.judge import JudgementFact
from identity.model import FOREVER, Cause, Instant
from identity.store import RecordRow, Row

__all__ = ["RowBook"]

_INSERTED: Final = (
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
)


class RowBook:
    """The rows of one transaction."""

    def __init__(self, attempt: Attempt) -> None:
        self.ended_states: list[Row] = []
        self._attempt = attempt
        self._rows: dict[str, list[Row]] = {}
        self._moved_columns: Sequence[str] = ()

    def table(self, name: str) -> list[Row]:
        """Return the rows noted under a name: of a table to insert into, or of something to update or delete."""
        return self._rows.setdefault(name, [])

    def record(self, row: RecordRow, *, is_new: bool) -> None:
        """Note a record with its new current version."""
        self.table("record" if is_new else "record changed").append(tuple(row))

    def moved(self, row: RecordRow, columns: Sequence[str]) -> None:
        """Note the columns of a record that others changed; what is noted last holds."""
        self._moved_columns = columns
        self.table("record moved").append((row.rid, *(getattr(row, column) for column in columns)))

    def history(self, rid: int, edit: HistoryEdit, system_at: Instant, cause: Cause) -> None:
        """Note the history rows that end and begin."""
        self.table("history closed").extend(
            (rid, old.system_from, old.valid_from, system_at) for old in edit.close
        )
        self.table("crosswalk_history").extend(
            (rid, new.system_from, new.valid_from, new.valid_to, new.system_to, new.cid, new.status.value,
             cause.kind.value, cause.ref)
            for new in edit.open
        )  # fmt: skip

    def event(self, system_at: Instant, seq: int, event: Row, cause: Cause) -> None:
        """Note an event: its type, rid, cid, previous cid, version and valid_from."""
        self.table("event").append((system_at, seq, *event, cause.kind.value, cause.ref))

    def remember(self, change: Change, system_at: Instant) -> None:
        """Note a greater number of the current version; the smaller one is kept as a version that never was current."""
        row, command = change.row, change.prepared.command
        assert row is not None
        effective_at = row.effective_at if command.effective_at is None else command.effective_at
        self.table("record remembered").append((row.rid, command.version, effective_at))
        self.table("version remembered").append((row.vid, command.version, effective_at))
        self.table("record_version").append(
            (change.vid, row.rid, row.version, row.effective_at, system_at, system_at, row.digest,
             row.contract_version, command.author, None, None)
        )  # fmt: skip

    def ties(self, change: Change, system_at: Instant) -> None:
        """Note the profile, alternate keys and `same_as` of a current version."""
        rid = change.rid
        if change.is_new_profile:
            self.table("profile").append((change.pid, change.prepared.profile_digest))
            self.table("blocking_key").extend((key, change.pid) for key in change.prepared.hashes)
        if change.row is not None:
            self.table("alternate dropped").append((rid,))
            if change.row.is_tied:
                self.table("evidence dropped").append((rid, ""))
        self.table("alternate_key").extend(
            (change.ref.source, name, value, rid)
            for name, value in change.prepared.command.alternate_keys.items()
        )
        if change.target is None:
            return
        if change.judgement is None:
            hash_ref = self._attempt.preparer.hasher.ref_hash
            self.table("named_ref").append((hash_ref(change.target), "", rid, *change.target))
            self.table("tied").append((*change.target, True))
        else:
            self.judgement(change.judgement, system_at, stated_by=rid)

    def judgement(self, fact: JudgementFact, system_at: Instant, *, stated_by: int | None) -> None:
        """Note a new judgement."""
        hash_ref = self._attempt.preparer.hasher.ref_hash
        self.table("judgement").append(
            (fact.id, fact.verdict.value, fact.judgement_class.value, fact.reason, fact.author, stated_by, system_at,
             FOREVER, None)
        )  # fmt: skip
        for side, refs in enumerate((fact.left, fact.right)):
            self.table("judgement_record").extend((fact.id, side, *ref) for ref in dict.fromkeys(refs))
        named = {*fact.left, *fact.right}
        self.table("named_ref").extend((hash_ref(ref), fact.id, 0, *ref) for ref in named)
        self.table("tied").extend((*ref, True) for ref in named)

    def _move_names(self) -> None:
        """Let who names a record by its old key name it by the new one; who names both names it once."""
        tx, ties = self._attempt.tx, self._attempt.ties
        hash_ref = self._attempt.preparer.hasher.ref_hash
        both = {
            (row.judgement_id, new)
            for _, new in ties.moved_names
            for row in ties.named(new)
            if row.judgement_id and row.ref_hash == hash_ref(new)
        }
        kept = [
            (row, new)
            for row, new in ties.moved_names
            if row.judgement_id not in ties.ended and (row.judgement_id, new) not in both
        ]
        doubled = [row for row, new in ties.moved_names if (row.judgement_id, new) in both]
        own = ("ref_hash", "judgement_id", "stating_rid")
        tx.update_rows(
            "named_ref",
            own,
            ("ref_hash", "key"),
            [(row.ref_hash, row.judgement_id, row.stating_rid, hash_ref(new), new.key) for row, new in kept],
        )
        tx.delete_rows(
            "named_ref", own, [(row.ref_hash, row.judgement_id, row.stating_rid) for row in doubled]
        )
        tx.update_rows(
            "judgement_record",
            ("judgement_id", "source", "key"),
            ("key",),
            [(row.judgement_id, *row.ref, new.key) for row, new in kept if row.judgement_id],
        )
        tx.delete_rows(
            "judgement_record",
            ("judgement_id", "source", "key"),
            [(row.judgement_id, *row.ref) for row in doubled],
        )

    def flush(self, system_at: Instant) -> None:
        """Write everything."""
        tx, rows, seeds = self._attempt.tx, self._rows, self._attempt.seeds
        for fact in seeds.new_facts:
            self.judgement(fact, system_at, stated_by=None)
        by_steward = sorted(seeds.withdrawn_judgements)
        rows_max = max(map(len, rows.values()), default=0)
        with tx.together(rows_max=rows_max):
            tx.update_rows(
                "judgement", ("id",), ("withdrawn_by",), [(one, seeds.withdrawn_by) for one in by_steward]
            )
            ended = sorted(self._attempt.ties.ended)
            tx.update_rows("judgement", ("id",), ("system_to",), [(one, system_at) for one in ended])
            tx.delete_rows("named_ref", ("judgement_id",), [(one,) for one in ended])
            self._move_names()
            tx.delete_rows("alternate_key", ("rid",), rows.get("alternate dropped", ()))
            tx.delete_rows("named_ref", ("stating_rid", "judgement_id"), rows.get("evidence dropped", ()))
            census = self._attempt.census
            tx.delete_rows("profile", ("pid",), [(pid,) for pid in census.vanished])
            tx.delete_rows(
                "blocking_key",
                ("h", "pid"),
                [(key, pid) for pid in census.vanished for key in census.keys_of(pid)],
            )
            tx.update_rows("cid_state", ("cid", "system_to"), ("system_to",), self.ended_states)
            tx.update_rows("record_version", ("vid",), ("superseded_at",), rows.get("superseded", ()))
            numbers = ("version", "effective_at")
            tx.update_rows("record_version", ("vid",), numbers, rows.get("version remembered", ()))
            tx.update_rows("record", ("rid",), numbers, rows.get("record remembered", ()))
            tx.update_rows(
                "crosswalk_history",
                ("rid", "system_from", "valid_from"),
                ("system_to",),
                rows.get("history closed", ()),
            )
            moved = {row[0]: row for row in rows.get("record moved", ())}
            tx.update_rows("record", ("rid",), self._moved_columns, list(moved.values()))
            tx.update_rows("record", ("rid",), RecordRow._fields[1:], rows.get("record changed", ()))
            for table in _INSERTED:
                tx.insert_rows(table, rows.get(table, ()))
            tx.update_rows("record", ("source", "key"), ("is_tied",), rows.get("tied", ()))
            tx.delete_rows("unsettled", ("kind", "id"), seeds.settled)
