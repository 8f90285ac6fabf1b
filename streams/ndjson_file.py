"""Read records from NDJSON: one JSON object a line, UTF-8.

Invariant: a line that is not a JSON object of at most `LINE_BYTES_MAX` bytes is refused alone.
Elsewhere: choosing the format (`streams.files`).
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

import orjson

from streams.errors import EncodingInvalid, FileUnreadable, RowMalformed, RowTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matching.errors import SameasError
    from streams.mapping import Row

__all__ = ["LINE_BYTES_MAX", "NdjsonFile"]

LINE_BYTES_MAX: Final = 1_048_576
"""The same limit as that of a line over HTTP: 1 MiB."""

_BOM: Final = b"\xef\xbb\xbf"
_PEEK_ROWS: Final = 100


class NdjsonFile:
    """A file of JSON lines."""

    names_columns_once = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.position = 0
        with path.open("rb") as file:
            if file.read(64).removeprefix(_BOM).lstrip().startswith(b"["):
                raise FileUnreadable(
                    f"{path} is one JSON array; write one object a line instead (NDJSON), "
                    "for example with: jq -c '.[]'"
                )
        self.columns = self._peek_columns()

    def __iter__(self) -> Iterator[tuple[int, Row | SameasError]]:
        self.position = 0
        number = 0
        try:
            with self.path.open("rb") as file:
                while line := file.readline(LINE_BYTES_MAX + 1):
                    number += 1
                    self.position += len(line)
                    if number == 1:
                        line = line.removeprefix(_BOM)
                    if len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
                        self.position += _skip_line(file)
                        yield number, RowTooLarge(f"the line is longer than {LINE_BYTES_MAX} bytes.")
                        continue
                    try:
                        row = orjson.loads(line)
                    except orjson.JSONDecodeError as reason:
                        if line.strip():
                            yield number, _explain(line, reason)
                        continue
                    if isinstance(row, dict):
                        yield number, row
                    else:
                        yield number, RowMalformed("the line is JSON, but not an object.")
        except OSError as reason:
            raise FileUnreadable(
                f"cannot read {self.path} after line {number}: {reason.strerror}."
            ) from reason

    def _peek_columns(self) -> tuple[str, ...]:
        columns: dict[str, None] = {}
        for number, row in self:
            if isinstance(row, dict):
                columns.update(dict.fromkeys(row))
            if number >= _PEEK_ROWS:
                break
        self.position = 0
        return tuple(columns)


def _skip_line(file: IO[bytes]) -> int:
    skipped = 0
    while part := file.readline(LINE_BYTES_MAX):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _explain(line: bytes, reason: orjson.JSONDecodeError) -> SameasError:
    try:
        line.decode()
    except UnicodeDecodeError as bad:
        return EncodingInvalid(f"byte {bad.start + 1} of the line is not UTF-8; save the file as UTF-8.")
    # The parser's own message can quote nothing of the line; its position is enough to find the fault.
    return RowMalformed(f"the line is not JSON: fault at character {reason.pos + 1}.")
