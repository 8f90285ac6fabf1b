"""Load a file of statements: the new records in bulk, everything else as one by one, to one partition.

 1. Prepare every row in several processes (`preparing`); nothing is stored yet.
 2. Tell new records from the rest: keys stored already, repeated in the file, withdrawals, statements with
    a `same_as` or alternate keys.
 3. With many new records: foresee their components and clusters (`foresee`), note as unsettled what would
    have to be looked at again if the load broke off, and store them in slices (`slices`).
 4. Resolve the rest in file order, like any statement.
 5. Settle what live writes and keys that crossed the limit have left unsettled.

Invariant: safe to run again: what is stored already is unchanged, a load that broke off is completed by
running it again, and until then its unsettled keys and records are settled by whoever serves the store.
Elsewhere: the command (`service.cli`), reading files (`streams`).
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson
import pyarrow as pa
from sqlalchemy import delete, insert, select, update

from identity.bulk.foresee import Foreseen, NewRecords, StoredHolders, foresee
from identity.bulk.preparing import PREPARED_COLUMNS, PreparingSetup, RowError, StatementSource, iter_prepared
from identity.bulk.slices import SliceWriter, StoredStatement
from identity.errors import SourceRetired, WithdrawalsRefused
from identity.model import (
    Cause,
    CauseKind,
    Cid,
    CidTarget,
    Instant,
    KeyStatus,
    Outcome,
    RecordAnswer,
    RecordCommand,
    RecordRef,
    SameAs,
)
from identity.store_sql import tables

if TYPE_CHECKING:
    from identity.contract import SourceContract
    from identity.service import Identity

__all__ = ["LoadReport", "LoadRequest", "load_records"]

_BULK_RECORDS_MIN: Final = 5_000
"""Below this one by one is faster than starting the bulk engine."""
_BATCH: Final = 200
_SETTLE_BATCH: Final = 1_000
_WAIT_S: Final = 0.5
_STATEMENT_COLUMNS: Final = (
    "version",
    "effective_at",
    "statement",
    "digest",
    "profile",
    "profile_digest",
    "hashes",
)


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load and how."""

    source: str
    statements: StatementSource
    load_id: str
    author: str
    snapshot: bool = False
    withdraw_max: float = 0.05
    processes: int = 2
    memory_limit_mb: int = 1_500
    on_error: Callable[[RowError], None] = lambda _error: None
    on_progress: Callable[[str, int, int | None], None] = lambda _step, _done, _total: None


@dataclass(slots=True)
class LoadReport:
    """What a load did."""

    rows: int = 0
    rejected: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    customers_issued: int = 0
    candidates: int = 0
    longest_slice_s: float = 0.0


class _Rows:
    """The prepared rows of a load, by position in the file."""

    def __init__(self, prepared: pa.Table, profiles: pa.Table) -> None:
        self.count = prepared.num_rows
        self.profiles = profiles
        self.keys: list[str] = prepared["key"].to_pylist()
        self.is_plain = prepared["is_plain"].to_numpy(zero_copy_only=False)
        self.table = prepared.combine_chunks()
        self._plain_places = np.cumsum(self.is_plain) - 1

    def take_profiles(self, positions: Sequence[int]) -> pa.Table:
        """Return the tabulated profiles of plain rows."""
        return self.profiles.take(pa.array(self._plain_places[np.asarray(positions)], pa.int64()))

    def read_many(self, positions: Sequence[int]) -> list[StoredStatement]:
        """Return what is stored of the rows at these positions."""
        taken = self.table.take(pa.array(positions, pa.int64()))
        return [
            StoredStatement(*values)
            for values in zip(*(taken[name].to_pylist() for name in _STATEMENT_COLUMNS), strict=True)
        ]


def load_records(
    identity: Identity,
    request: LoadRequest,
    *,
    clock: Callable[[], Instant],
    new_cid: Callable[[Instant], Cid],
) -> LoadReport:
    """Load a file; return what it did. Rows that are refused are told to `on_error`; all others are stored.

    Raises:
        SourceUnknown, SourceRetired: there is no such source to load into.
        FileRefused (of `streams`): the file cannot be read at all; nothing is stored.
        WithdrawalsRefused: a snapshot would withdraw too large a share; nothing is stored.
    """
    return _Load(identity, request, clock, new_cid).run()


class _Load:
    def __init__(
        self,
        identity: Identity,
        request: LoadRequest,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._identity = identity
        self._store = identity.store
        self._request = request
        self._clock = clock
        self._new_cid = new_cid
        self._cause = Cause(CauseKind.LOAD, request.load_id)
        self._report = LoadReport()
        entry = identity.contracts.get(request.source)
        if entry.is_retired:
            raise SourceRetired(f"Source {request.source} is retired and takes no statements.")
        self._contract: SourceContract = entry.contract

    def run(self) -> LoadReport:
        rows = self._prepare()
        stored = self._find_stored()
        withdrawals = self._find_withdrawals(rows) if self._request.snapshot else []
        first: dict[str, int] = {}
        for at, key in enumerate(rows.keys):
            first.setdefault(key, at)
        new = [at for key, at in first.items() if rows.is_plain[at] and key not in stored]
        if len(new) < _BULK_RECORDS_MIN:
            new = []
        left = self._load_new(rows, new) if new else []
        done = set(new).difference(left)
        rest = [at for at in range(rows.count) if at not in done]
        self._resolve_rest(rows, rest, stored)
        commands = [(0, self._withdrawal(*one)) for one in withdrawals]
        for start in range(0, len(commands), _BATCH):
            self._resolve(commands[start : start + _BATCH])
        self._settle()
        return self._report

    # -- steps 1 and 2 ----------------------------------------------------------------------------------

    def _prepare(self) -> _Rows:
        request = self._request
        setup = PreparingSetup(
            request.statements,
            self._contract.name,
            self._contract.version,
            dict(self._contract.document),
            self._identity.resolver.model.document,
            self._store.sealer.store_key,
        )
        parts = [PREPARED_COLUMNS.empty_table()]
        profiles: list[pa.Table] = []
        for chunk in iter_prepared(setup, processes=request.processes):
            parts.append(chunk.rows)
            profiles.append(chunk.profiles)
            for error in chunk.errors:
                request.on_error(error)
            self._report.rejected += len(chunk.errors)
            self._report.rows += chunk.rows.num_rows + len(chunk.errors)
            request.on_progress("prepare", self._report.rows, None)
        return _Rows(pa.concat_tables(parts), pa.concat_tables(profiles) if profiles else pa.table({}))

    def _find_stored(self) -> dict[str, tuple[bytes, int | None, str]]:
        """Return digest, version and status of each key that is stored already."""
        record = tables.record
        found: dict[str, tuple[bytes, int | None, str]] = {}
        with self._store.read() as connection:
            query = select(
                record.c.key, record.c.digest, record.c.version, record.c.status, record.c.contract_version
            )
            query = query.where(record.c.source == self._request.source)
            for key, digest, version, status, contract_version in connection.execute(
                query.execution_options(yield_per=10_000)
            ):
                is_current = contract_version == self._contract.version
                found[key] = (bytes(digest) if is_current else b"", version, status)
        return found

    def _find_withdrawals(self, rows: _Rows) -> list[tuple[str, int | None, Instant | None]]:
        record = tables.record
        stated = set(rows.keys)
        with self._store.read() as connection:
            live = connection.execute(
                select(record.c.key, record.c.version, record.c.effective_at)
                .where(record.c.source == self._request.source, record.c.status == KeyStatus.LIVE.value)
                .order_by(record.c.key)
            ).all()
        absent = [(key, version, effective_at) for key, version, effective_at in live if key not in stated]
        if live and len(absent) > self._request.withdraw_max * len(live):
            raise WithdrawalsRefused(
                f"The snapshot lacks {len(absent)} of {len(live)} live records of source {self._request.source}, more "
                f"than {self._request.withdraw_max:.0%}. If that is right, say so with --withdraw-max."
            )
        return absent

    def _withdrawal(self, key: str, version: int | None, effective_at: Instant | None) -> RecordCommand:
        """Return the withdrawal of a record that a snapshot lacks: newer than what is held, whatever that is."""
        return RecordCommand(
            RecordRef(self._request.source, key),
            None,
            version=version,
            effective_at=effective_at,
            author=self._request.author,
            cause=self._cause,
        )

    # -- step 3 -----------------------------------------------------------------------------------------

    def _load_new(self, rows: _Rows, positions: list[int]) -> list[int]:
        """Store new records in bulk; return the positions left to be resolved one by one."""
        self._begin()
        new = self._gather(rows, positions)
        stored = self._read_stored_holders(new)
        partitioner = self._identity.resolver.partitioner
        one_each = [self._contract.name] if self._contract.one_per_customer else []
        self._request.on_progress("match", 0, len(positions))
        with tempfile.TemporaryDirectory(prefix="sameas-load-") as folder:
            foreseen = foresee(
                new,
                stored,
                partitioner=partitioner,
                hash_key=self._store.sealer.blocking_hash_key,
                one_each=one_each,
                memory_limit_mb=self._request.memory_limit_mb,
                temp_dir=Path(folder),
            )
        self._report.candidates = foreseen.candidate_count
        self._note_crossing(new, stored)
        writer = SliceWriter(
            self._store,
            new,
            read=lambda places: rows.read_many([positions[at] for at in places]),
            contract_version=self._contract.version,
            author=self._request.author,
            cause=self._cause,
            load_id=self._request.load_id,
            clock=self._clock,
            new_cid=self._new_cid,
        )
        stored_count = 0

        def progress(count: int) -> None:
            nonlocal stored_count
            stored_count += count
            self._request.on_progress("store", stored_count, len(positions))

        customers, left = writer.write(_iter_placed(foreseen), progress=progress)
        self._report.customers_issued += customers
        self._report.outcomes[Outcome.ISSUED.value] += customers
        self._report.outcomes[Outcome.LINKED.value] += stored_count - customers
        self._report.longest_slice_s = writer.longest_s
        self._set_state("settling")
        return [positions[at] for at in (*foreseen.touched.tolist(), *left)]

    def _gather(self, rows: _Rows, positions: list[int]) -> NewRecords:
        digests = rows.table["profile_digest"].to_pylist()
        numbers: dict[bytes, int] = {}
        firsts: list[int] = []
        profile_of = np.empty(len(positions), dtype=np.int64)
        for place, at in enumerate(positions):
            number = numbers.setdefault(digests[at], len(firsts))
            if number == len(firsts):
                firsts.append(at)
            profile_of[place] = number
        picked = rows.table.take(pa.array(firsts, pa.int64()))
        return NewRecords(
            source=self._request.source,
            keys=[rows.keys[at] for at in positions],
            profile_of=profile_of,
            profiles=picked["profile"].to_pylist(),
            table=rows.take_profiles(firsts),
            hashes=picked["hashes"].combine_chunks(),
        )

    def _read_stored_holders(self, new: NewRecords) -> StoredHolders:
        """Read who holds the new records' blocking keys in the store already."""
        stored = StoredHolders()
        limit = self._identity.resolver.model.holders_max
        with self._store.inspect() as tx:
            if not tx.connection.scalar(select(tables.profile.c.pid).limit(1)):
                return stored
            keys = new.count_keys()[0].tolist()
            for start in range(0, len(keys), 20_000):
                held = tx.read_holders(keys[start : start + 20_000], limit=limit + 1)
                for key, pids in held.items():
                    stored.counts[key] = len(pids)
                    if len(pids) <= limit:
                        stored.pids[key] = pids
            wanted = sorted({pid for pids in stored.pids.values() for pid in pids})
            for start in range(0, len(wanted), 20_000):
                stored.profiles.update(tx.read_profiles(wanted[start : start + 20_000]))
        return stored

    def _begin(self) -> None:
        """Mark the load as running, once no other is; from now on live writes note what they touch."""
        while not self._try_begin():
            self._identity.settle_some(limit=0)  # takes over a load that broke off
            time.sleep(_WAIT_S)

    def _try_begin(self) -> bool:
        load = tables.record_load
        now = self._clock()
        with self._store.write() as tx:
            tx.lock_whole()
            if tx.is_load_running():
                return False
            tx.connection.execute(
                insert(load).values(
                    id=self._request.load_id,
                    source=self._request.source,
                    author=self._request.author,
                    started_at=now,
                    state="running",
                    holder=f"{socket.gethostname()}:{os.getpid()}",
                    beat_at=now,
                )
            )
        return True

    def _note_crossing(self, new: NewRecords, stored: StoredHolders) -> None:
        """Note what is unsettled if the load breaks off, and what the load itself unsettles."""
        limit = self._identity.resolver.model.holders_max
        keys, counts = new.count_keys()
        crossing = [
            key
            for key, count in zip(keys.tolist(), counts.tolist(), strict=True)
            if count + stored.counts.get(key, 0) > limit
        ]
        pids = {pid for key in crossing for pid in stored.pids.get(key, ())}
        with self._store.write() as tx:
            tx.lock_whole()
            tx.insert_rows("unsettled", [("load-key", key) for key in crossing])
            holders = tx.read_records_of_profiles(pids) if pids else []
            tx.add_unsettled([("record", row.rid) for row in holders])

    # -- steps 4 and 5 ----------------------------------------------------------------------------------

    def _resolve_rest(
        self, rows: _Rows, rest: Sequence[int], stored: dict[str, tuple[bytes, int | None, str]]
    ) -> None:
        """Resolve rows in file order; one that says again what is stored is not even tried."""
        digests = rows.table["digest"].to_pylist() if rest else []
        versions = rows.table["version"].to_pylist() if rest else []
        numbers = rows.table["row"].to_pylist() if rest else []
        seen: set[str] = set()
        for start in range(0, len(rest), _BATCH):
            told: list[int] = []
            for at in rest[start : start + _BATCH]:
                key = rows.keys[at]
                held = stored.get(key)
                if key not in seen and held is not None and held[:2] == (digests[at], versions[at]):
                    self._report.outcomes[Outcome.UNCHANGED.value] += 1
                else:
                    told.append(at)
                seen.add(key)
            statements = zip(told, rows.read_many(told), strict=True)
            self._resolve([(numbers[at], self._command(rows.keys[at], one)) for at, one in statements])
            self._request.on_progress("resolve", min(start + _BATCH, len(rest)), len(rest))

    def _command(self, key: str, one: StoredStatement) -> RecordCommand:
        statement = orjson.loads(one.statement) if one.statement is not None else None
        return RecordCommand(
            ref=RecordRef(self._request.source, key),
            attributes=None if statement is None else statement["attributes"],
            version=one.version,
            effective_at=one.effective_at,
            alternate_keys={} if statement is None else statement["alternate_keys"],
            same_as=None if statement is None else _read_same_as(statement["same_as"]),
            author=self._request.author,
            cause=self._cause,
        )

    def _resolve(self, batch: list[tuple[int, RecordCommand]]) -> None:
        answers = self._identity.resolve([command for _, command in batch])
        for (row, _), answer in zip(batch, answers, strict=True):
            if isinstance(answer, RecordAnswer):
                self._report.outcomes[answer.outcome.value] += 1
                self._report.customers_issued += answer.outcome is Outcome.ISSUED
            else:
                self._report.rejected += 1
                self._request.on_error((row, answer.code, answer.detail))

    def _settle(self) -> None:
        self._set_state("done")
        total = self._identity.unsettled()
        left = total
        while left:
            left = self._identity.settle_some(limit=_SETTLE_BATCH)
            self._request.on_progress("settle", total - left, total)

    def _set_state(self, state: str) -> None:
        """Say how far the load is; once its slices are stored, what only a broken-off load leaves is settled."""
        load, unsettled = tables.record_load, tables.unsettled
        with self._store.write() as tx:
            tx.lock_whole()
            ended_at = self._clock() if state == "done" else None
            tx.connection.execute(
                update(load).where(load.c.id == self._request.load_id).values(state=state, ended_at=ended_at)
            )
            tx.connection.execute(delete(unsettled).where(unsettled.c.kind == "load-key"))


def _iter_placed(foreseen: Foreseen) -> Iterator[tuple[int, list[list[int]]]]:
    for component in foreseen.components:
        yield component.level, [[node.rid for node in cluster] for cluster in component.clusters]
    for at in foreseen.singles.tolist():
        yield 0, [[at]]


def _read_same_as(stated: Sequence[str] | None) -> SameAs | None:
    if stated is None:
        return None
    return CidTarget(Cid(stated[0])) if len(stated) == 1 else RecordRef(*stated)
