"""Work off what is unsettled: records to read again under a new contract, keys and records to resolve again.

Invariant: a row of `unsettled` goes in the transaction that settles it, so a crash loses none; while rows
are left the store says so (`/readyz`, metric), because until then the partition may lag behind the rules.
Elsewhere: who writes such rows: a new contract (`identity.service`), a bulk load (`identity.bulk`).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final

from sqlalchemy import Connection, func, select, update

from identity.change import Seeds
from identity.contract import SourceContract
from identity.contract_book import ContractBook
from identity.model import Cause, CauseKind, Instant, RecordCommand, RecordRef, SameAs
from identity.prepare import PreparedCommand, StoredStatement
from identity.resolve import Resolver
from identity.scoring_models import ModelBook
from identity.store import RecordRow
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError

__all__ = ["LOADS_HERE", "LOAD_STATES_ACTIVE", "Settler"]

_BATCH: Final = 100
_MATES_MAX: Final = 1_000
_NOTES_BATCH: Final = 2_000
_BATCH_S: Final = 0.1
_CALL_S: Final = 0.5
_PAUSE_SHARE: Final = 0.5
_BEAT_MAX_US: Final = 900_000_000
_HOLDERS_EXTRA: Final = 100
"""So many profiles may come to hold a key while it is locked to be settled."""
_HOLDERS_ALL: Final = 2**31 - 1
_LOAD_KINDS: Final = ("load-key", "load-record")
LOADS_HERE: Final[set[str]] = set()
"""The loads that run in this process; one of this process that is not among them broke off."""
LOAD_STATES_ACTIVE: Final = ("running", "settling", "releasing")
"""A load stores slices, then resolves the rest; one that broke off is released by who took it over."""


class Settler:
    """Settles in small transactions, so that live writes get in between."""

    def __init__(
        self,
        store: SqlStore,
        resolver: Resolver,
        contracts: ContractBook,
        models: ModelBook,
        *,
        clock: Callable[[], Instant],
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._contracts = contracts
        self._models = models
        self._clock = clock
        self._batch = 1

    def count(self) -> int:
        """Return how many keys and records are unsettled."""
        with self._store.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(tables.unsettled)) or 0)

    def settle_some(self, *, limit: int) -> int:
        """Settle up to `limit` rows, or for half a second; return how many are left.

        What a load that runs has unsettled is left to be settled when it ends: until then more comes in.
        """
        self._take_over_broken_loads()
        done = 0
        begun = time.perf_counter()
        while done < limit and time.perf_counter() - begun < _CALL_S:
            started = time.perf_counter()
            batch = self._settle_batch(min(self._batch, limit - done))
            if batch == 0:
                break
            done += batch
            taken = time.perf_counter() - started
            if not self._store.is_postgres:
                time.sleep(
                    min(taken, _BATCH_S) * _PAUSE_SHARE
                )  # lets waiting writers in: SQLite's lock knows no queue
            self._batch = max(1, min(_BATCH, int(batch * min(2.0, _BATCH_S / max(taken, 1e-4)))))
        return self.count()

    def is_held_up(self) -> bool:
        """Tell whether a load runs, so that what it unsettles waits for its end."""
        with self._store.read() as connection:
            return _is_load_running(connection)

    def forget_keys(self, keys: Collection[int]) -> None:
        """Forget that keys are unsettled which turned out to be none of a load's."""
        ids = sorted(keys)
        for start in range(0, len(ids), _NOTES_BATCH):
            with self._store.write() as tx:
                rows = [("key", key) for key in ids[start : start + _NOTES_BATCH]]
                tx.delete_rows("unsettled", ("kind", "id"), rows)

    def list_keys(self) -> list[int]:
        """Return the unsettled keys."""
        table = tables.unsettled
        with self._store.read() as connection:
            return list(connection.scalars(select(table.c.id).where(table.c.kind == "key")))

    def release_load(self, *, came_as_foreseen: bool) -> None:
        """Forget what a load noted for the case that it does not come as foreseen; what did not is unsettled.

        A key that is too common by now is as foreseen; whoever changes that parts its holders anew.

        Args:
            came_as_foreseen: True when every record that the load foresaw is stored as it foresaw it.
        """
        while keys := self._read_kind("load-key"):
            too_common = set(self._find_too_common(keys))
            with self._store.write() as tx:
                tx.add_unsettled([("key", key) for key in keys if key not in too_common])
                tx.delete_rows("unsettled", ("kind", "id"), [("load-key", key) for key in keys])
                tx.delete_rows("unsettled", ("kind", "id"), [("key", key) for key in sorted(too_common)])
        while rids := self._read_kind("load-record"):
            with self._store.write() as tx:
                if not came_as_foreseen:
                    tx.add_unsettled([("record", rid) for rid in rids])
                tx.delete_rows("unsettled", ("kind", "id"), [("load-record", rid) for rid in rids])

    def _read_kind(self, kind: str) -> list[int]:
        table = tables.unsettled
        with self._store.read() as connection:
            query = select(table.c.id).where(table.c.kind == kind).order_by(table.c.id).limit(_NOTES_BATCH)
            return list(connection.scalars(query))

    def _settle_batch(self, limit: int) -> int:
        table = tables.unsettled
        with self._store.read() as connection:
            kinds = select(table.c.kind).where(table.c.kind.not_in(_LOAD_KINDS))
            if _is_load_running(connection):
                kinds = kinds.where(table.c.kind == "contract")
            kind = connection.scalar(kinds.order_by(table.c.kind).limit(1))
            if kind is None:
                return 0
            ids = list(
                connection.scalars(
                    select(table.c.id).where(table.c.kind == kind).order_by(table.c.id).limit(limit)
                )
            )
        if kind == "key" and (too_common := self._find_too_common(ids)):
            self._unsettle_holders(too_common)
            return len(ids)
        settled = tuple((kind, one) for one in ids)
        commands: list[PreparedCommand] = []
        seeds = Seeds(settled=settled, cause=Cause(CauseKind.LOAD, "settle"))
        if kind == "key":
            seeds = Seeds(
                keys=frozenset(ids), settled=settled, cause=seeds.cause, holders_extra=_HOLDERS_EXTRA
            )
        else:
            with self._store.inspect() as tx:
                rows = tx.read_records_by_rid(ids)
                if kind == "record":  # a component is parted once for all of its records
                    mates = _list_unsettled_mates(tx, rows)
                    rows = [*rows, *tx.read_records_by_rid(mates.difference(ids))]
                    settled = tuple((kind, one) for one in mates.union(ids))
                if kind == "contract":
                    contracts = {
                        name: entry.contract for name, entry in self._contracts.read_current().items()
                    }
                    commands = [
                        one for row in rows if (one := self._read_again(tx, row, contracts)) is not None
                    ]
                    seeds = Seeds(settled=settled, cause=Cause(CauseKind.CONTRACT, ""))
                refs = frozenset(row.ref for row in rows if row.pid is not None)
            seeds = Seeds(refs=refs, settled=settled, cause=seeds.cause)
        answers = self._resolver.settle(commands, seeds)
        failed = [answer for answer in answers if isinstance(answer, SameasError)]
        if failed:
            raise failed[0]
        return len(ids)

    def _find_too_common(self, keys: list[int]) -> list[int]:
        """Return the keys that too many hold; a model under which any record is held stays the active one."""
        with self._store.inspect() as tx:
            limit = self._models.read_within(tx.connection).model.holders_max
            held = tx.read_holders(keys, limit=limit + 1)
        return [key for key in keys if len(held.get(key, ())) > limit]

    def _unsettle_holders(self, keys: list[int]) -> None:
        """Have the components of all holders of these keys parted again, each by itself: the keys join none."""
        with self._store.write() as tx:
            held = tx.read_holders(keys, limit=_HOLDERS_ALL)
            rows = tx.read_records_of_profiles({pid for pids in held.values() for pid in pids})
            tx.add_unsettled([("record", row.rid) for row in rows])
            tx.delete_rows("unsettled", ("kind", "id"), [("key", key) for key in keys])

    def _take_over_broken_loads(self) -> None:
        """Make what a load that broke off left behind ordinary unsettled keys and records."""
        load = tables.record_load
        with self._store.read() as connection:
            active = connection.execute(select(load).where(load.c.state.in_(LOAD_STATES_ACTIVE))).all()
        for row in active:
            if not self._is_broken(row.id, row.holder, row.beat_at):
                continue
            with self._store.write() as tx:
                tx.lock_whole()
                taken = tx.connection.execute(
                    update(load)
                    .where(load.c.id == row.id, load.c.state == row.state, load.c.holder == row.holder)
                    .values(state="releasing", holder=_holder(), beat_at=self._clock())
                )
            if taken.rowcount:
                self.release_load(came_as_foreseen=False)
                with self._store.write() as tx:
                    tx.lock_whole()
                    tx.connection.execute(update(load).where(load.c.id == row.id).values(state="failed"))

    def _is_broken(self, load_id: str, holder: str, beat_at: int) -> bool:
        if holder == _holder():
            return load_id not in LOADS_HERE
        host, _, process_id = holder.rpartition(":")
        if host == socket.gethostname():
            return not _is_process_alive(int(process_id))
        return beat_at < self._clock() - _BEAT_MAX_US

    def _read_again(
        self, tx: SqlTransaction, row: RecordRow, contracts: Mapping[str, SourceContract]
    ) -> PreparedCommand | None:
        """Return the record's current statement, read by the contract in force; None for a withdrawn one."""
        version = tx.read_version(row.vid)
        contract = contracts[row.source]
        if version.statement is None or row.contract_version == contract.version:
            return None
        attributes = version.statement["attributes"]
        alternate_keys = version.statement["alternate_keys"]
        assert isinstance(attributes, dict)
        assert isinstance(alternate_keys, dict)
        command = RecordCommand(
            ref=row.ref,
            attributes=attributes,
            version=contract.number_now(row.version, contract_version=row.contract_version),
            effective_at=row.effective_at,
            alternate_keys=alternate_keys,
            same_as=self._find_same_as(tx, row),
            author=version.author,
            cause=Cause(CauseKind.CONTRACT, f"{row.source}/{contract.version}"),
        )
        stored = StoredStatement(row.vid, bytes(row.digest), version.statement)
        return self._resolver.preparer.prepare_again(command, contract, stored=stored)

    @staticmethod
    def _find_same_as(tx: SqlTransaction, row: RecordRow) -> SameAs | None:
        """Return the record that the current statement's `same_as` was taken to name."""
        if not row.is_tied:
            return None
        for named in tx.find_stated([row.rid]):
            return named.ref
        for judgement in tx.read_judgements_stated_by([row.rid]):
            return next(RecordRef(*ref) for ref in (*judgement.left, *judgement.right) if ref != row.ref)
        return None


def _list_unsettled_mates(tx: SqlTransaction, rows: list[RecordRow]) -> set[int]:
    """Return the unsettled records, not too many, of the components that these records stand in."""
    record, table = tables.record, tables.unsettled
    components = {row.component_id for row in rows if row.component_id is not None}
    query = (
        select(table.c.id)
        .join(record, record.c.rid == table.c.id)
        .where(table.c.kind == "record", record.c.component_id.in_(components))
        .limit(_MATES_MAX)
    )
    return set(tx.connection.scalars(query))


def _is_load_running(connection: Connection) -> bool:
    load = tables.record_load
    return connection.scalar(select(load.c.id).where(load.c.state == "running").limit(1)) is not None


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_process_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
