"""Store what a load has foreseen, in slices that each take the store for a moment.

Invariants: a slice is one transaction and holds whole components, so that a crash leaves a store in which
every record has its CID and its history; nobody waits longer than one slice. What somebody else stored
meanwhile is never overwritten: a component of which a record or profile is there by now is left to be
resolved one by one.
Elsewhere: what was foreseen (`identity.bulk.foresee`), live writes beside it (`identity.effects`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from identity.bulk.prepared_rows import StoredStatement
from identity.errors import StoreBusy
from identity.model import FOREVER, Cause, Cid, CidStatus, EventType, Instant, KeyStatus, RecordRef
from identity.store import Row
from identity.store_sql import tables
from identity.store_sql.sealing import Sealer

if TYPE_CHECKING:
    from identity.bulk.foresee import NewRecords
    from identity.store_sql.opening import SqlStore
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["LoadTakenOver", "SliceWriter", "StatementReader"]

_FIRST_SLICE: Final = 200
_SQLITE_SLICE_S: Final = 0.08
_POSTGRES_SLICE_S: Final = 0.6
_PAUSE_SHARE: Final = 0.1
_SLICE_RECORDS_MIN: Final = 50
_SLICE_RECORDS_MAX: Final = 20_000


StatementReader = Callable[[Sequence[int]], list[StoredStatement]]
"""Gives the statements of new records by their positions."""

_Placed = tuple[int, list[list[int]]]
"""A component: its level and its clusters, each a list of positions."""
_Written = tuple[int, list[int]]
"""How many customers a slice made, and the positions it left to be resolved."""


class LoadTakenOver(StoreBusy):
    """Another process took the load for broken off, and has settled what it had stored."""


class SliceWriter:
    """Writes foreseen components; sizes its slices by how long the last one took."""

    def __init__(
        self,
        store: SqlStore,
        new: NewRecords,
        *,
        read: StatementReader,
        contract_version: int,
        author: str,
        cause: Cause,
        load_id: str,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
        patiently: Callable[[Callable[[], _Written]], _Written] = lambda call: call(),
    ) -> None:
        self._store = store
        self._patiently = patiently
        self._new = new
        self._read = read
        self._contract_version = contract_version
        self._author = author
        self._cause = cause
        self._load_id = load_id
        self._clock = clock
        self._new_cid = new_cid
        self._pids: dict[int, int] = {}
        self._rows: dict[str, list[Row]] = {}
        self.longest_s = 0.0

    def write(
        self, components: Iterator[_Placed], *, progress: Callable[[int], None]
    ) -> tuple[int, list[int]]:
        """Store the components; return how many customers they make, and the positions left to be resolved.

        Args:
            progress: told the number of records after each slice.
        """
        customers = 0
        left_over: list[int] = []
        size = [_FIRST_SLICE]
        target_s = _POSTGRES_SLICE_S if self._store.is_postgres else _SQLITE_SLICE_S
        for batch in _iter_batches(components, size):
            started = time.perf_counter()
            made, left = self._patiently(partial(self._write_slice, batch))
            taken = time.perf_counter() - started
            self.longest_s = max(self.longest_s, taken)
            customers += made
            left_over.extend(left)
            record_count = sum(len(cluster) for _, clusters in batch for cluster in clusters)
            progress(record_count - len(left))
            size[0] = max(
                _SLICE_RECORDS_MIN,
                min(_SLICE_RECORDS_MAX, int(record_count * min(2.0, target_s / max(taken, 1e-4)))),
            )
            if not self._store.is_postgres:
                time.sleep(taken * _PAUSE_SHARE)  # lets waiting writers in: SQLite's lock knows no queue
        return customers, left_over

    def _write_slice(self, batch: list[_Placed]) -> tuple[int, list[int]]:
        places = [at for _, clusters in batch for cluster in clusters for at in cluster]
        statements = dict(zip(places, self._read(places), strict=True))
        prepared = self._seal(statements)
        pids_known = len(self._pids)
        try:
            with self._store.write() as tx:
                tx.lock_whole()
                self._require_running(tx)
                taken = self._find_taken(tx, statements) if self._is_contract_in_force(tx) else set(places)
                kept = [one for one in batch if taken.isdisjoint(at for cluster in one[1] for at in cluster)]
                left = (
                    [at for one in batch if one not in kept for cluster in one[1] for at in cluster]
                    if taken
                    else []
                )
                customers = self._build(tx, kept if taken else batch, statements, prepared)
                for table, rows in self._rows.items():
                    tx.insert_rows(table, rows)
                tx.update_rows("record_load", ("id",), ("beat_at",), [(self._load_id, self._clock())])
        except BaseException:
            self._pids = dict(islice(self._pids.items(), pids_known))
            raise
        finally:
            self._rows = {}
        return customers, left

    def _require_running(self, tx: SqlTransaction) -> None:
        load = tables.record_load
        state = tx.connection.scalar(select(load.c.state).where(load.c.id == self._load_id))
        if state != "running":
            raise LoadTakenOver("This load was taken for broken off by another process; run it again.")

    def _seal(self, statements: dict[int, StoredStatement]) -> dict[int, tuple[bytes, bytes, bytes]]:
        """Return (wrapped data key, sealed statement, sealed profile) of each record, outside the lock."""
        sealer: Sealer = self._store.sealer
        sealed = {}
        for at, one in statements.items():
            assert one.statement is not None
            data_key, wrapped = sealer.new_data_key()
            sealed[at] = (wrapped, sealer.seal(data_key, one.statement), sealer.seal(data_key, one.profile))
        return sealed

    def _find_taken(self, tx: SqlTransaction, statements: dict[int, StoredStatement]) -> set[int]:
        """Return the positions whose record, name or profile somebody else stored meanwhile."""
        refs = {RecordRef(self._new.source, self._new.keys[at]): at for at in statements}
        taken = {refs[ref] for ref in tx.read_records(list(refs))}
        hash_ref = self._store.sealer.ref_hash
        by_hash = {hash_ref(ref): at for ref, at in refs.items()}
        taken.update(by_hash[row.ref_hash] for row in tx.find_named(list(by_hash)))
        unknown = {
            one.profile_digest: at
            for at, one in statements.items()
            if int(self._new.profile_of[at]) not in self._pids
        }
        numbers = {
            int(self._new.profile_of[unknown[bytes(digest)]]) for digest in tx.find_pids(list(unknown))
        }
        numbers |= self._find_vanished(tx, statements)
        if numbers:
            taken.update(at for at in statements if int(self._new.profile_of[at]) in numbers)
        return taken

    def _find_vanished(self, tx: SqlTransaction, statements: Mapping[int, StoredStatement]) -> set[int]:
        """Return the profiles that an earlier slice stored and that somebody took away again."""
        known = {
            number: one.profile_digest
            for at, one in statements.items()
            if (number := int(self._new.profile_of[at])) in self._pids
        }
        found = {bytes(digest): pid for digest, pid in tx.find_pids(list(known.values())).items()}
        return {number for number, digest in known.items() if found.get(digest) != self._pids[number]}

    def _is_contract_in_force(self, tx: SqlTransaction) -> bool:
        """Tell whether the rows were read by the contract that is in force; else they are read again, one by one."""
        return tx.read_contracts_in_force().get(self._new.source) == (self._contract_version, False)

    def _build(
        self,
        tx: SqlTransaction,
        batch: list[_Placed],
        statements: dict[int, StoredStatement],
        sealed: dict[int, tuple[bytes, bytes, bytes]],
    ) -> int:
        record_count = sum(len(cluster) for _, clusters in batch for cluster in clusters)
        ids = iter(tx.new_ids(4 * record_count + len(batch)))
        system_at = tx.tick(self._clock())
        customers = 0
        for level, clusters in batch:
            component_id = next(ids)
            for cluster in clusters:
                cid = self._new_cid(system_at)
                customers += 1
                self._table("cid_state").append((cid, system_at, FOREVER, CidStatus.LIVE.value, None))
                for place, at in enumerate(cluster):
                    kind = EventType.ISSUED if place == 0 else EventType.LINKED
                    self._build_record(
                        at, statements[at], sealed[at], ids=ids, component=(component_id, level), cid=cid, kind=kind,
                        system_at=system_at,
                    )  # fmt: skip
        return customers

    def _build_record(
        self,
        at: int,
        one: StoredStatement,
        sealed: tuple[bytes, bytes, bytes],
        *,
        ids: Iterator[int],
        component: tuple[int, int],
        cid: Cid,
        kind: EventType,
        system_at: Instant,
    ) -> None:
        wrapped, sealed_statement, sealed_profile = sealed
        rid, vid = next(ids), next(ids)
        number = int(self._new.profile_of[at])
        pid = self._pids.get(number)
        if pid is None:
            pid = self._pids[number] = next(ids)
            self._table("profile").append((pid, one.profile_digest))
            self._table("blocking_key").extend((key, pid) for key in one.hashes)
        valid_from = one.effective_at if one.effective_at is not None else system_at
        self._table("record").append(
            (rid, self._new.source, self._new.keys[at], pid, *component, cid, KeyStatus.LIVE.value, vid, one.version,
             one.effective_at, one.digest, self._contract_version, 1, valid_from, valid_from, system_at, False, wrapped)
        )  # fmt: skip
        self._table("record_version").append(
            (vid, rid, one.version, one.effective_at, system_at, FOREVER, one.digest, self._contract_version,
             self._author, sealed_statement, sealed_profile)
        )  # fmt: skip
        cause = (self._cause.kind.value, self._cause.ref)
        self._table("crosswalk_history").append(
            (rid, system_at, valid_from, FOREVER, FOREVER, cid, KeyStatus.LIVE.value, *cause)
        )
        self._table("event").append((system_at, next(ids), kind.value, rid, cid, None, 1, valid_from, *cause))
        if component[1] > 0:
            # It stands so because of how much is linked to it; that may be in a slice that never comes.
            self._table("unsettled").append(("load-record", rid))

    def _table(self, name: str) -> list[Row]:
        return self._rows.setdefault(name, [])


def _iter_batches(components: Iterator[_Placed], size: Sequence[int]) -> Iterator[list[_Placed]]:
    """Gather components until they hold as many records as `size[0]`, which changes from slice to slice."""
    batch: list[_Placed] = []
    gathered = 0
    for component in components:
        batch.append(component)
        gathered += sum(map(len, component[1]))
        if gathered >= size[0]:
            yield batch
            batch, gathered = [], 0
    if batch:
        yield batch
