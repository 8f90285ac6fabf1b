"""Split a stream of bytes into lines, in memory bounded by one line.

Invariant: sans I/O; the same bytes in any chunks give the same lines. A line over the limit is told as
`TOO_LONG` once, as soon as it is over, and the rest of it is skipped. Blank lines are left out; what
follows the last newline is a line.
Elsewhere: what becomes of lines (`service.record_stream`), what is in them (`identity.statement`).
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

__all__ = ["TOO_LONG", "Line", "LineSplitter"]


class _Marker(Enum):
    TOO_LONG = "too long"


TOO_LONG: Final = _Marker.TOO_LONG
"""Stands for a line that is over the limit."""

Line = bytes | Literal[_Marker.TOO_LONG]

_BLANK: Final = b" \t\r"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class LineSplitter:
    """Takes chunks, gives lines; `feed` and, at the end, `finish`."""

    __slots__ = ("_bytes_max", "_is_first", "_is_skipping", "_part_bytes", "_parts")

    def __init__(self, *, line_bytes_max: int) -> None:
        self._bytes_max = line_bytes_max
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self._is_skipping = False
        self._is_first = True

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that end within `chunk`."""
        pieces = chunk.split(b"\n")
        lines: list[Line] = []
        last = pieces.pop()
        if pieces:
            self._end(pieces[0], lines)
            for piece in pieces[1:]:
                if len(piece) > self._bytes_max:
                    lines.append(TOO_LONG)
                elif piece and piece.strip(_BLANK):
                    lines.append(piece)
        self._keep(last, lines)
        return lines

    def finish(self) -> list[Line]:
        """Return the last line if it had no newline."""
        lines: list[Line] = []
        self._end(b"", lines)
        return lines

    def _keep(self, piece: bytes, lines: list[Line]) -> None:
        """Keep the beginning of a line that is not over yet."""
        if self._is_skipping or not piece:
            return
        self._parts.append(piece)
        self._part_bytes += len(piece)
        if self._part_bytes > self._bytes_max:
            lines.append(TOO_LONG)
            self._is_skipping = True
            self._parts.clear()
            self._part_bytes = 0

    def _end(self, piece: bytes, lines: list[Line]) -> None:
        """End the line that was begun in earlier chunks."""
        if not self._is_skipping:
            self._keep(piece, lines)
        if not self._is_skipping and self._parts:
            line = b"".join(self._parts)
            if self._is_first:
                # Some exports begin with a byte order mark; JSON has none.
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line.strip(_BLANK):
                lines.append(line)
        self._is_first = False
        self._is_skipping = False
        self._parts.clear()
        self._part_bytes = 0
