"""A folder into which a legacy system drops files: which are complete, and where each of them stands.

What becomes of a file that is dropped as FOLDER/NAME:
1. It is complete when FOLDER/NAME.done is there, or else when its size, time and inode have not changed for `stable_s`.
   Names that begin with a dot, or end like those of files being written, are not looked at: rename into place.
2. It is claimed: renamed to taking/TICKET-NAME. From then on the ticket names this drop; another file of the same
   NAME is another drop. What is no UTF-8 in NAME, or makes it too long for a file with a ticket, is written otherwise.
3. When it is loaded it is renamed to done/ or, with a file that says why, to failed/. Each rename is atomic, so that a
   crash leaves it in exactly one place; what is in taking/ is gone on with.

Invariant: one process at a time works on a folder (it holds a lock). Only plain files are taken, no links.
Elsewhere: loading a claimed file (`streams.drop_load`), the loop around it (`service.watching`).
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import orjson

from streams.errors import FolderInUse, FolderUnusable

__all__ = ["Drop", "DropFolder"]

_MARKER: Final = ".done"
_BEING_WRITTEN: Final = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
_TICKET: Final = re.compile(r"(\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{6})-(.+)", re.DOTALL)
_LOCK: Final = ".sameas-watch.lock"
_REASON: Final = ".reason.json"
_NAME_BYTES_MAX: Final = 200  # of the 255 of a file's name, ticket and reason taken off


@dataclass(frozen=True, slots=True)
class Drop:
    """A claimed file; `name` is unique to this drop, and stays when the file is moved."""

    path: Path

    @property
    def name(self) -> str:
        """The ticket with the name under which the file was dropped."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen of a file, and since when it has looked like that."""

    size: int
    mtime_ns: int
    inode: int
    since_s: float

    def is_same(self, other: _Look) -> bool:
        return (self.size, self.mtime_ns, self.inode) == (other.size, other.mtime_ns, other.inode)


class DropFolder:
    """One folder, used as a context: it is locked until the end.

    Args:
        stable_s: how long a file without a marker has to stay the same.
        needs_marker: a file without one is never complete.
        new_ticket: names a claim; tickets sort as they were given.

    Raises:
        FolderUnusable: it is not there, or may not be written.
        FolderInUse: another process works on it.
    """

    def __init__(
        self, path: Path, *, stable_s: float, needs_marker: bool, new_ticket: Callable[[], str]
    ) -> None:
        self._path = path
        self._stable_s = stable_s
        self._needs_marker = needs_marker
        self._new_ticket = new_ticket
        self._looks: dict[str, _Look] = {}
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            for name in ("taking", "done", "failed"):
                (self._path / name).mkdir(exist_ok=True)
            self._lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise FolderUnusable(f"{self._path} cannot be worked in: {exc.strerror}.") from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._lock)
            raise FolderInUse(f"{self._path} is watched by another process; one is enough.") from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def list_claimed(self) -> list[Drop]:
        """Return what was claimed and not finished, in order; a claim that a crash cut off is completed first."""
        with self._worked_in():
            return self._list_claimed()

    def _list_claimed(self) -> list[Drop]:
        taking = self._path / "taking"
        names = {entry.name for entry in taking.iterdir()}
        for marker in sorted(name for name in names if name.endswith(_MARKER)):
            claimed = marker.removesuffix(_MARKER)
            ticket = _TICKET.fullmatch(claimed)
            dropped = self._find_dropped(ticket[2]) if ticket else None
            if claimed not in names and dropped is not None:
                dropped.rename(taking / claimed)
                names.add(claimed)
            (taking / marker).unlink()
            names.discard(marker)
        return [Drop(taking / name) for name in sorted(names) if _TICKET.fullmatch(name)]

    def _find_dropped(self, name: str) -> Path | None:
        """Return the plain file whose claim would have this name."""
        return next(
            (
                entry
                for entry in sorted(self._path.iterdir())
                if _claim_name(entry.name) == name and _is_plain(entry)
            ),
            None,
        )

    def claim(self, now_s: float) -> Drop | None:
        """Claim the oldest file that is complete; None when there is none.

        Args:
            now_s: of a clock that only goes forward; files are looked at once a call.
        """
        with self._worked_in():
            return self._claim_oldest(now_s)

    def _claim_oldest(self, now_s: float) -> Drop | None:
        found: dict[str, _Look] = {}
        complete: list[tuple[int, str]] = []
        names = {entry.name for entry in self._path.iterdir()}
        self._remove_orphans(names)
        for name in names:
            look = _look(self._path / name, now_s) if _is_candidate(name) else None
            if look is None:
                continue
            earlier = self._looks.get(name)
            found[name] = earlier if earlier is not None and earlier.is_same(look) else look
            is_stable = not self._needs_marker and now_s - found[name].since_s >= self._stable_s
            if name + _MARKER in names or (is_stable and earlier is not None):
                complete.append((look.mtime_ns, name))
        self._looks = found
        return self._claim(min(complete)[1]) if complete else None

    def count_waiting(self) -> int:
        """Return how many dropped files were not claimed at the last look."""
        return len(self._looks)

    def finish(self, drop: Drop, *, failure: dict[str, str] | None = None) -> None:
        """Move a claimed file to done/, or to failed/ with its reason beside it."""
        folder = self._path / ("done" if failure is None else "failed")
        with self._worked_in():
            if failure is not None:
                (folder / f"{drop.name}{_REASON}").write_bytes(orjson.dumps(failure) + b"\n")
            drop.path.rename(folder / drop.name)
            _sync(folder)
            _sync(drop.path.parent)

    @contextmanager
    def _worked_in(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise FolderUnusable(f"{self._path} cannot be worked in: {exc.strerror}.") from exc

    def _remove_orphans(self, names: set[str]) -> None:
        """Remove markers whose file was claimed before they came: they would complete the next file of that name."""
        for marker in names:
            dropped = marker.removesuffix(_MARKER)
            # Looked at anew: a list of names may hold a marker and lack the file that was there before it.
            is_orphan = marker != dropped and dropped not in names and not (self._path / dropped).exists()
            if is_orphan and _is_plain(self._path / marker):
                (self._path / marker).unlink(missing_ok=True)

    def _claim(self, name: str) -> Drop:
        self._looks.pop(name, None)
        taking = self._path / "taking"
        claimed = taking / f"{self._new_ticket()}-{_claim_name(name)}"
        marker = self._path / (name + _MARKER)
        if marker.exists():
            # First: left behind, it would call the next file of this name complete while that is being written.
            marker.rename(taking / (claimed.name + _MARKER))
        (self._path / name).rename(claimed)
        (taking / (claimed.name + _MARKER)).unlink(missing_ok=True)
        _sync(taking)
        _sync(self._path)
        return Drop(claimed)


def _claim_name(name: str) -> str:
    """Return the name in UTF-8, short enough for a ticket before it and a reason behind it; its end says the format."""
    text = os.fsencode(name).decode(errors="backslashreplace")
    encoded = text.encode()
    return text if len(encoded) <= _NAME_BYTES_MAX else encoded[-_NAME_BYTES_MAX:].decode(errors="ignore")


def _is_candidate(name: str) -> bool:
    return not name.startswith(".") and not name.endswith((_MARKER, *_BEING_WRITTEN))


def _look(path: Path, now_s: float) -> _Look | None:
    try:
        seen = path.lstat()
    except OSError:
        return None  # it went meanwhile
    if not stat.S_ISREG(seen.st_mode):
        return None
    return _Look(seen.st_size, seen.st_mtime_ns, seen.st_ino, now_s)


def _is_plain(path: Path) -> bool:
    return not path.is_symlink() and path.is_file()


def _sync(folder: Path) -> None:
    """Bring renames in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
