"""Read records from Parquet, batch by batch, with every value as JSON would hold it.

Invariant: dates are `YYYY-MM-DD`, instants RFC 3339 in UTC (those without a zone are taken as UTC),
decimals and bytes are text; memory is that of one batch.
Elsewhere: choosing the format (`streams.files`).
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any, Final

from streams.errors import EncodingInvalid, FileUnreadable, HeaderInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matching.errors import SameasError
    from streams.mapping import Row

__all__ = ["ParquetFile"]

_BATCH_ROWS: Final = 8_192


class ParquetFile:
    """A Parquet file; only its footer is read when it is opened."""

    names_columns_once = True

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.path = path
        self.position = 0
        try:
            with parquet.ParquetFile(path) as file:
                self.size: int = file.metadata.num_rows
                self.columns: tuple[str, ...] = tuple(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as reason:
            raise FileUnreadable(
                f"{path} is no whole Parquet file: its footer cannot be read. Was it copied to its end?"
            ) from reason
        if len(set(self.columns)) != len(self.columns):
            raise HeaderInvalid(f"{path}: two columns have the same name; give each column its own.")

    def __iter__(self) -> Iterator[tuple[int, Row | SameasError]]:
        import pyarrow as pa
        from pyarrow import parquet

        self.position = 0
        try:
            with parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    yield from self._iter_batch(batch)
        except (pa.ArrowException, OSError) as reason:
            raise FileUnreadable(
                f"{self.path} is damaged after row {self.position}: its pages cannot be read."
            ) from reason

    def _iter_batch(self, batch: Any) -> Iterator[tuple[int, Row | SameasError]]:
        first = self.position + 1
        names = self.columns
        try:
            columns = [_json_values(column) for column in batch.columns]
        except UnicodeDecodeError:
            # Arrow does not check text when it reads; the rare batch with bad bytes is read row by row.
            for offset in range(batch.num_rows):
                self.position += 1
                yield first + offset, _one_row(batch, offset, names)
            return
        for number, values in enumerate(zip(*columns, strict=True), first):
            self.position = number
            yield number, dict(zip(names, values, strict=True))


def _one_row(batch: Any, offset: int, names: tuple[str, ...]) -> Row | SameasError:
    row: Row = {}
    for name, column in zip(names, batch.columns, strict=True):
        try:
            row[name] = _json_values(column.slice(offset, 1))[0]
        except UnicodeDecodeError as bad:
            return EncodingInvalid(f"byte {bad.start + 1} of column {name} is not UTF-8.")
    return row


def _json_values(column: Any) -> list[Any]:
    """Return the column's values as JSON-able Python values; the common types without a call a value."""
    import pyarrow as pa
    from pyarrow import compute, types

    kind = column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", tz="UTC"), safe=False).cast(pa.string())
        column = compute.replace_substring(column, pattern=" ", replacement="T", max_replacements=1)
        return list(column.to_pylist())
    if types.is_date(kind):
        return list(column.cast(pa.date32()).cast(pa.string()).to_pylist())
    if types.is_time(kind) or types.is_decimal(kind):
        return list(column.cast(pa.string()).to_pylist())
    values: list[Any] = column.to_pylist()
    if (
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_integer(kind)
        or types.is_boolean(kind)
    ):
        return values
    if types.is_floating(kind):
        return [None if value != value else value for value in values]  # noqa: PLR0124  # not-a-number
    return [_jsonable(value) for value in values]


def _jsonable(value: Any) -> Any:
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return None if value != value else value  # noqa: PLR0124  # not-a-number
    if isinstance(value, dict):
        return {str(name): _jsonable(item) for name, item in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return {str(name): _jsonable(item) for name, item in value}  # Arrow's maps come as pairs
        return [_jsonable(item) for item in value]
    if isinstance(value, dt.datetime):
        moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)
