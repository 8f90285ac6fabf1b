"""The SQLite side of a write transaction: one writer, so that every lock is the write lock itself.

Invariants: a write transaction begins with BEGIN IMMEDIATE, hence it sees every commit before it and
nobody else writes until it ends; ids and ticks are rows that roll back with it.
Elsewhere: what both dialects share (`identity.store_sql.transaction`), pragmas (`identity.store_sql.opening`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, cast

import orjson

from identity.model import Instant, RecordRef
from identity.store import Question, RecordRow, Row, known
from identity.store_sql import tables
from identity.store_sql.transaction import RECORD_COLUMNS, SqlTransaction

__all__ = ["SqliteTransaction"]

_T = TypeVar("_T")


class SqliteTransaction(SqlTransaction):
    """A write transaction on SQLite 3.51.3 or later."""

    _any: ClassVar[str] = "IN (SELECT value FROM json_each(?))"
    _mark: ClassVar[str] = "?"

    def _query(self, sql: str, *parameters: object) -> list[Any]:
        rows: list[Any] = self._cursor.execute(sql, parameters).fetchall()
        return rows

    def _list(self, values: Collection[Any]) -> object:
        return orjson.dumps(list(values)).decode()

    def _ask(self, sql: str, parameters: Sequence[object], decode: Callable[[list[Any]], _T]) -> Question[_T]:
        return _when_asked(lambda: decode(self._query(sql, *parameters)))

    def at_once(self, *questions: Question[Any]) -> tuple[Any, ...]:
        """Ask one after the other: an embedded database has no round trips."""
        return tuple(question.send()() for question in questions)

    def ask_lock(self, hashes: Iterable[int]) -> Question[None]:  # noqa: ARG002 - nothing left to lock
        """BEGIN IMMEDIATE holds it already."""
        return known(None)

    def ask_lock_components(self, component_ids: Iterable[int]) -> Question[None]:  # noqa: ARG002 - as above
        """BEGIN IMMEDIATE holds it already."""
        return known(None)

    def try_lock_components(self, component_ids: Iterable[int]) -> bool:  # noqa: ARG002 - nothing left to lock
        """BEGIN IMMEDIATE holds it already."""
        return True

    def lock_judgements(self) -> None:
        """BEGIN IMMEDIATE holds it already."""

    def lock_whole(self) -> None:
        """BEGIN IMMEDIATE holds it already."""

    def tick(self, now: Instant) -> Instant:
        rows = self._query(
            "UPDATE id_counter SET value = max(value + 1, ?) WHERE name = 'clock' RETURNING value", now
        )
        return int(rows[0][0])

    def new_ids(self, count: int) -> Sequence[int]:
        rows = self._query(
            "UPDATE id_counter SET value = value + ? WHERE name = 'ids' RETURNING value", count
        )
        end = int(rows[0][0])
        return range(end - count + 1, end + 1)

    def ask_records(self, refs: Collection[RecordRef]) -> Question[dict[RecordRef, RecordRow]]:
        return _when_asked(lambda: self._read_records(refs))

    def _read_records(self, refs: Collection[RecordRef]) -> dict[RecordRef, RecordRow]:
        execute = self._cursor.execute
        sql = f"SELECT {RECORD_COLUMNS} FROM record WHERE source = ? AND key = ?"
        held: dict[RecordRef, RecordRow] = {}
        for ref in refs:
            row = execute(sql, (ref.source, ref.key)).fetchone()
            if row is not None:
                held[ref] = RecordRow._make(row)
        return held

    def ask_pids(self, digests: Collection[bytes]) -> Question[dict[bytes, int]]:
        return _when_asked(lambda: self._find_pids(digests))

    def _find_pids(self, digests: Collection[bytes]) -> dict[bytes, int]:
        execute = self._cursor.execute
        found = {}
        for digest in digests:
            row = execute("SELECT pid FROM profile WHERE digest = ?", (digest,)).fetchone()
            if row is not None:
                found[digest] = row[0]
        return found

    def ask_holders(self, hashes: Collection[int], *, limit: int) -> Question[dict[int, list[int]]]:
        return _when_asked(lambda: self._read_holders(hashes, limit))

    def _read_holders(self, hashes: Collection[int], limit: int) -> dict[int, list[int]]:
        execute = self._cursor.execute
        holders: dict[int, list[int]] = {}
        for h in hashes:
            rows = execute("SELECT pid FROM blocking_key WHERE h = ? LIMIT ?", (h, limit)).fetchall()
            if rows:
                holders[h] = [pid for (pid,) in rows]
        return holders

    def _read_sealed_profiles(self, pids: list[int]) -> Iterable[tuple[int, str, bytes, bytes]]:
        execute = self._cursor.execute
        for pid in pids:
            row = execute(
                "SELECT r.pid, r.source, r.data_key, v.sealed_profile FROM record r JOIN record_version v ON v.vid = r.vid "
                "WHERE r.pid = ? LIMIT 1",
                (pid,),
            ).fetchone()
            if row is not None:
                yield row

    def insert_rows(self, table: str, rows: Sequence[Row]) -> None:
        if rows:
            self._cursor.executemany(_insert_sql(table), rows)

    def insert_absent_rows(self, table: str, rows: Sequence[Row]) -> set[int]:
        self.insert_rows(table, rows)  # nobody else writes: what the caller did not find is not there
        return {int(cast("int", row[0])) for row in rows}

    def update_rows(self, table: str, by: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            width = len(by)
            self._cursor.executemany(
                _update_sql(table, tuple(by), tuple(columns)), [row[width:] + row[:width] for row in rows]
            )

    def delete_rows(self, table: str, by: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            self._cursor.executemany(_delete_sql(table, tuple(by)), rows)


def _when_asked(read: Callable[[], _T]) -> Question[_T]:
    return Question(lambda: read)


@lru_cache
def _insert_sql(table: str) -> str:
    columns = [f'"{column.name}"' for column in tables.metadata.tables[table].columns]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


@lru_cache
def _update_sql(table: str, by: tuple[str, ...], columns: tuple[str, ...]) -> str:
    sets = ", ".join(f'"{name}" = ?' for name in columns)
    return f"UPDATE {table} SET {sets} WHERE {_where(by)}"


@lru_cache
def _delete_sql(table: str, by: tuple[str, ...]) -> str:
    return f"DELETE FROM {table} WHERE {_where(by)}"


def _where(by: tuple[str, ...]) -> str:
    return " AND ".join(f'"{name}" = ?' for name in by)
