"""What both SQL adapters share of a write transaction: the reads and the generic row writers.

Invariant: every statement runs on the driver's own cursor inside the SQLAlchemy connection's
transaction, so that low-rate statements in Core and hot ones in plain SQL commit together.
Elsewhere: what differs by dialect (`postgres`, `sqlite`), the meaning of each call (`identity.store`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final, TypeVar

import orjson
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.decide import VersionFacts
from identity.history import HistoryRow
from identity.model import FOREVER, Cid, CidStatus, Instant, JudgementClass, KeyStatus, RecordRef, Verdict
from identity.store import (
    CidRow,
    JudgementRow,
    NamedRow,
    Question,
    RecordRow,
    Row,
    SourcedProfile,
    VersionRow,
    known,
)
from identity.store_sql import tables
from identity.store_sql.sealing import Sealer
from matching.model import Profile, decode_profile

__all__ = ["RECORD_COLUMNS", "SELECT_ACTIVE_MODEL", "ProfileCache", "SqlTransaction", "open_version"]

_T = TypeVar("_T")

RECORD_COLUMNS: Final = ", ".join(RecordRow._fields)
SELECT_ACTIVE_MODEL: Final = "SELECT version FROM scoring_model WHERE is_active"
_VERSION_COLUMNS: Final = (
    "v.vid, v.rid, v.version, v.effective_at, v.known_at, v.superseded_at, v.digest, v.contract_version, v.author, "
    "v.sealed_statement, v.sealed_profile, r.data_key"
)
_SELECT_NAMED: Final = "SELECT ref_hash, judgement_id, stating_rid, source, key FROM named_ref"
_JUDGEMENT_COLUMNS: Final = "id, verdict, class, reason, author, stated_by_rid, system_from, system_to"


class ProfileCache:
    """Opened profiles by pid with their source; a pid never changes its content, so none is ever stale."""

    def __init__(self, profiles_max: int = 200_000) -> None:
        self._profiles_max = profiles_max
        self._profiles: dict[int, SourcedProfile] = {}

    def split(self, pids: Iterable[int]) -> tuple[dict[int, SourcedProfile], list[int]]:
        """Return the profiles at hand and the pids that have to be read."""
        found: dict[int, SourcedProfile] = {}
        missing: list[int] = []
        for pid in pids:
            profile = self._profiles.get(pid)
            if profile is None:
                missing.append(pid)
            else:
                found[pid] = profile
        return found, missing

    def keep(self, pid: int, profile: SourcedProfile) -> None:
        """Remember one profile; the whole cache is dropped when it is full."""
        if len(self._profiles) >= self._profiles_max:
            self._profiles.clear()
        self._profiles[pid] = profile


class SqlTransaction(ABC):
    """A write transaction on a SQL store; see `identity.store.WriteTransaction` for each call."""

    _any: ClassVar[str]
    _mark: ClassVar[str]

    def __init__(self, connection: Connection, *, sealer: Sealer, cache: ProfileCache) -> None:
        self.connection = connection
        self.sealer = sealer
        self._cache = cache
        self._cursor: Any = connection.connection.cursor()

    # -- what a dialect gives -------------------------------------------------------------------------

    @abstractmethod
    def _query(self, sql: str, *parameters: object) -> list[Any]: ...

    @abstractmethod
    def _list(self, values: Collection[Any]) -> object: ...

    @abstractmethod
    def _ask(
        self, sql: str, parameters: Sequence[object], decode: Callable[[list[Any]], _T]
    ) -> Question[_T]: ...

    @abstractmethod
    def at_once(self, *questions: Question[Any]) -> tuple[Any, ...]: ...

    @abstractmethod
    def ask_lock(self, hashes: Iterable[int]) -> Question[None]: ...

    @abstractmethod
    def ask_lock_components(self, component_ids: Iterable[int]) -> Question[None]: ...

    @abstractmethod
    def try_lock_components(self, component_ids: Iterable[int]) -> bool: ...

    @abstractmethod
    def lock_judgements(self) -> None: ...

    @abstractmethod
    def lock_whole(self) -> None: ...

    @abstractmethod
    def tick(self, now: Instant) -> Instant: ...

    @abstractmethod
    def new_ids(self, count: int) -> Sequence[int]: ...

    @abstractmethod
    def ask_records(self, refs: Collection[RecordRef]) -> Question[dict[RecordRef, RecordRow]]: ...

    @abstractmethod
    def ask_pids(self, digests: Collection[bytes]) -> Question[dict[bytes, int]]: ...

    @abstractmethod
    def ask_holders(self, hashes: Collection[int], *, limit: int) -> Question[dict[int, list[int]]]: ...

    @abstractmethod
    def _read_sealed_profiles(self, pids: list[int]) -> Iterable[tuple[int, str, bytes, bytes]]: ...

    @abstractmethod
    def insert_rows(self, table: str, rows: Sequence[Row]) -> None: ...

    @abstractmethod
    def insert_absent_rows(self, table: str, rows: Sequence[Row]) -> set[int]: ...

    @abstractmethod
    def update_rows(
        self, table: str, by: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
    ) -> None: ...

    @abstractmethod
    def delete_rows(self, table: str, by: Sequence[str], rows: Sequence[Row]) -> None: ...

    # -- questions, alone and together ------------------------------------------------------------------

    def lock(self, hashes: Iterable[int]) -> None:
        _only(self.ask_lock(hashes))

    def lock_components(self, component_ids: Iterable[int]) -> None:
        _only(self.ask_lock_components(component_ids))

    def read_records(self, refs: Collection[RecordRef]) -> dict[RecordRef, RecordRow]:
        return _only(self.ask_records(refs))

    def read_members(self, component_ids: Collection[int]) -> list[RecordRow]:
        return _only(self.ask_members(component_ids))

    def ask_members(self, component_ids: Collection[int]) -> Question[list[RecordRow]]:
        return self._ask_by_ids(
            f"SELECT {RECORD_COLUMNS} FROM record WHERE component_id {self._any}", component_ids, _records
        )

    def read_components_of_profiles(self, pids: Collection[int]) -> list[tuple[int, int]]:
        return _only(self.ask_components_of_profiles(pids))

    def ask_components_of_profiles(self, pids: Collection[int]) -> Question[list[tuple[int, int]]]:
        return self._ask_by_ids(
            f"SELECT DISTINCT pid, component_id FROM record WHERE pid {self._any}", pids, list
        )

    def find_pids(self, digests: Collection[bytes]) -> dict[bytes, int]:
        return _only(self.ask_pids(digests))

    def read_holders(self, hashes: Collection[int], *, limit: int) -> dict[int, list[int]]:
        return _only(self.ask_holders(hashes, limit=limit))

    def find_named(self, ref_hashes: Collection[int]) -> list[NamedRow]:
        return _only(self.ask_named(ref_hashes))

    def ask_named(self, ref_hashes: Collection[int]) -> Question[list[NamedRow]]:
        return self._ask_by_ids(f"{_SELECT_NAMED} WHERE ref_hash {self._any}", ref_hashes, _named_rows)

    def read_contracts_in_force(self) -> dict[str, tuple[int, bool]]:
        return _only(self.ask_contracts_in_force())

    def ask_contracts_in_force(self) -> Question[dict[str, tuple[int, bool]]]:
        return self._ask("SELECT name, contract_version, retired_at FROM source", (), _contracts)

    def read_active_model(self) -> str | None:
        return _only(self.ask_active_model())

    def ask_active_model(self) -> Question[str | None]:
        return self._ask(SELECT_ACTIVE_MODEL, (), _only_version)

    def ask_floors(self) -> Question[dict[str, int]]:
        return self._ask("SELECT name, floor_version FROM source WHERE floor_version IS NOT NULL", (), dict)

    def is_load_running(self) -> bool:
        return _only(self.ask_load_running())

    def ask_load_running(self) -> Question[bool]:
        return self._ask("SELECT 1 FROM record_load WHERE state = 'running' LIMIT 1", (), bool)

    # -- reads ------------------------------------------------------------------------------------------

    def read_records_by_rid(self, rids: Collection[int]) -> list[RecordRow]:
        return self._by_ids(
            f"SELECT {RECORD_COLUMNS} FROM record WHERE rid {self._any}", rids, RecordRow._make
        )

    def read_records_of_profiles(self, pids: Collection[int]) -> list[RecordRow]:
        return self._by_ids(
            f"SELECT {RECORD_COLUMNS} FROM record WHERE pid {self._any}", pids, RecordRow._make
        )

    def count_records_of_profiles(self, pids: Collection[int]) -> dict[int, int]:
        return dict(
            self._by_ids(f"SELECT pid, count(*) FROM record WHERE pid {self._any} GROUP BY pid", pids, tuple)
        )

    def read_profiles(self, pids: Collection[int]) -> dict[int, SourcedProfile]:
        profiles, missing = self._cache.split(pids)
        if missing:
            unwrap, unseal = self.sealer.unwrap, self.sealer.open
            for pid, source, wrapped, sealed in self._read_sealed_profiles(missing):
                profile = (source, decode_profile(unseal(unwrap(wrapped), sealed)))
                self._cache.keep(pid, profile)
                profiles[pid] = profile
        return profiles

    def read_open_history(self, rids: Collection[int]) -> dict[int, list[HistoryRow]]:
        rows = self._by_ids(
            "SELECT rid, valid_from, valid_to, system_from, system_to, cid, status FROM crosswalk_history "
            f"WHERE rid {self._any} AND system_to = {FOREVER} ORDER BY rid, valid_from",
            rids,
            tuple,
        )
        history: dict[int, list[HistoryRow]] = {}
        for rid, valid_from, valid_to, system_from, system_to, cid, status in rows:
            row = HistoryRow(valid_from, valid_to, system_from, system_to, cid, KeyStatus(status))
            history.setdefault(rid, []).append(row)
        return history

    def read_borne(self, rids: Collection[int]) -> dict[int, list[Cid]]:
        rows = self._by_ids(
            "SELECT DISTINCT h.rid, h.cid FROM crosswalk_history h JOIN cid_state c ON c.cid = h.cid "
            f"WHERE h.rid {self._any} AND c.system_to = {FOREVER} "
            "AND c.status IN ('merged', 'split', 'withdrawn') ORDER BY h.rid, h.cid",
            rids,
            tuple,
        )
        borne: dict[int, list[Cid]] = {}
        for rid, cid in rows:
            borne.setdefault(rid, []).append(cid)
        return borne

    def read_cids(self, cids: Collection[Cid]) -> dict[Cid, CidRow]:
        rows = self._by_ids(
            f"SELECT cid, status, successors FROM cid_state WHERE cid {self._any} AND system_to = {FOREVER}",
            cids,
            tuple,
        )
        return {
            cid: CidRow(cid, CidStatus(status), tuple(orjson.loads(successors)) if successors else ())
            for cid, status, successors in rows
        }

    def find_smallest_live_record(self, cid: Cid) -> RecordRef | None:
        rows = self._query(
            f"SELECT source, key FROM record WHERE cid = {self._mark} AND status = 'live' "
            "ORDER BY source, key LIMIT 1",
            cid,
        )
        return RecordRef(*rows[0]) if rows else None

    def list_version_facts(self, rid: int, *, read_since: int = 0) -> list[VersionFacts]:
        rows = self._query(
            "SELECT version, effective_at, digest FROM record_version "
            f"WHERE rid = {self._mark} AND contract_version >= {self._mark} ORDER BY vid",
            *(rid, read_since),
        )
        return [(version, effective_at, bytes(digest)) for version, effective_at, digest in rows]

    def find_stated(self, rids: Collection[int]) -> list[NamedRow]:
        return _only(self._ask_by_ids(f"{_SELECT_NAMED} WHERE stating_rid {self._any}", rids, _named_rows))

    def read_judgements(self, ids: Collection[str]) -> list[JudgementRow]:
        return self._judgements("id", ids)

    def read_judgements_stated_by(self, rids: Collection[int]) -> list[JudgementRow]:
        return self._judgements("stated_by_rid", rids)

    def read_version(self, vid: int) -> VersionRow:
        rows = self._query(
            f"SELECT {_VERSION_COLUMNS} FROM record_version v JOIN record r ON r.rid = v.rid WHERE v.vid = {self._mark}",
            vid,
        )
        return open_version(rows[0], self.sealer)

    def together(self, *, rows_max: int) -> AbstractContextManager[object]:  # noqa: ARG002 - a dialect may need it
        return nullcontext()

    def add_unsettled(self, rows: Collection[tuple[str, int]]) -> None:
        if rows:
            insert = postgresql.insert if self._mark == "%s" else sqlite_dialect.insert
            values = [{"kind": kind, "id": row_id} for kind, row_id in sorted(set(rows))]
            for start in range(0, len(values), 5_000):
                self.connection.execute(
                    insert(tables.unsettled).on_conflict_do_nothing(), values[start : start + 5_000]
                )

    # -- private helpers --------------------------------------------------------------------------------

    def _by_ids(self, sql: str, ids: Collection[Any], make: Callable[[Any], Any]) -> list[Any]:
        if not ids:
            return []
        return [make(row) for row in self._query(sql, self._list(ids))]

    def _ask_by_ids(self, sql: str, ids: Collection[Any], decode: Callable[[list[Any]], _T]) -> Question[_T]:
        return self._ask(sql, (self._list(ids),), decode) if ids else known(decode([]))

    def _judgements(self, column: str, values: Collection[Any]) -> list[JudgementRow]:
        rows = self._by_ids(
            f"SELECT {_JUDGEMENT_COLUMNS} FROM judgement WHERE {column} {self._any} AND system_to = {FOREVER} ORDER BY id",
            values,
            tuple,
        )
        sides: dict[str, tuple[list[RecordRef], list[RecordRef]]] = {row[0]: ([], []) for row in rows}
        for judgement_id, side, source, key in self._by_ids(
            "SELECT judgement_id, side, source, key FROM judgement_record "
            f"WHERE judgement_id {self._any} ORDER BY judgement_id, side, source, key",
            list(sides),
            tuple,
        ):
            sides[judgement_id][side].append(RecordRef(source, key))
        return [
            JudgementRow(
                id=judgement_id,
                verdict=Verdict(verdict),
                judgement_class=JudgementClass(judgement_class),
                reason=reason,
                author=author,
                stated_by_rid=stated_by_rid,
                system_from=system_from,
                system_to=system_to,
                left=tuple(sides[judgement_id][0]),
                right=tuple(sides[judgement_id][1]),
            )
            for (
                judgement_id,
                verdict,
                judgement_class,
                reason,
                author,
                stated_by_rid,
                system_from,
                system_to,
            ) in rows
        ]


def _only(question: Question[_T]) -> _T:
    return question.send()()


def _records(rows: list[Any]) -> list[RecordRow]:
    return [RecordRow._make(row) for row in rows]


def _named_rows(rows: list[Any]) -> list[NamedRow]:
    return [NamedRow(row[0], row[1], row[2], RecordRef(row[3], row[4])) for row in rows]


def _contracts(rows: list[Any]) -> dict[str, tuple[int, bool]]:
    return {name: (version, retired_at is not None) for name, version, retired_at in rows}


def _only_version(rows: list[Any]) -> str | None:
    return rows[0][0] if len(rows) == 1 else None


def open_version(row: Sequence[Any], sealer: Sealer) -> VersionRow:
    """Return the version of a row of `record_version` columns followed by the record's wrapped data key."""
    sealed_statement, sealed_profile, wrapped = row[-3:]
    statement: dict[str, object] | None = None
    profile: Profile | None = None
    if sealed_statement is not None:
        data_key = sealer.unwrap(wrapped)
        statement = orjson.loads(sealer.open(data_key, sealed_statement))
        profile = decode_profile(sealer.open(data_key, sealed_profile))
    return VersionRow._make((*row[:-3], statement, profile))
