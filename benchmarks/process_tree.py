"""How much memory a process and all its children hold at most, sampled from /proc.

Invariant: pages that processes share are counted once for each of them, so the figure is never too small but
for what comes and goes between two samples.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["PeakMemory", "list_tree", "read_resident_bytes"]

_SAMPLE_S: Final = 0.1
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def list_tree(pid: int) -> list[int]:
    """Return the process and all that descend from it, as they are now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (parent := _read_parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def read_resident_bytes(pid: int) -> int:
    """Return the resident memory of one process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


class PeakMemory:
    """Samples a process tree while its `with` block runs."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, sum(map(read_resident_bytes, list_tree(self._pid))))
            if self._ended.wait(_SAMPLE_S):
                return


def _read_parent(entry: Path) -> int | None:
    try:
        # The command's name stands in parentheses and may hold spaces.
        return int(
            (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
        )
    except (OSError, IndexError, ValueError):
        return None
