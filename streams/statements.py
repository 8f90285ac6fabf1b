"""Turn a file's rows into record commands, in chunks that several processes can share.

Invariant: a row becomes the command that the same statement over HTTP would become, or its error; a chunk
is the same rows whoever reads it.
Elsewhere: formats (`streams.files`), the mapping (`streams.mapping`), checking a statement
(`identity.statement`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from identity.bulk.preparing import StatedRow
from identity.contract import SourceContract
from identity.model import Cause, CauseKind, Instant
from identity.statement import read_row
from matching.errors import SameasError
from streams.files import open_records
from streams.mapping import MappedRow, PathSpec, RowMapping, compile_mapping, map_rows

__all__ = ["FileStatements", "compile_row_mapping"]

_CHUNK_ROWS: Final = 4_000
_SMALL_BYTES: Final = 400_000
"""Some 5,000 rows: about what one process prepares while others start."""


@dataclass(frozen=True, slots=True)
class FileStatements:
    """The statements of one file under a contract."""

    path: str
    author: str
    now: Instant
    load_id: str
    format: str | None = None
    key: PathSpec | None = None
    mapping: Mapping[str, PathSpec] = field(default_factory=dict)

    def is_small(self) -> bool:
        """See `identity.bulk.StatementSource.is_small`."""
        try:
            return Path(self.path).stat().st_size < _SMALL_BYTES
        except OSError:
            return True  # opening it will say what is wrong

    def iter_chunks(self, contract: SourceContract, *, part: int, parts: int) -> Iterator[list[StatedRow]]:
        """See `identity.bulk.StatementSource.iter_chunks`."""
        file = open_records(self.path, format=self.format)
        columns = file.columns if file.names_columns_once else None
        row_mapping = compile_row_mapping(contract, columns, key=self.key, mapping=self.mapping)
        row_mapping.check_columns(file.columns, of_key_only=not file.names_columns_once)
        cause = Cause(CauseKind.LOAD, self.load_id)
        rows = iter(file)
        number = 0
        while chunk := list(islice(rows, _CHUNK_ROWS)):
            if number % parts == part:
                yield [self._read(contract, row, one, cause) for row, one in map_rows(chunk, row_mapping)]
            number += 1

    def _read(
        self, contract: SourceContract, number: int, row: MappedRow | SameasError, cause: Cause
    ) -> StatedRow:
        if isinstance(row, SameasError):
            return StatedRow(number, None, row)
        try:
            command = read_row(
                contract, row.key, row.to_body(), author=self.author, now=self.now, cause=cause
            )
        except SameasError as refused:
            return StatedRow(number, row.key, refused)
        return StatedRow(number, row.key, command)


def compile_row_mapping(
    contract: SourceContract,
    columns: tuple[str, ...] | None,
    *,
    key: PathSpec | None = None,
    mapping: Mapping[str, PathSpec] = MappingProxyType({}),
) -> RowMapping:
    """Return how rows with these columns (None: each names its own) are read under the contract.

    Args:
        key, mapping: stand above what the contract says.
    Raises:
        MappingInvalid, ColumnMissing: see `streams.mapping.compile_mapping`.
    """
    return compile_mapping(
        key or _path(contract.key_path) or "key",
        {**{name: _path(path) for name, path in contract.mapping.items()}, **mapping} or None,
        alternate_keys={name: _path(path) for name, path in contract.alternate_paths.items()},
        columns=columns,
    )


def _path(path: Any) -> Any:
    return list(path) if isinstance(path, tuple) else path
