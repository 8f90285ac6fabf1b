"""Read and write the CID column of a source's own customer table, over any SQLAlchemy dialect.

Invariant: rows are never inserted or deleted, and of a row only its CID column is changed, and only where it differs.
A key that the table's column cannot hold (a word where numbers stand) is a row that is not there.
Elsewhere: which CIDs are written and when (`streams.write_back`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import (
    CHAR,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    and_,
    bindparam,
    create_engine,
    make_url,
    or_,
    select,
    update,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    NoSuchTableError,
    OperationalError,
    SQLAlchemyError,
)

from identity.store_sql.opening import miss_a_silent_server
from streams.errors import WriteBackRefused, WriteBackUnreachable

__all__ = ["CustomerTable", "TableName", "read_table_name"]

_ROWS_MAX: Final = 500
"""Keys of one statement: under the limits of every database that we know of."""


class TableName(NamedTuple):
    """A table and its columns.

    `key_columns` hold the parts of a composite key in the contract's order.
    """

    schema: str | None
    table: str
    key_columns: tuple[str, ...]
    cid_column: str


def read_table_name(text: str, *, key_columns: Sequence[str], cid_column: str) -> TableName:
    """Return what `schema.table` or `table` names."""
    schema, dot, table = text.rpartition(".")
    if not table or (dot and not schema) or not key_columns or not cid_column:
        raise WriteBackRefused("Write the table as schema.table or table, and name its key and CID columns.")
    return TableName(schema or None, table, tuple(key_columns), cid_column)


class CustomerTable:
    """One source's customer table; closed with `close`.

    Raises:
        WriteBackRefused: the URL, the table or a column is none.
        WriteBackUnreachable: the database does not answer.
    """

    def __init__(self, url: str, name: TableName) -> None:
        self._name = name
        self._engine = _open(url)
        try:
            with _translating():
                self._table = Table(name.table, MetaData(), schema=name.schema, autoload_with=self._engine)
            _check_columns(self._table, name)
        except BaseException:
            self._engine.dispose()
            raise
        self._keys = [self._table.c[one] for one in name.key_columns]
        self._cid = self._table.c[name.cid_column]

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def read(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Return the CID that stands beside each key; keys without a row are left out."""
        with _translating(), self._engine.connect() as connection:
            return self._read(connection, keys)

    def write(self, cids: Mapping[str, str]) -> tuple[int, set[str]]:
        """Write CIDs where another one stands, or none; return how many rows, and which keys have no row."""
        written, missing = 0, set[str]()
        keys = list(cids)
        for start in range(0, len(keys), _ROWS_MAX):
            part = keys[start : start + _ROWS_MAX]
            with _translating(), self._engine.begin() as connection:
                there = self._read(connection, part)
                missing.update(key for key in part if key not in there)
                differing = [key for key, cid in there.items() if cid != cids[key]]
                if differing:
                    written += len(differing)
                    connection.execute(self._update(), [self._row(key, cids[key]) for key in differing])
        return written, missing

    def _read(self, connection: Connection, keys: Sequence[str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for start in range(0, len(keys), _ROWS_MAX):
            named = {
                parts: key
                for key in keys[start : start + _ROWS_MAX]
                if (parts := self._parts(key)) is not None
            }
            if not named:
                continue
            for *held, cid in connection.execute(
                select(*self._keys, self._cid).where(self._among(list(named)))
            ):
                key = named.get(tuple(map(self._bare, self._keys, held)))
                if key is not None:
                    found[key] = None if cid is None else str(self._bare(self._cid, cid))
        return found

    def _among(self, rows: Sequence[tuple[Any, ...]]) -> ColumnElement[bool]:
        if len(self._keys) == 1:
            return self._keys[0].in_([row[0] for row in rows])
        return or_(*(and_(*(key == part for key, part in zip(self._keys, row, strict=True))) for row in rows))

    def _update(self) -> Any:
        is_it = [key == bindparam(f"key_{at}", type_=key.type) for at, key in enumerate(self._keys)]
        return (
            update(self._table).where(*is_it).values({self._cid: bindparam("new_cid", type_=self._cid.type)})
        )

    def _row(self, key: str, cid: str) -> dict[str, Any]:
        parts = self._parts(key)
        assert parts is not None, "only keys of rows that were read are written"
        value: object = uuid.UUID(cid) if self._type(self._cid) is uuid.UUID else cid
        return {"new_cid": value, **{f"key_{at}": part for at, part in enumerate(parts)}}

    def _parts(self, key: str) -> tuple[Any, ...] | None:
        """Return a key as its columns hold it; None where they cannot."""
        parts: Any = [key]
        if len(self._keys) > 1:
            try:
                parts = orjson.loads(key)
            except orjson.JSONDecodeError:
                return None
            if not isinstance(parts, list) or len(parts) != len(self._keys):
                return None
        try:
            return tuple(
                _as_type(self._type(column), part) for column, part in zip(self._keys, parts, strict=True)
            )
        except (ValueError, InvalidOperation):
            return None

    @staticmethod
    def _type(column: Any) -> type:
        try:
            python_type: type = column.type.python_type
        except NotImplementedError:
            return str
        return python_type

    @staticmethod
    def _bare(column: Any, value: Any) -> Any:
        """Return a value as it was written: columns of a fixed width come padded."""
        return value.rstrip(" ") if isinstance(column.type, CHAR) and isinstance(value, str) else value


def _check_columns(table: Table, name: TableName) -> None:
    missing = [one for one in (*name.key_columns, name.cid_column) if one not in table.c]
    if missing:
        raise WriteBackRefused(f"The table {name.table} has no column {', '.join(missing)}.")


def _as_type(python_type: type, part: object) -> Any:
    text = str(part)
    if python_type is int:
        number = int(text)
        if str(number) != text or not -(2**63) <= number < 2**63:
            raise ValueError
        return number
    if python_type is Decimal:
        return Decimal(text)
    if python_type is uuid.UUID:
        return uuid.UUID(text)
    return text


def _open(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        arguments = miss_a_silent_server(parsed) if parsed.drivername == "postgresql+psycopg" else {}
        return create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=arguments)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, TypeError, ValueError) as exc:
        raise WriteBackRefused(
            "SAMEAS_WRITE_BACK_URL is no SQLAlchemy URL, or its driver is not installed."
        ) from exc


@contextmanager
def _translating() -> Iterator[None]:
    """Translate the database's errors; none of their texts is kept, because they quote values."""
    try:
        yield
    except NoSuchTableError as exc:
        raise WriteBackRefused(
            "The source's database has no such table, or hides it from this user."
        ) from exc
    except (OperationalError, InterfaceError) as exc:
        raise WriteBackUnreachable("The source's database does not answer, or is busy.") from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise WriteBackUnreachable("The source's database ended the connection.") from exc
        raise WriteBackRefused(
            f"The source's database refuses it ({type(exc.orig).__name__}): rights, types or a rule of the table."
        ) from exc
    except SQLAlchemyError as exc:
        raise WriteBackRefused(f"The table cannot be used ({type(exc).__name__}).") from exc
