"""Insert whole columns at once: what a bulk load writes, without a Python object for each value.

On PostgreSQL the rows are laid out as binary COPY by Arrow: each column becomes a column of encoded fields (length,
then value), constants are encoded once, and the fields of a row are joined to one piece of bytes.
Invariant: the rows are those that `SqlTransaction.insert_rows` would insert for the same values.
Source: PostgreSQL's manual, COPY, "Binary Format".
Elsewhere: who writes columns (`identity.bulk.slices`), single rows (`postgres`, `sqlite`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger, Boolean, Integer, SmallInteger

from identity.store_sql import tables
from identity.store_sql.postgres import PostgresTransaction
from identity.store_sql.transaction import SqlTransaction

__all__ = ["Column", "encode_copy", "insert_columns"]

Column = Any
"""A value for each row, as an array of NumPy (whole numbers) or of Arrow; or one value for all of them."""

_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_ABSENT: Final = b"\xff\xff\xff\xff"


def insert_columns(tx: SqlTransaction, table: str, columns: Mapping[str, Column], *, count: int) -> None:
    """Insert `count` rows; `columns` names every column of the table, in its order."""
    assert list(columns) == [column.name for column in tables.metadata.tables[table].columns]
    if not count:
        return
    if isinstance(tx, PostgresTransaction):
        connection: Any = tx.connection.connection.driver_connection
        names = ", ".join(f'"{name}"' for name in columns)
        with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(encode_copy(table, columns, count=count))
        return
    listed = [_list_values(column, count) for column in columns.values()]
    tx.insert_rows(table, list(zip(*listed, strict=True)))


def encode_copy(table: str, columns: Mapping[str, Column], *, count: int) -> bytes:
    """Return the rows as PostgreSQL's binary COPY takes them."""
    fields: list[Any] = [len(columns).to_bytes(2, "big")]
    for width, column in zip(_widths(table), columns.values(), strict=True):
        encoded = _encode(column, width)
        if isinstance(encoded, bytes) and isinstance(fields[-1], bytes):
            fields[-1] += encoded
        elif isinstance(encoded, tuple):
            fields.extend(encoded)
        else:
            fields.append(encoded)
    scalars = [pa.scalar(field, pa.binary()) if isinstance(field, bytes) else field for field in fields]
    rows = pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.binary()))
    _, offsets, body = rows.buffers()
    begins, ends = np.frombuffer(offsets, dtype=np.int32)[[rows.offset, rows.offset + count]]
    return b"".join((_HEAD, memoryview(body)[begins:ends], _END))


@lru_cache
def _widths(table: str) -> tuple[int, ...]:
    """Return how many bytes a value of each column takes; 0 when each has its own length."""
    widths = []
    for column in tables.metadata.tables[table].columns:
        kind = column.type
        if isinstance(kind, SmallInteger):
            widths.append(2)
        elif isinstance(kind, BigInteger):
            widths.append(8)
        elif isinstance(kind, Integer):
            widths.append(4)
        else:
            widths.append(1 if isinstance(kind, Boolean) else 0)
    return tuple(widths)


def _encode(column: Column, width: int) -> Any:
    """Return the fields of a column: bytes for one that is the same in every row, else arrays to be joined."""
    if column is None:
        return _ABSENT
    if isinstance(column, bool | int):
        return width.to_bytes(4, "big") + int(column).to_bytes(width, "big", signed=True)
    if isinstance(column, str | bytes):
        value = column.encode() if isinstance(column, str) else column
        return len(value).to_bytes(4, "big") + value
    if width:
        return _encode_integers(column, width)
    return _encode_bytes(column)


def _encode_integers(column: Any, width: int) -> pa.Array:
    values = column
    is_null = None
    if isinstance(column, pa.Array):
        if column.null_count:
            is_null = column.is_null()
            column = column.fill_null(0)
        values = column.to_numpy()
    rows = np.empty(len(values), dtype=[("size", ">i4"), ("value", f">i{width}")])
    rows["size"] = width
    rows["value"] = values
    fields = _as_binary(rows)
    return fields if is_null is None else pc.if_else(is_null, pa.scalar(_ABSENT, pa.binary()), fields)


def _encode_bytes(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    values = column.cast(pa.binary())
    sizes = pc.fill_null(pc.binary_length(values), -1)
    rows = np.empty(len(values), dtype=[("size", ">i4")])
    rows["size"] = sizes.to_numpy()
    return _as_binary(rows), values.fill_null(b"") if values.null_count else values


def _as_binary(rows: npt.NDArray[Any]) -> pa.Array:
    """Return an array's rows as bytes, without a copy."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.itemsize)
    return pa.Array.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(rows)])


def _list_values(column: Column, count: int) -> list[Any]:
    values: list[Any] = [column] * count
    if isinstance(column, np.ndarray):
        values = column.tolist()
    elif isinstance(column, pa.Array):
        values = column.to_pylist()
    return values
