"""Write down the rows that were refused: one NDJSON line {"row", "code", "detail"} each.

Invariant: a line holds no value of its row; the file exists only when a row was refused; every line
is in the file when `close` has returned.
Elsewhere: which rows are refused (`streams.files`, `streams.mapping`, `identity.statement`).
"""

from __future__ import annotations

import os
from collections import Counter
from typing import IO, TYPE_CHECKING, Self

import orjson

from streams.errors import RejectsUnwritable

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from matching.errors import SameasError

__all__ = ["RejectsWriter"]


class RejectsWriter:
    """Collects refused rows of one file; `counts` tells how many there were of each code."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._file: IO[bytes] | None = None

    @property
    def total(self) -> int:
        """How many rows were refused so far."""
        return self.counts.total()

    def add(self, row: int, error: SameasError) -> None:
        """Write one refused row.

        Args:
            row: the line of the file on which the row starts, or its number in a Parquet file, from 1.
            error: why it was refused; only its code and detail are written.

        Raises:
            RejectsUnwritable: the disk is full or the folder may not be written.
        """
        self.counts[error.code] += 1
        line = orjson.dumps({"row": row, "code": error.code, "detail": error.detail})
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(line + b"\n")
        except OSError as reason:
            raise RejectsUnwritable(self._message(reason)) from reason

    def close(self) -> None:
        """Bring all lines to the disk; without a refused row there is nothing to do."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            with file:
                file.flush()
                os.fsync(file.fileno())
        except OSError as reason:
            raise RejectsUnwritable(self._message(reason)) from reason

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _message(self, reason: OSError) -> str:
        return (
            f"cannot write rejects file {self.path}: {reason.strerror}. "
            "Make room or name another rejects file, then load again: rows that are stored stay stored."
        )
