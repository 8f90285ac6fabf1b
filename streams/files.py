"""Open a file of records in any format that is read here.

Invariant: rows come in file order with their number; one that cannot be read comes as its error, and
the rows after it come all the same. A file that cannot be read at all is refused before its first row.
Elsewhere: one room a format (`streams.csv_file`, `streams.parquet_file`, `streams.ndjson_file`), what
rows state (`streams.mapping`), where refused rows are written (`streams.rejects`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from streams.csv_file import CsvFile
from streams.errors import FileUnreadable, FormatUnknown
from streams.ndjson_file import NdjsonFile
from streams.parquet_file import ParquetFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matching.errors import SameasError
    from streams.mapping import Row

__all__ = ["FileFormat", "RecordFile", "open_records"]


class FileFormat(StrEnum):
    """The formats of files of records."""

    CSV = "csv"
    PARQUET = "parquet"
    NDJSON = "ndjson"


class RecordFile(Protocol):
    """A file of records, opened; iterate it as often as needed, each time from its start."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; of NDJSON those that its first rows show."""

    @property
    def names_columns_once(self) -> bool:
        """True when all rows have the same columns; False when each row names its own."""

    @property
    def size(self) -> int:
        """How much there is to read, in the unit of `position`: rows of Parquet, else bytes."""

    @property
    def position(self) -> int:
        """How much of `size` the iteration that began last has read."""

    def __iter__(self) -> Iterator[tuple[int, Row | SameasError]]:
        """Yield (row, values or error); row: the line it starts on, in Parquet its number, from 1."""


_BY_SUFFIX: Final = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".txt": FileFormat.CSV,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".json": FileFormat.NDJSON,
}
_OPENERS: Final[dict[FileFormat, Callable[[Path], RecordFile]]] = {
    FileFormat.CSV: CsvFile,
    FileFormat.PARQUET: ParquetFile,
    FileFormat.NDJSON: NdjsonFile,
}


def open_records(path: str | Path, *, format: str | None = None) -> RecordFile:  # noqa: A002  # its name on the command line
    """Return the file, its first bytes read and its columns known.

    Args:
        path: the file.
        format: `csv`, `parquet` or `ndjson`; None tells it by the ending of the name, else by content.

    Raises:
        FileUnreadable: not there, not allowed, empty, or cut off.
        FormatUnknown: `format` is none of the three.
        HeaderInvalid: the first line of a CSV file does not name its columns.
        EncodingInvalid: the header is not UTF-8.
    """
    path = Path(path)
    if format is not None and format not in set(FileFormat):
        raise FormatUnknown(f"format {format!r} is not read; use one of {', '.join(FileFormat)}.")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as reason:
        raise FileUnreadable(f"cannot read {path}: {reason.strerror}.") from reason
    if not head:
        raise FileUnreadable(f"{path} is empty: there is nothing to read.")
    chosen = FileFormat(format) if format is not None else _BY_SUFFIX.get(path.suffix.lower()) or _guess(head)
    return _OPENERS[chosen](path)


def _guess(head: bytes) -> FileFormat:
    if head.startswith(b"PAR1"):
        return FileFormat.PARQUET
    return FileFormat.NDJSON if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else FileFormat.CSV
