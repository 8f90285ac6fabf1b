"""Store what a load has foreseen, in slices that each take the store for a moment.

 1. Make a slice ready, outside the lock: part its groups that join stored components, read its rows, seal them.
 2. Under the gate lock: make sure that nothing it was made from has changed, and write whole columns.
 3. While one slice is written the next one is made ready.

Invariants: a slice is one transaction and holds whole components, so that a crash leaves a store in which
every record has its CID and its history; nobody waits longer than one slice. What somebody else stored
meanwhile is never overwritten: a component of which a record or profile is there by now, or of which a stored
record has changed, is left to be resolved one by one.
Elsewhere: what was foreseen (`identity.bulk.foresee`), live writes beside it (`identity.effects`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from identity.bulk.foresee import JoinedGroup
from identity.bulk.joining import PartedJoin, find_unchanged, part_groups
from identity.bulk.patience import LoadTakenOver, patiently
from identity.bulk.write_rows import Placed, RowWriter, SealedRows
from identity.model import Instant, Outcome, RecordRef
from identity.store_sql import tables

if TYPE_CHECKING:
    from identity.bulk.move import Mover
    from identity.bulk.new_records import NewRecords
    from identity.bulk.prepared_rows import Positions
    from identity.matcher import Matcher
    from identity.store_sql.opening import SqlStore
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["RowReader", "SliceWriter"]

_FIRST_SLICE: Final = 200
_SQLITE_SLICE_S: Final = 0.08
_POSTGRES_SLICE_S: Final = 0.6
_PAUSE_SHARE: Final = 0.1
_SLICE_RECORDS_MIN: Final = 50
_SLICE_RECORDS_MAX: Final = 20_000
_NAMES_LISTED_MAX: Final = 10_000
"""So many names that judgements and statements hold are read as a whole; of more, the slice's own are looked up."""

RowReader = Callable[["Positions"], pa.Table]
"""Gives the rows of new records by their positions (`PreparedRows.take`)."""
_Item = Placed | JoinedGroup


@dataclass(slots=True)
class _Slice:
    """A slice that is ready to be written."""

    placed: list[Placed]
    joins: list[PartedJoin]
    left: list[int]  # new records that are not written, whatever the lock shows
    contracts: dict[str, tuple[int, bool]]  # in force when the groups were parted
    sealed: SealedRows | None  # None: nothing is to be written

    @property
    def record_count(self) -> int:
        """How many records may be written."""
        return 0 if self.sealed is None else len(self.sealed.at)


class SliceWriter:
    """Writes foreseen components; sizes its slices by how long the last one took."""

    def __init__(
        self,
        store: SqlStore,
        new: NewRecords,
        writer: RowWriter,
        mover: Mover,
        *,
        matcher: Matcher,
        one_each: Callable[[], set[str]],
        read: RowReader,
        contract_version: int,
        load_id: str,
        clock: Callable[[], Instant],
    ) -> None:
        self._store = store
        self._new = new
        self._writer = writer
        self._mover = mover
        self._matcher = matcher
        self._one_each = one_each
        self._read = read
        self._contract_version = contract_version
        self._load_id = load_id
        self._clock = clock
        self.longest_s = 0.0

    def write(
        self, components: Iterator[_Item], *, progress: Callable[[int], None]
    ) -> tuple[Counter[Outcome], list[int]]:
        """Store the components; return what the records met, and the positions left to be resolved.

        Args:
            progress: told the number of records after each slice.
        """
        outcomes: Counter[Outcome] = Counter()
        left_over: list[int] = []
        size = [_FIRST_SLICE]
        target_s = _POSTGRES_SLICE_S if self._store.is_postgres else _SQLITE_SLICE_S
        batches = _iter_batches(components, size)
        with ThreadPoolExecutor(max_workers=1) as thread:
            ready = self._make_ready(next(batches, []))
            while ready.record_count or ready.left:
                writing = thread.submit(self._write_timed, ready)
                following = self._make_ready(next(batches, []))
                met, left, taken = writing.result()
                self.longest_s = max(self.longest_s, taken)
                outcomes.update(met)
                left_over.extend(left)
                left_over.extend(ready.left)
                count = ready.record_count
                progress(count - len(left))
                size[0] = max(
                    _SLICE_RECORDS_MIN,
                    min(_SLICE_RECORDS_MAX, int(max(count, 1) * min(2.0, target_s / max(taken, 1e-4)))),
                )
                if not self._store.is_postgres:
                    time.sleep(taken * _PAUSE_SHARE)  # lets waiting writers in: SQLite's lock knows no queue
                ready = following
        return outcomes, left_over

    # -- outside the lock -------------------------------------------------------------------------------

    def _make_ready(self, batch: Sequence[_Item]) -> _Slice:
        groups = [one for one in batch if isinstance(one, JoinedGroup)]
        joins: list[PartedJoin] = []
        left: list[int] = []
        contracts: dict[str, tuple[int, bool]] = {}
        if groups:
            with self._store.inspect() as tx:
                contracts = tx.read_contracts_in_force()
                joins, left = part_groups(
                    tx,
                    groups,
                    self._new,
                    partitioner=self._matcher.partitioner,
                    one_each=self._one_each(),
                    sealer=self._store.sealer,
                )
        placed = [one for one in batch if isinstance(one, Placed)]
        places = [at for one in placed for cluster in one.clusters for at in cluster]
        places.extend(at for join in joins for at in join.places)
        return _Slice(placed, joins, left, contracts, self._seal(places) if places else None)

    def _seal(self, places: list[int]) -> SealedRows:
        rows = self._read(np.array(places, dtype=np.int64))
        seal = self._store.sealer.seal_record
        plain = zip(rows["statement"].to_pylist(), rows["profile"].to_pylist(), strict=True)
        sealed = [seal(statement, profile) for statement, profile in plain]
        data_keys, statements, profiles = (
            pa.array(column, pa.binary()) for column in zip(*sealed, strict=True)
        )
        return SealedRows(
            {place: row for row, place in enumerate(places)},
            rows.drop_columns(["statement", "profile"]),
            data_keys,
            statements,
            profiles,
        )

    # -- under the lock ---------------------------------------------------------------------------------

    def _write_timed(self, ready: _Slice) -> tuple[Counter[Outcome], list[int], float]:
        if ready.sealed is None:
            return Counter(), [], 0.0
        started = time.perf_counter()
        met, left = patiently(partial(self._write_slice, ready, ready.sealed))
        return met, left, time.perf_counter() - started

    def _write_slice(self, ready: _Slice, sealed: SealedRows) -> tuple[Counter[Outcome], list[int]]:
        numbers = self._new.profile_of[np.fromiter(sealed.at, np.int64, len(sealed.at))]
        pids_before = self._writer.pids[numbers]
        try:
            with self._store.write() as tx:
                tx.lock_whole()
                self._require_running(tx)
                placed, joins = self._find_kept(tx, ready, sealed)
                plain = [join for join in joins if not join.merges_or_splits]
                customers, stored = self._writer.write(tx, sealed, placed, plain)
                moving = [join for join in joins if join.merges_or_splits]
                moved = self._mover.write(tx, moving, self._writer)
                tx.update_rows("record_load", ("id",), ("beat_at",), [(self._load_id, self._clock())])
        except BaseException:
            self._writer.pids[numbers] = pids_before
            raise
        outcomes = Counter(moved.values())
        outcomes[Outcome.ISSUED] += customers
        outcomes[Outcome.LINKED] += len(stored) - customers
        return outcomes, sorted(sealed.at.keys() - moved.keys() - set(stored))

    def _require_running(self, tx: SqlTransaction) -> None:
        load = tables.record_load
        state = tx.connection.scalar(select(load.c.state).where(load.c.id == self._load_id))
        if state != "running":
            raise LoadTakenOver("This load was taken for broken off by another process; run it again.")

    def _find_kept(
        self, tx: SqlTransaction, ready: _Slice, sealed: SealedRows
    ) -> tuple[list[Placed], list[PartedJoin]]:
        """Return the components that can be stored as they were foreseen."""
        contracts, model_version = tx.at_once(tx.ask_contracts_in_force(), tx.ask_active_model())
        if (
            contracts.get(self._new.source) != (self._contract_version, False)
            or model_version != self._matcher.version
        ):
            return [], []  # read by another contract, or foreseen under another model: anew, one by one
        taken = self._find_taken(tx, sealed)
        joins = ready.joins if contracts == ready.contracts else []
        if joins:
            joins = find_unchanged(tx, joins)
        if taken:
            joins = [one for one in joins if taken.isdisjoint(one.places)]
        placed = ready.placed
        if taken:
            placed = [one for one in placed if taken.isdisjoint(at for part in one.clusters for at in part)]
        return placed, joins

    def _find_taken(self, tx: SqlTransaction, sealed: SealedRows) -> set[int]:
        """Return the positions that a slice must not store: somebody else was there first, or they are stale."""
        places = list(sealed.at)
        refs = {RecordRef(self._new.source, self._new.keys[at]): at for at in places}
        taken = {refs[ref] for ref in tx.read_records(list(refs))}
        taken.update(self._find_named(tx, refs))
        (floors,) = tx.at_once(tx.ask_floors())
        if floor := floors.get(self._new.source):  # what a truncation of the source made stale
            versions = zip(places, sealed.rows["version"].to_pylist(), strict=True)
            taken.update(at for at, version in versions if version is not None and version < floor)
        digests = sealed.rows["profile_digest"].to_pylist()
        numbers = self._new.profile_of[np.array(places, dtype=np.int64)]
        known = self._writer.pids[numbers]
        found = {bytes(digest): pid for digest, pid in tx.find_pids(set(digests)).items()}
        # A profile that an earlier slice stored may have been taken away again, and stored again by somebody else.
        lost = {
            number
            for number, digest, pid in zip(numbers.tolist(), digests, known.tolist(), strict=True)
            if found.get(digest, 0) != pid
        }
        if lost:
            taken.update(at for at in places if int(self._new.profile_of[at]) in lost)
        return taken

    def _find_named(self, tx: SqlTransaction, refs: Mapping[RecordRef, int]) -> set[int]:
        """Return the positions of records that a judgement or a statement names."""
        named = tables.named_ref.c.ref_hash
        hashes = set(tx.connection.scalars(select(named).limit(_NAMES_LISTED_MAX)))
        if not hashes:
            return set()
        hash_ref = self._store.sealer.ref_hash
        by_hash = {hash_ref(ref): at for ref, at in refs.items()}
        if len(hashes) >= _NAMES_LISTED_MAX:
            hashes = {row.ref_hash for row in tx.find_named(list(by_hash))}
        return {by_hash[one] for one in hashes & by_hash.keys()}


def _iter_batches(components: Iterator[_Item], size: Sequence[int]) -> Iterator[list[_Item]]:
    """Gather components until they hold as many records as `size[0]`, which changes from slice to slice."""
    batch: list[_Item] = []
    gathered = 0
    for component in components:
        batch.append(component)
        if isinstance(component, JoinedGroup):
            gathered += len(component.places)
        else:
            gathered += sum(map(len, component.clusters))
        if gathered >= size[0]:
            yield batch
            batch, gathered = [], 0
    if batch:
        yield batch
