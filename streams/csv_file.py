"""Read records from CSV: comma, semicolon, tab or bar; quoted fields may hold line ends; UTF-8, BOM or not.

How one bad row stays one bad row:
1. Lines are decoded one by one, strictly. A line that is not UTF-8 refuses the row it belongs to.
2. The parser is strict: text after a closing quote, or a quote that is never closed, is an error, and so
   is a row with more or fewer fields than the header.
3. An error in a row of one line refuses that line. In a row of several lines it is most likely a stray
   quote that swallowed the lines after it: then only the first line is refused, and the others are read
   again from there. Among those a row with a quote in a value may be the tail of the one refused: it is
   refused too.

Invariant: every physical line after the header is part of exactly one row, kept or refused, or is blank.
Elsewhere: choosing the format (`streams.files`).
"""

from __future__ import annotations

import contextlib
import csv
from collections import deque
from typing import IO, TYPE_CHECKING, Final

from streams.errors import EncodingInvalid, FileUnreadable, HeaderInvalid, RowMalformed, RowTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matching.errors import SameasError
    from streams.mapping import Row

__all__ = ["CsvFile"]

_DELIMITERS: Final = (",", ";", "\t", "|")
_SNIFF_LINES: Final = 30
_LINE_BYTES_MAX: Final = 1_048_576
_FIELD_CHARS_MAX: Final = 131_072  # what the parser allows by itself; it bounds how far an open quote runs
_BOM: Final = b"\xef\xbb\xbf"


class CsvFile:
    """A file of delimited text with a header."""

    names_columns_once = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.position = 0
        with path.open("rb") as file:
            sample = [line for _, line in zip(range(_SNIFF_LINES), _iter_raw_lines(file), strict=False)]
        header = sample[0].removeprefix(_BOM)
        if header.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in header:
            raise EncodingInvalid(f"{path} is not UTF-8 (it looks like UTF-16); save it as UTF-8.")
        try:
            header_text = header.decode()
        except UnicodeDecodeError as bad:
            raise EncodingInvalid(
                f"{path}: byte {bad.start + 1} of the header is not UTF-8; save the file as UTF-8."
            ) from bad
        self.delimiter = _sniff([header_text, *(line.decode(errors="replace") for line in sample[1:])])
        self.columns = self._read_header()

    def __iter__(self) -> Iterator[tuple[int, Row | SameasError]]:
        lines = _Lines(self.path)
        try:
            yield from self._iter_rows(lines)
        except OSError as reason:
            raise FileUnreadable(
                f"cannot read {self.path} after line {lines.number}: {reason.strerror}."
            ) from reason
        finally:
            self.position = lines.position
            lines.close()

    def _read_header(self) -> tuple[str, ...]:
        lines = _Lines(self.path)
        try:
            names = next(csv.reader(lines, delimiter=self.delimiter, strict=True))
        except (csv.Error, StopIteration) as reason:
            raise HeaderInvalid(f"{self.path}: the first line does not name the columns.") from reason
        finally:
            lines.close()
        columns = tuple(name.strip() for name in names)
        while columns and not columns[-1] and len(columns) > 1:
            columns = columns[:-1]  # a delimiter at the end of each line, as some spreadsheets write it
        if not columns:
            raise HeaderInvalid(f"{self.path}: the first line is blank; it must name the columns.")
        empty = [str(place) for place, name in enumerate(columns, 1) if not name]
        twice = sorted({name for name in columns if name and columns.count(name) > 1})
        if empty or twice:
            fault = (
                f"columns {', '.join(empty)} have no name" if empty else f"{', '.join(twice)} stands twice"
            )
            raise HeaderInvalid(f"{self.path}: in the header {fault}; give each column its own name.")
        return columns

    def _iter_rows(self, lines: _Lines) -> Iterator[tuple[int, Row | SameasError]]:
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        next(reader)
        columns, width = self.columns, len(self.columns)
        while True:
            lines.start_row()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield lines.refuse(
                    "a quote is not closed, text follows a closing quote, "
                    f"or a field is longer than {_FIELD_CHARS_MAX} characters."
                )
                continue
            self.position = lines.position
            number = lines.row_number
            if not fields:
                continue
            if len(fields) > width and not any(fields[width:]):
                del fields[width:]
            if len(fields) != width:
                yield lines.refuse(f"the row has {len(fields)} fields, the header {width}.")
            elif lines.bad is not None:
                yield number, lines.bad
            elif lines.is_again and any('"' in text for text in fields):
                yield lines.refuse("a quote in the line may be the end of a row that was refused.")
            else:
                yield number, dict(zip(columns, fields, strict=True))


class _Lines:
    """The file's lines as text, with what the row being read has taken of them."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._raw = _iter_raw_lines(self._file)
        self._again: deque[tuple[int, str, SameasError | None]] = deque()
        self._taken: list[tuple[int, str, SameasError | None]] = []
        self.number = 0
        self.position = 0
        self.bad: SameasError | None = None
        self._is_again = False

    def close(self) -> None:
        self._file.close()

    @property
    def row_number(self) -> int:
        """The line on which the row that was read last starts."""
        return self._taken[0][0]

    @property
    def is_again(self) -> bool:
        """True when the row begins with a line that was part of a refused one."""
        return self._is_again

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            raw = next(self._raw)
            self.number += 1
            self.position += len(raw)
            line = _decode(self.number, raw)
        self._taken.append(line)
        if line[2] is not None and self.bad is None:
            self.bad = line[2]
        return line[1]

    def start_row(self) -> None:
        """Forget the lines of the last row."""
        self._taken.clear()
        self._is_again = bool(self._again)
        self.bad = None

    def refuse(self, fault: str) -> tuple[int, SameasError]:
        """Refuse the first line of the row; what else it took is read again."""
        number, _, bad = self._taken[0]
        self._again.extendleft(reversed(self._taken[1:]))
        return number, RowMalformed(fault) if bad is None else bad


def _iter_raw_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines of at most `_LINE_BYTES_MAX`; of a longer one its first part, the rest is passed over."""
    while line := file.readline(_LINE_BYTES_MAX + 1):
        if len(line) > _LINE_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(_LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
        yield line


def _decode(number: int, raw: bytes) -> tuple[int, str, SameasError | None]:
    if number == 1:
        raw = raw.removeprefix(_BOM)
    # A refused line is handed to the parser as one plain field: its quotes must not reach other lines.
    if len(raw) > _LINE_BYTES_MAX and not raw.endswith(b"\n"):
        return number, "?\n", RowTooLarge(f"the line is longer than {_LINE_BYTES_MAX} bytes.")
    if b"\0" in raw:
        return number, "?\n", RowMalformed(f"byte {raw.index(0) + 1} of the line is NUL.")
    try:
        return number, raw.decode(), None
    except UnicodeDecodeError as bad:
        fault = f"byte {bad.start + 1} of the line is not UTF-8; save the file as UTF-8."
        return number, "?\n", EncodingInvalid(fault)


def _sniff(lines: list[str]) -> str:
    """Return the delimiter that splits the header into most columns and most lines into as many."""

    def rank(delimiter: str) -> tuple[int, int]:
        widths: list[int] = []
        with contextlib.suppress(csv.Error):
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        if not widths or widths[0] == 1:
            return 0, 0
        return sum(width == widths[0] for width in widths), widths[0]

    best = max(_DELIMITERS, key=rank)
    return best if rank(best) > (0, 0) else ","
