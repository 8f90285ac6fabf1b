"""The PostgreSQL side of a write transaction: advisory locks, arrays, sequences.

Invariants: READ COMMITTED, so that a statement after a lock sees what the lock waited for; a lock is a
transaction-level advisory lock; `lock` and the read that follows are two statements.
Source of the lock rules: measurements named in `docs/decisions/0004-locks.md`.
Elsewhere: what both dialects share (`identity.store_sql.transaction`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeVar

from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, LargeBinary, SmallInteger, Table

from identity.model import Instant, RecordRef
from identity.store import Question, RecordRow, Row, known
from identity.store_sql import tables
from identity.store_sql.pg_arrays import Byteas, Int4s, Int8s, Texts, array_of
from identity.store_sql.sealing import Sealer
from identity.store_sql.transaction import ProfileCache, SqlTransaction

__all__ = ["GATE_LOCK", "IdBlock", "PostgresTransaction"]

GATE_LOCK: Final = 7_360_001
"""Shared by every write, exclusive for a slice of a bulk load and for a migration."""
_JUDGEMENT_LOCK: Final = 7_360_002
_COMPONENT_CLASS: Final = 7_360_003
_ID_BLOCK: Final = 1000
_COPY_ROWS_MIN: Final = 40
_RECORD_COLUMNS_R: Final = ", ".join(f"r.{name}" for name in RecordRow._fields)
_LISTS: Final[dict[type, type[list[Any]]]] = {int: Int8s, str: Texts, bytes: Byteas}

_T = TypeVar("_T")


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
        self._driver_connection: Any = connection.connection.driver_connection
        self._cursor = self._new_cursor()
        self._spare_cursors: list[Any] = []
        self._ids = ids

    def _query(self, sql: str, *parameters: object) -> list[Any]:
        rows: list[Any] = self._cursor.execute(sql, parameters).fetchall()
        return rows

    def _list(self, values: Collection[Any]) -> object:
        for value in values:
            return _LISTS[type(value)](values)
        return []

    def _ask(self, sql: str, parameters: Sequence[object], decode: Callable[[list[Any]], _T]) -> Question[_T]:
        def send() -> Callable[[], _T]:
            cursor = self._spare_cursors.pop() if self._spare_cursors else self._new_cursor()
            cursor.execute(sql, parameters)

            def receive() -> _T:
                rows = cursor.fetchall()
                self._spare_cursors.append(cursor)
                return decode(rows)

            return receive

        return Question(send)

    def at_once(self, *questions: Question[Any]) -> tuple[Any, ...]:
        with self._driver_connection.pipeline():
            waiting = [question.send() for question in questions]
            return tuple(receive() for receive in waiting)

    def _new_cursor(self) -> Any:
        return self._driver_connection.cursor(binary=True)

    def ask_lock(self, hashes: Iterable[int]) -> Question[None]:
        # The gate comes first: who holds it alone never waits for somebody who waits for it.
        return self._ask(
            "SELECT count(CASE n WHEN 1 THEN pg_advisory_xact_lock_shared(h) ELSE pg_advisory_xact_lock(h) END) "
            "FROM unnest(%s) WITH ORDINALITY u(h, n)",
            (Int8s((GATE_LOCK, *hashes)),),
            _nothing,
        )

    def ask_lock_components(self, component_ids: Iterable[int]) -> Question[None]:
        return self._ask(
            f"SELECT count(pg_advisory_xact_lock({_COMPONENT_CLASS}, h)) FROM unnest(%s) h",
            (_component_locks(component_ids),),
            _nothing,
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

    def ask_records(self, refs: Collection[RecordRef]) -> Question[dict[RecordRef, RecordRow]]:
        if not refs:
            return known({})
        return self._ask(
            f"SELECT {_RECORD_COLUMNS_R} FROM unnest(%s, %s) k(source, key) "
            "JOIN record r ON r.source = k.source AND r.key = k.key",
            (Texts(ref.source for ref in refs), Texts(ref.key for ref in refs)),
            _records_by_ref,
        )

    def ask_pids(self, digests: Collection[bytes]) -> Question[dict[bytes, int]]:
        if not digests:
            return known({})
        return self._ask("SELECT digest, pid FROM profile WHERE digest = ANY(%s)", (Byteas(digests),), dict)

    def ask_holders(self, hashes: Collection[int], *, limit: int) -> Question[dict[int, list[int]]]:
        if not hashes:
            return known({})
        return self._ask(
            "SELECT k.h, b.pid FROM unnest(%s) k(h) "
            "CROSS JOIN LATERAL (SELECT pid FROM blocking_key WHERE h = k.h LIMIT %s) b",
            (Int8s(hashes), limit),
            _holders,
        )

    def _read_sealed_profiles(self, pids: list[int]) -> Iterable[tuple[int, str, bytes, bytes]]:
        return self._query(
            "SELECT p.pid, r.source, r.data_key, v.sealed_profile FROM unnest(%s) p(pid) "
            "CROSS JOIN LATERAL (SELECT vid, source, data_key FROM record WHERE pid = p.pid LIMIT 1) r "
            "JOIN record_version v ON v.vid = r.vid",
            Int8s(pids),
        )

    def together(self, *, rows_max: int) -> AbstractContextManager[object]:
        if rows_max >= _COPY_ROWS_MIN:
            return nullcontext()  # COPY cannot be sent ahead
        pipeline: AbstractContextManager[object] = self._driver_connection.pipeline()
        return pipeline

    def try_lock_components(self, component_ids: Iterable[int]) -> bool:
        rows = self._query(
            f"SELECT bool_and(pg_try_advisory_xact_lock({_COMPONENT_CLASS}, h)) FROM unnest(%s) h",
            _component_locks(component_ids),
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
            self._cursor.execute(_insert_sql(table), _columns(_column_types(table), rows))

    def insert_absent_rows(self, table: str, rows: Sequence[Row]) -> set[int]:
        if not rows:
            return set()
        name = next(iter(_table(table).primary_key)).name
        sql = f"{_insert_sql(table)} ON CONFLICT DO NOTHING RETURNING {name}"
        self._cursor.execute(sql, _columns(_column_types(table), rows))
        return {row[0] for row in self._cursor.fetchall()}

    def update_rows(self, table: str, by: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            self._cursor.execute(
                _update_sql(table, tuple(by), tuple(columns)),
                _columns(_types_of(table, (*by, *columns)), rows),
            )

    def delete_rows(self, table: str, by: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            self._cursor.execute(_delete_sql(table, tuple(by)), _columns(_types_of(table, tuple(by)), rows))


def _nothing(_rows: list[Any]) -> None:
    """Read no rows: the statement was for what it does."""


def _records_by_ref(rows: list[Any]) -> dict[RecordRef, RecordRow]:
    return {RecordRef(row[1], row[2]): RecordRow._make(row) for row in rows}


def _holders(rows: list[Any]) -> dict[int, list[int]]:
    holders: dict[int, list[int]] = {}
    for h, pid in rows:
        found = holders.get(h)
        if found is None:
            holders[h] = [pid]
        else:
            found.append(pid)
    return holders


def _component_locks(component_ids: Iterable[int]) -> Int4s:
    return Int4s(sorted({component_id & 0x7FFFFFFF for component_id in component_ids}))


def _columns(types: Sequence[type[list[Any]]], rows: Sequence[Row]) -> list[list[Any]]:
    return [make(column) for make, column in zip(types, zip(*rows, strict=True), strict=True)]


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


def _marks(columns: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(columns))


@lru_cache
def _types_of(table: str, columns: tuple[str, ...]) -> list[type[list[Any]]]:
    return [array_of(_array_type(_table(table).c[name])) for name in columns]


@lru_cache
def _column_types(table: str) -> list[type[list[Any]]]:
    return _types_of(table, tuple(column.name for column in _table(table).columns))


@lru_cache
def _insert_sql(table: str) -> str:
    columns = [column.name for column in _table(table).columns]
    return f"INSERT INTO {table} ({', '.join(_quoted(columns))}) SELECT * FROM unnest({_marks(columns)})"


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
    return f"UPDATE {table} t SET {sets} FROM unnest({_marks(by + columns)}) v({names}) WHERE {where}"


@lru_cache
def _delete_sql(table: str, by: tuple[str, ...]) -> str:
    where = " AND ".join(f"t.{name} = v.{name}" for name in _quoted(by))
    return f"DELETE FROM {table} t USING unnest({_marks(by)}) v({', '.join(_quoted(by))}) WHERE {where}"


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]
