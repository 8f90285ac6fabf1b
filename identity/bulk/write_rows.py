"""Write the rows of a slice: records, versions, history, events, customers, profiles and their keys.

Invariant: rows are what the resolver would write for the same records, each new in its component; whole columns are
handed to the store, so that no value becomes a Python object on the way that need not.
Elsewhere: what may be written (`identity.bulk.slices`), the columns' way into the store
(`identity.store_sql.column_writes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.bulk.joining import PartedJoin
from identity.model import FOREVER, Cause, Cid, CidStatus, EventType, Instant, KeyStatus
from identity.store_sql.column_writes import insert_columns

if TYPE_CHECKING:
    from identity.bulk.new_records import NewRecords
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["Placed", "RowWriter", "SealedRows"]


class Placed(NamedTuple):
    """A component of new records: its level and its clusters, each a list of positions."""

    level: int
    clusters: list[list[int]]


@dataclass(slots=True)
class SealedRows:
    """The rows of some new records, with what is stored of them sealed."""

    at: dict[int, int]  # position -> row of the columns
    rows: pa.Table
    data_keys: pa.Array
    statements: pa.Array
    profiles: pa.Array


@dataclass(slots=True)
class _Columns:
    """Where each record of a slice comes to stand, record by record."""

    places: list[int] = field(default_factory=list)
    component_ids: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    cids: list[Cid] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    new_cids: list[Cid] = field(default_factory=list)

    def add(self, places: Sequence[int], component_id: int, level: int, cid: Cid, *, is_new: bool) -> None:
        """Add the new records of a cluster; the first one of a new customer is issued its CID."""
        count = len(places)
        self.places.extend(places)
        self.component_ids.extend([component_id] * count)
        self.levels.extend([level] * count)
        self.cids.extend([cid] * count)
        self.kinds.extend([EventType.LINKED.value] * count)
        if is_new:
            self.kinds[-count] = EventType.ISSUED.value
            self.new_cids.append(cid)


class RowWriter:
    """Writes the rows of one load; remembers which profiles it has stored."""

    def __init__(
        self,
        new: NewRecords,
        *,
        contract_version: int,
        author: str,
        cause: Cause,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._new = new
        self._contract_version = contract_version
        self._author = author
        self._cause = cause
        self._clock = clock
        self._new_cid = new_cid
        self.pids: npt.NDArray[np.int64] = np.zeros(new.profile_count, dtype=np.int64)
        """By profile number; 0 for one that is not stored yet."""

    def write(
        self, tx: SqlTransaction, sealed: SealedRows, placed: Sequence[Placed], joins: Sequence[PartedJoin]
    ) -> tuple[int, list[int]]:
        """Store the components; return how many customers they make, and the positions stored.

        Args:
            joins: none that merges or splits customers (`identity.bulk.move`).
        """
        system_at = tx.tick(self._clock())
        columns, moved = self._place(tx, placed, joins, system_at)
        if columns.places:
            self._write_columns(tx, sealed, columns, system_at)
            tx.update_rows("record", ("rid",), ("component_id", "system_from"), moved)
        return len(columns.new_cids), columns.places

    def _place(
        self, tx: SqlTransaction, placed: Sequence[Placed], joins: Sequence[PartedJoin], system_at: Instant
    ) -> tuple[_Columns, list[tuple[int, int, int]]]:
        """Give components and customers to the records; return the stored ones that come to another component."""
        columns = _Columns()
        moved: list[tuple[int, int, int]] = []
        component_ids = iter(tx.new_ids(len(placed)) if placed else ())
        for level, clusters in placed:
            component_id = next(component_ids)
            for cluster in clusters:
                columns.add(cluster, component_id, level, self._new_cid(system_at), is_new=True)
        for join in joins:
            for part in join.clusters:
                if part.places:
                    stored = join.find_cid(part)
                    cid = stored or self._new_cid(system_at)
                    columns.add(part.places, join.component_id, 0, cid, is_new=stored is None)
            moved.extend((rid, join.component_id, system_at) for rid in join.moved)
        return columns, moved

    def _write_columns(
        self, tx: SqlTransaction, sealed: SealedRows, columns: _Columns, system_at: Instant
    ) -> None:
        count = len(columns.places)
        order = pa.array([sealed.at[place] for place in columns.places], pa.int64())
        rows = sealed.rows.take(order).combine_chunks()
        data_keys, statements, profiles = (
            column.take(order) for column in (sealed.data_keys, sealed.statements, sealed.profiles)
        )
        version, effective_at, digest = (
            rows[name].combine_chunks() for name in ("version", "effective_at", "digest")
        )
        pids = self._write_profiles(tx, np.array(columns.places, dtype=np.int64), rows)
        ids = np.array(tx.new_ids(3 * count), dtype=np.int64).reshape(3, count)
        rids, vids, seqs = ids[0], ids[1], ids[2]
        valid_from = effective_at.fill_null(system_at)
        cids = pa.array(columns.cids, pa.string())
        levels = np.array(columns.levels, dtype=np.int64)
        cause = {"cause_kind": self._cause.kind.value, "cause_ref": self._cause.ref}
        insert = partial(insert_columns, tx)
        insert("cid_state", {
            "cid": pa.array(columns.new_cids, pa.string()), "system_from": system_at, "system_to": FOREVER,
            "status": CidStatus.LIVE.value, "successors": None,
        }, count=len(columns.new_cids))  # fmt: skip
        insert("record", {
            "rid": rids, "source": self._new.source, "key": rows["key"].combine_chunks(), "pid": pids,
            "component_id": np.array(columns.component_ids, dtype=np.int64), "component_level": levels, "cid": cids,
            "status": KeyStatus.LIVE.value, "vid": vids, "version": version, "effective_at": effective_at,
            "digest": digest, "contract_version": self._contract_version, "key_version": 1,
            "first_valid_from": valid_from, "valid_from": valid_from, "system_from": system_at, "is_tied": False,
            "data_key": data_keys,
        }, count=count)  # fmt: skip
        insert("record_version", {
            "vid": vids, "rid": rids, "version": version, "effective_at": effective_at, "known_at": system_at,
            "superseded_at": FOREVER, "digest": digest, "contract_version": self._contract_version,
            "author": self._author, "sealed_statement": statements, "sealed_profile": profiles,
        }, count=count)  # fmt: skip
        insert("crosswalk_history", {
            "rid": rids, "system_from": system_at, "valid_from": valid_from, "valid_to": FOREVER, "system_to": FOREVER,
            "cid": cids, "status": KeyStatus.LIVE.value, **cause,
        }, count=count)  # fmt: skip
        insert("event", {
            "known_at": system_at, "seq": seqs, "type": pa.array(columns.kinds, pa.string()), "rid": rids, "cid": cids,
            "previous_cid": None, "version": 1, "valid_from": valid_from, **cause,
        }, count=count)  # fmt: skip
        # They stand so because of how much is linked to them; that may be in a slice that never comes.
        noted = rids[levels > 0]
        insert("unsettled", {"kind": "load-record", "id": noted}, count=len(noted))

    def _write_profiles(
        self, tx: SqlTransaction, places: npt.NDArray[np.int64], rows: pa.Table
    ) -> npt.NDArray[np.int64]:
        """Store the profiles that no earlier slice stored, with their blocking keys; return each record's pid."""
        numbers = self._new.profile_of[places]
        fresh, firsts = np.unique(np.where(self.pids[numbers] == 0, numbers, -1), return_index=True)
        firsts = firsts[fresh >= 0]
        if len(firsts):
            digests = rows["profile_digest"].combine_chunks().take(pa.array(firsts))
            ids = np.array(tx.new_ids(len(firsts)), dtype=np.int64)
            self.pids[numbers[firsts]] = ids
            insert_columns(tx, "profile", {"pid": ids, "digest": digests}, count=len(firsts))
            hashes = rows["hashes"].combine_chunks().take(pa.array(firsts))
            keys = hashes.flatten().to_numpy()
            holders = np.repeat(ids, hashes.value_lengths().to_numpy())
            # In the order of the index, so that neighbours of one slice meet the same pages.
            order = np.lexsort((holders, keys))
            insert_columns(tx, "blocking_key", {"h": keys[order], "pid": holders[order]}, count=len(keys))
        return self.pids[numbers]
