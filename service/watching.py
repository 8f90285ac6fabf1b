"""Watch a folder for the files of one source, as a program.

Each round: go on with what was claimed before, then take one complete file after the other; then wait. Whatever the
store refuses for a while is tried again with growing pauses, and the file stays claimed. A stop ends a load that is
under way; it is gone on with at the next start, and what it stored stays.
Elsewhere: the folder (`streams.drop_folder`), loading (`streams.drop_load`), running it (`service.programs`), the
command (`service.cli.watch`).
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from identity.bulk.request import LoadReport
from identity.errors import SourceRetired, SourceUnknown
from identity.model import Instant
from identity.service import Identity
from matching.errors import Category, SameasError
from service.clock import CidSource, SystemClock
from service.telemetry import log_event
from streams.drop_folder import Drop, DropFolder
from streams.drop_load import DropLoader

__all__ = ["WatchPlan", "WatchProgram"]

_PAUSE_S_MIN: Final = 0.5
_PAUSE_S_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What to watch and how."""

    source: str
    folder: Path
    snapshot: bool = False
    withdraw_max: float = 0.05
    every_s: float = 5.0
    stable_s: float = 10.0
    needs_marker: bool = False


class WatchProgram:
    """Loads the files that are dropped into a folder; see `service.programs.Program`.

    Raises:
        SourceUnknown, SourceRetired: the source takes no files.
    """

    def __init__(self, identity: Identity, plan: WatchPlan) -> None:
        self._identity = identity
        self._plan = plan
        self._stopping = threading.Event()
        self._now = SystemClock().now
        self._metrics = _Metrics()
        if identity.contracts.get(plan.source).is_retired:
            raise SourceRetired(f"Source {plan.source} is retired and takes no statements.")
        self._loader = DropLoader(
            identity,
            plan.source,
            snapshot=plan.snapshot,
            withdraw_max=plan.withdraw_max,
            clock=self._now,
            new_cid=CidSource(),
            new_load_id=lambda: f"load-{secrets.token_hex(6)}",
            on_progress=self._check_stop,
        )

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""
        return self._metrics.registry

    def run(self) -> None:
        """Take files until `stop`.

        Raises:
            FolderUnusable, FolderInUse: the folder cannot be watched.
        """
        folder = DropFolder(
            self._plan.folder,
            stable_s=self._plan.stable_s,
            needs_marker=self._plan.needs_marker,
            new_ticket=lambda: _ticket(self._now()),
        )
        try:
            with folder:
                for drop in folder.list_claimed():
                    self._take(folder, drop, is_again=True)
                while not self._stopping.is_set():
                    taken = folder.claim(time.monotonic())
                    self._metrics.waiting.set(folder.count_waiting())
                    if taken is None:
                        self._stopping.wait(self._plan.every_s)
                    else:
                        self._take(folder, taken, is_again=False)
        except _Stopped:
            pass
        finally:
            self._identity.close()

    def stop(self) -> None:
        """End `run`, also within a file."""
        self._stopping.set()

    def _take(self, folder: DropFolder, drop: Drop, *, is_again: bool) -> None:
        pause_s = _PAUSE_S_MIN
        while True:
            self._check_stop()
            try:
                done = self._load(drop, is_again=is_again)
                break
            except SameasError as exc:
                if not exc.retryable:
                    raise
                self._metrics.retries.labels(exc.code).inc()
                log_event(logging.WARNING, "store_not_ready", code=exc.code)
            self._stopping.wait(pause_s)
            pause_s, is_again = min(2 * pause_s, _PAUSE_S_MAX), True
        source = self._plan.source
        if isinstance(done, LoadReport):
            folder.finish(drop)
            self._metrics.add(done)
            log_event(logging.INFO, "file_taken", source=source, lines=done.rows, count=done.rejected)
        else:
            folder.finish(drop, failure={"code": done.code, "detail": done.detail})
            self._metrics.files.labels("failed").inc()
            log_event(logging.ERROR, "file_failed", source=source, code=done.code)

    def _load(self, drop: Drop, *, is_again: bool) -> LoadReport | SameasError:
        """Load a file; return why it is refused, which stands among the rejects then. Raises what is no fault of it."""
        try:
            return self._loader.load(drop.path, drop.name, is_again=is_again)
        except SameasError as exc:
            is_of_file = exc.category is not Category.FAULT and not isinstance(
                exc, SourceUnknown | SourceRetired
            )
            if exc.retryable or not is_of_file:
                raise
            self._loader.refuse(drop.name, exc)
            return exc

    def _check_stop(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


class _Metrics:
    """Counters in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.files = Counter(
            "sameas_watch_files_total", "Files taken, by result", ("result",), registry=self.registry
        )
        self.rows = Counter("sameas_watch_rows_total", "Rows of files read", registry=self.registry)
        self.rejected = Counter(
            "sameas_watch_rows_rejected_total", "Rows of files that were refused", registry=self.registry
        )
        self.retries = Counter(
            "sameas_watch_retries_total", "Loads tried again, by why", ("code",), registry=self.registry
        )
        self.waiting = Gauge(
            "sameas_watch_files_waiting",
            "Files in the folder that were not taken yet",
            registry=self.registry,
        )

    def add(self, report: LoadReport) -> None:
        """Count a file that is done."""
        self.files.labels("done").inc()
        self.rows.inc(report.rows)
        self.rejected.inc(report.rejected)


class _Stopped(Exception):
    """A stop was asked for within a load."""


def _ticket(now: Instant) -> str:
    at = datetime.fromtimestamp(now / 1_000_000, UTC)
    return f"{at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}"
