"""Where benchmarks play: one PostgreSQL, stores loaded once and copied for each use, services of their own.

1. A store of a given size is loaded once by `sameas load`, as a user would, and timed; that is the bulk
   benchmark's own measurement. Nobody writes to it after.
2. Who needs such a store gets a copy of the database (its files are copied), dropped afterwards.

Invariant: everything listens on the loopback address only, on free ports; every process started here is
stopped by its id when its `with` block ends; all files are in one temporary folder.
Elsewhere: the private PostgreSQL (`deploy.local.postgres`), the measurements (`benchmarks.measure_*`).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import orjson
import psycopg

from benchmarks.machine import ROOT
from benchmarks.population import Population, make_population
from benchmarks.process_tree import PeakMemory
from deploy.local.postgres import run_private_postgres
from service.demo.population import SOURCES

__all__ = [
    "COMMAND",
    "POSTGRES_SETTINGS",
    "Address",
    "LoadedStore",
    "Sizes",
    "Stage",
    "load_sources",
    "open_stage",
    "run_sameas",
    "serve",
    "start_sameas",
]

POSTGRES_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "shared_buffers": "1GB",
        "effective_cache_size": "4GB",
        "maintenance_work_mem": "256MB",
        # No checkpoint of its own while something is timed; each benchmark asks for one before.
        "max_wal_size": "8GB",
        "checkpoint_timeout": "1h",
    }
)
COMMAND: Final = (sys.executable, "-c", "from service.cli import main; raise SystemExit(main())")
_COMMAND_S_MAX: Final = 3_600
_START_S_MAX: Final = 60
_STOP_S_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many records each benchmark works with, and for how long it measures a rate."""

    bulk: int = 1_000_000
    resolve: int = 500_000
    reference: int = 100_000
    streamed: int = 80_000
    seconds: float = 20.0
    restated: int = 1_000_000

    @classmethod
    def of(cls, records: int | None, *, is_quick: bool) -> Sizes:
        """Return the sizes for at most this many records in all; None: the full ones."""
        if records is None and not is_quick:
            return cls()
        count = records or 10_000
        seconds = 4.0 if is_quick else 10.0
        return cls(count, count, max(count // 10, 1_000), max(count // 5, 3_000), seconds, restated=count)


@dataclass(frozen=True, slots=True)
class LoadedStore:
    """A store with the stored part of a population in it, what loading it took, and how true it is."""

    url: str
    population: Population
    seconds: Mapping[str, float]
    peak_bytes: int
    f1: float

    @property
    def total_s(self) -> float:
        """How long the loads took together, from start to end of their commands."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Address:
    """A service that runs."""

    port: int
    api_key: str
    pid: int
    data_dir: Path


@dataclass(slots=True)
class Stage:
    """See the module; made by `open_stage`."""

    folder: Path
    server_url: str
    sizes: Sizes
    tell: Callable[[str], None]
    _populations: dict[int, Population] = field(default_factory=dict)
    _stores: dict[int, LoadedStore] = field(default_factory=dict)

    def population(self, stored_count: int) -> Population:
        """Return the population with this many stored records."""
        found = self._populations.get(stored_count)
        if found is None:
            self.tell(f"making {stored_count + self.sizes.streamed:,} records")
            found = make_population(
                self.folder / f"population-{stored_count}",
                stored_count=stored_count,
                streamed_count=self.sizes.streamed,
            )
            self._populations[stored_count] = found
        return found

    def loaded(self, stored_count: int) -> LoadedStore:
        """Return the PostgreSQL store with this many records; the first call loads and times it."""
        found = self._stores.get(stored_count)
        if found is None:
            found = self._stores[stored_count] = self._load(stored_count)
        return found

    def new_folder(self, name: str) -> Path:
        """Return an empty folder."""
        folder = self.folder / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        return folder

    @contextlib.contextmanager
    def database(self, *, like: str | None = None) -> Iterator[str]:
        """Make a database, empty or a copy of another one, yield its URL, and drop it."""
        name = f"bench_{secrets.token_hex(4)}"
        url = self.create_database(name, like=like)
        try:
            yield url
        finally:
            with psycopg.connect(self.server_url, autocommit=True) as admin:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def create_database(self, name: str, *, like: str | None = None) -> str:
        """Make a database that stays until the server ends; return its URL."""
        source = "" if like is None else f" TEMPLATE {urlsplit(like).path[1:]} STRATEGY FILE_COPY"
        with psycopg.connect(self.server_url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}{source}".encode())
        return urlsplit(self.server_url)._replace(path=f"/{name}").geturl()

    def checkpoint(self) -> None:
        """Write all that is dirty, so that none of it is written while something is timed."""
        with psycopg.connect(self.server_url, autocommit=True) as admin:
            admin.execute("CHECKPOINT")

    def evaluate(
        self, population: Population, environment: Mapping[str, str], *, streamed_count: int = 0
    ) -> float:
        """Return the clustered pairwise F1 of a store against the truth, by `sameas evaluate`."""
        folder = self.new_folder("truth")
        truth = population.write_truth(folder / "truth.parquet", streamed_count)
        said = run_sameas(
            "evaluate", str(truth), "--json", environment={"SAMEAS_DATA_DIR": str(folder), **environment}
        )
        f1: float = orjson.loads(said)["pairwise"]["f1"]
        return f1

    def _load(self, stored_count: int) -> LoadedStore:
        population = self.population(stored_count)
        url = self.create_database(f"loaded_{stored_count}")
        environment = {"SAMEAS_DATABASE_URL": url, "SAMEAS_DATA_DIR": str(self.new_folder("load"))}
        run_sameas("migrate", environment=environment)
        self.checkpoint()
        seconds, peak_bytes = load_sources(population, environment, tell=self.tell)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("VACUUM (ANALYZE)")
        f1 = self.evaluate(population, environment)
        return LoadedStore(url, population, seconds, peak_bytes, f1)


@contextlib.contextmanager
def open_stage(sizes: Sizes, *, tell: Callable[[str], None]) -> Iterator[Stage]:
    """Start the server in a temporary folder and yield the stage; stop and remove all at the end."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="sameas-benchmarks-"))
    try:
        with run_private_postgres(settings=POSTGRES_SETTINGS) as url:
            yield Stage(folder, url, sizes, tell)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_sources(
    population: Population, environment: Mapping[str, str], *, tell: Callable[[str], None]
) -> tuple[dict[str, float], int]:
    """Load the files one after the other; return the seconds of each, and the peak memory of all."""
    seconds: dict[str, float] = {}
    peak_bytes = 0
    for source in SOURCES:
        run_sameas("source", "put", source, str(population.contract_of(source)), environment=environment)
    for source in SOURCES:
        started = time.monotonic()
        process = start_sameas(
            "load", source, str(population.file_of(source)), environment=environment, output=subprocess.PIPE
        )
        with PeakMemory(process.pid) as memory:
            said, _ = process.communicate(timeout=_COMMAND_S_MAX)
        seconds[source] = time.monotonic() - started
        peak_bytes = max(peak_bytes, memory.peak_bytes)
        text = said.decode(errors="replace").strip()
        if process.returncode:
            raise RuntimeError(f"sameas load {source} ended with {process.returncode}: {text[-2_000:]}")
        tell(f"loaded {source} in {seconds[source]:.1f} s: {text}")
    return seconds, peak_bytes


def run_sameas(*arguments: str, environment: Mapping[str, str]) -> str:
    """Run a `sameas` command to its end and return what it printed."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=_environment(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_S_MAX,
    )
    if done.returncode:
        raise RuntimeError(f"sameas {arguments[0]} ended with {done.returncode}: {done.stderr[-2_000:]}")
    return done.stdout


def start_sameas(
    *arguments: str, environment: Mapping[str, str], output: int, program: tuple[str, ...] = COMMAND
) -> subprocess.Popen[bytes]:
    """Start a `sameas` command (or another program of this project) in a session of its own."""
    return subprocess.Popen(
        [*program, *arguments],
        cwd=ROOT,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@contextlib.contextmanager
def serve(
    folder: Path,
    environment: Mapping[str, str],
    *,
    program: tuple[str, ...] = (*COMMAND, "serve", "--port", "0"),
) -> Iterator[Address]:
    """Run a service until the block ends; it prints its address, as `sameas serve` does, when it is ready."""
    api_key = f"sk_bench_{secrets.token_hex(16)}"
    log = folder / "serve.log"
    merged = {"SAMEAS_DATA_DIR": str(folder), "SAMEAS_ADMIN_KEY": api_key, **environment}
    with log.open("wb") as stream:
        process = start_sameas(environment=merged, output=stream.fileno(), program=program)
    try:
        yield Address(_wait_for_port(process, log), api_key, process.pid, folder)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_S_MAX
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"serves at http://127\.0\.0\.1:(\d+)", text):
            return int(found[1])
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}: {text[-2_000:]}")
        time.sleep(0.05)
    raise RuntimeError(f"the service was not ready within {_START_S_MAX} s: {text[-2_000:]}")


def _environment(stated: Mapping[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SAMEAS_")}
    return {**kept, "PYTHONPATH": str(ROOT), **stated}
