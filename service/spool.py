"""Keep the answers that a client does not take yet: some in memory, the rest in an unnamed file.

Invariant: first in, first out; at most `memory_bytes` (and one piece) are held in memory; the file has no
name, so that neither a crash nor an early end leaves it behind.
Elsewhere: who fills and drains it (`service.record_stream`).
"""

from __future__ import annotations

import tempfile
from collections import deque
from pathlib import Path
from typing import IO

from service.errors import SpoolFull

__all__ = ["Spool"]


class Spool:
    """A queue of bytes that outgrows memory on disk."""

    def __init__(self, directory: Path, *, memory_bytes: int, disk_bytes_max: int) -> None:
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._disk_bytes_max = disk_bytes_max
        self._memory: deque[bytes] = deque()
        self._memory_size = 0
        self._file: IO[bytes] | None = None
        self._read_at = 0
        self._written = 0

    def __len__(self) -> int:
        """Return how many bytes wait."""
        return self._memory_size + self._written - self._read_at

    @property
    def disk_bytes(self) -> int:
        """How many of the waiting bytes are on disk."""
        return self._written - self._read_at

    def append(self, piece: bytes) -> None:
        """Add bytes at the end; raises SpoolFull when neither memory nor disk takes them."""
        # While anything is on disk, all that follows goes there: order is first in, first out.
        if self._written == self._read_at and self._memory_size + len(piece) <= self._memory_bytes:
            self._memory.append(piece)
            self._memory_size += len(piece)
            return
        if self.disk_bytes + len(piece) > self._disk_bytes_max:
            raise SpoolFull(
                "the answers of this stream were not read, and their spool is full; read while sending"
            )
        try:
            if self._file is None:
                # Unbuffered: a full disk is told here, at the piece that does not fit, not at a later flush.
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
            self._file.seek(self._written)
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
        except OSError as exc:
            raise SpoolFull(
                "the answers of this stream cannot be spooled to disk; read while sending"
            ) from exc
        self._written += len(piece)

    def take(self, bytes_max: int) -> bytes:
        """Return up to about `bytes_max` bytes from the front, empty when nothing waits."""
        if self._memory:
            pieces = [self._memory.popleft()]
            size = len(pieces[0])
            while self._memory and size + len(self._memory[0]) <= bytes_max:
                pieces.append(self._memory.popleft())
                size += len(pieces[-1])
            self._memory_size -= size
            return b"".join(pieces)
        if self._file is None or self._read_at == self._written:
            return b""
        self._file.seek(self._read_at)
        taken = self._file.read(min(bytes_max, self._written - self._read_at))
        self._read_at += len(taken)
        if self._read_at == self._written:
            self._file.truncate(0)
            self._read_at = self._written = 0
        return taken

    def close(self) -> None:
        """Give the memory and the file back."""
        self._memory.clear()
        self._memory_size = self._read_at = self._written = 0
        if self._file is not None:
            self._file.close()
            self._file = None
