"""The PostgreSQL side of a write transaction: advisory locks, arrays, sequences.

Invariants: READ COMMITTED, so that a statement after a lock sees what the lock waited for; a lock is a
transaction-level advisory lock; `lock` and the read that follows are two statements.
Source of the lock rules: measurements named in `docs/decisions/0004-locks.md`.
Elsewhere: what both dialects share (`identity.store_sql.transaction`).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar, Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, LargeBinary, SmallInteger, Table

from identity.model import Instant, RecordRef
from identity.store import RecordRow, Row
from identity.store_sql import tables
from identity.store_sql.sealing import Sealer
from identity.store_sql.transaction import ProfileCache, SqlTransaction

__all__ = ["GATE_LOCK", "IdBlock", "PostgresTransaction"]

GATE_LOCK: Final = 7_360_001
"""Shared by every write, exclusive for a slice of a bulk load and for a migration."""
_JUDGEMENT_LOCK: Final = 7_360_002
_COMPONENT_CLASS: Final = 7_360_003
_ID_BLOCK: Final = 1000
_COPY_ROWS_MIN: Final = 40


class IdBlock:
    """Ids drawn from the store in blocks; one per process, shared by its threads under `guard`."""

    def __init__(self) -> None:
        self.next_id = 0
        self.end_id = 0
        self.guard = threading.Lock()


class PostgresTransaction(SqlTransaction):
    """A write transaction on PostgreSQL 15 or later."""

    _any: ClassVar[str] = "= ANY(%s)"
    _mark: ClassVar[str] = "%s"

    def __init__(self, connection: Connection, *, sealer: Sealer, cache: ProfileCache, ids: IdBlock) -> None:
        super().__init__(connection, sealer=sealer, cache=cache)
        self._cursor = connection.connection.driver_connection.cursor(binary=True)  # type: ignore[union-attr]
        self._ids = ids

    def _query(self, sql: str, *parameters: object) -> list[Any]:
        rows: list[Any] = self._cursor.execute(sql, parameters).fetchall()
        return rows

    def _list(self, values: Collection[Any]) -> object:
        return list(values)

    def lock(self, hashes: Iterable[int]) -> None:
        # The gate comes first: who holds it alone never waits for somebody who waits for it.
        self._query(
            "SELECT count(CASE n WHEN 1 THEN pg_advisory_xact_lock_shared(h) ELSE pg_advisory_xact_lock(h) END) "
            "FROM unnest(%s::int8[]) WITH ORDINALITY u(h, n)",
            [GATE_LOCK, *hashes],
        )

    def lock_components(self, component_ids: Iterable[int]) -> None:
        self._query(
            f"SELECT count(pg_advisory_xact_lock({_COMPONENT_CLASS}, h)) FROM unnest(%s::int4[]) h",
            sorted({component_id & 0x7FFFFFFF for component_id in component_ids}),
        )

    def lock_judgements(self) -> None:
        self._query(f"SELECT pg_advisory_xact_lock({_JUDGEMENT_LOCK})")

    def lock_whole(self) -> None:
        self._query(f"SELECT pg_advisory_xact_lock({GATE_LOCK})")

    def tick(self, now: Instant) -> Instant:
        return int(self._query("SELECT sameas_tick(%s)", now)[0][0])

    def new_ids(self, count: int) -> Sequence[int]:
        block = self._ids
        with block.guard:
            if count > block.end_id - block.next_id:
                blocks = -(-count // _ID_BLOCK)
                rows = self._query("SELECT nextval('sameas_ids') FROM generate_series(1, %s)", blocks)
                if blocks > 1:
                    ids = [first + offset for (first,) in sorted(rows) for offset in range(_ID_BLOCK)]
                    return ids[:count]
                block.next_id = rows[0][0]
                block.end_id = block.next_id + _ID_BLOCK
            first = block.next_id
            block.next_id += count
            return range(first, first + count)

    def read_records(self, refs: Collection[RecordRef]) -> dict[RecordRef, RecordRow]:
        if not refs:
            return {}
        rows = self._query(
            f"SELECT {', '.join('r.' + name for name in RecordRow._fields)} "
            "FROM unnest(%s::text[], %s::text[]) k(source, key) JOIN record r ON r.source = k.source AND r.key = k.key",
            [ref.source for ref in refs],
            [ref.key for ref in refs],
        )
        return {RecordRef(row[1], row[2]): RecordRow._make(row) for row in rows}

    def find_pids(self, digests: Collection[bytes]) -> dict[bytes, int]:
        if not digests:
            return {}
        return dict(
            self._query("SELECT digest, pid FROM profile WHERE digest = ANY(%s::bytea[])", list(digests))
        )

    def read_holders(self, hashes: Collection[int], *, limit: int) -> dict[int, list[int]]:
        if not hashes:
            return {}
        holders: dict[int, list[int]] = {}
        for h, pid in self._query(
            "SELECT k.h, b.pid FROM unnest(%s::int8[]) k(h) "
            "CROSS JOIN LATERAL (SELECT pid FROM blocking_key WHERE h = k.h LIMIT %s) b",
            list(hashes),
            limit,
        ):
            found = holders.get(h)
            if found is None:
                holders[h] = [pid]
            else:
                found.append(pid)
        return holders

    def _read_sealed_profiles(self, pids: list[int]) -> Iterable[tuple[int, str, bytes, bytes]]:
        return self._query(
            "SELECT p.pid, r.source, r.data_key, v.sealed_profile FROM unnest(%s::int8[]) p(pid) "
            "CROSS JOIN LATERAL (SELECT vid, source, data_key FROM record WHERE pid = p.pid LIMIT 1) r "
            "JOIN record_version v ON v.vid = r.vid",
            pids,
        )

    def together(self, *, rows_max: int) -> AbstractContextManager[object]:
        if rows_max >= _COPY_ROWS_MIN:
            return nullcontext()  # COPY cannot be sent ahead
        connection: Any = self.connection.connection.driver_connection
        pipeline: AbstractContextManager[object] = connection.pipeline()
        return pipeline

    def try_lock_components(self, component_ids: Iterable[int]) -> bool:
        rows = self._query(
            f"SELECT bool_and(pg_try_advisory_xact_lock({_COMPONENT_CLASS}, h)) FROM unnest(%s::int4[]) h",
            sorted({component_id & 0x7FFFFFFF for component_id in component_ids}),
        )
        return bool(rows[0][0])

    def insert_rows(self, table: str, rows: Sequence[Row]) -> None:
        if len(rows) >= _COPY_ROWS_MIN:
            with self._cursor.copy(_copy_sql(table)) as copy:
                copy.set_types(_copy_types(table))
                write_row = copy.write_row
                for row in rows:
                    write_row(row)
        elif rows:
            self._cursor.execute(_insert_sql(table), [list(column) for column in zip(*rows, strict=True)])

    def update_rows(self, table: str, by: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            self._cursor.execute(
                _update_sql(table, tuple(by), tuple(columns)),
                [list(column) for column in zip(*rows, strict=True)],
            )

    def delete_rows(self, table: str, by: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            self._cursor.execute(
                _delete_sql(table, tuple(by)), [list(column) for column in zip(*rows, strict=True)]
            )


def _array_type(column: Column[Any]) -> str:
    kind = column.type
    if isinstance(kind, SmallInteger):
        return "int2[]"
    if isinstance(kind, BigInteger):
        return "int8[]"
    if isinstance(kind, Integer):
        return "int4[]"
    if isinstance(kind, Boolean):
        return "bool[]"
    if isinstance(kind, LargeBinary):
        return "bytea[]"
    return "text[]"


def _table(name: str) -> Table:
    return tables.metadata.tables[name]


def _arrays(table: str, columns: Sequence[str]) -> str:
    return ", ".join(f"%s::{_array_type(_table(table).c[name])}" for name in columns)


@lru_cache
def _insert_sql(table: str) -> str:
    columns = [column.name for column in _table(table).columns]
    return (
        f"INSERT INTO {table} ({', '.join(_quoted(columns))}) SELECT * FROM unnest({_arrays(table, columns)})"
    )


@lru_cache
def _copy_sql(table: str) -> str:
    columns = _quoted([column.name for column in _table(table).columns])
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"


@lru_cache
def _copy_types(table: str) -> list[str]:
    return [_array_type(column).removesuffix("[]") for column in _table(table).columns]


@lru_cache
def _update_sql(table: str, by: tuple[str, ...], columns: tuple[str, ...]) -> str:
    sets = ", ".join(f'"{name}" = v."new_{name}"' for name in columns)
    where = " AND ".join(f't."{name}" = v."{name}"' for name in by)
    names = ", ".join(_quoted([*by, *(f"new_{name}" for name in columns)]))
    return f"UPDATE {table} t SET {sets} FROM unnest({_arrays(table, by + columns)}) v({names}) WHERE {where}"


@lru_cache
def _delete_sql(table: str, by: tuple[str, ...]) -> str:
    where = " AND ".join(f"t.{name} = v.{name}" for name in _quoted(by))
    return (
        f"DELETE FROM {table} t USING unnest({_arrays(table, by)}) v({', '.join(_quoted(by))}) WHERE {where}"
    )


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]
