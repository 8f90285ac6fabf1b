"""Beside a load on SQLite: how long PUTs and reads take, and how long the write lock is held at a time.

Floor: the same requests just before the load begins.
Elsewhere: rates (`benchmarks.measure_sqlite`).
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson

from benchmarks.figures import Figure, percentile
from benchmarks.http_client import Answers, make_request, run_open_loop
from benchmarks.machine import ROOT
from benchmarks.population import StreamedRecord
from benchmarks.record_stream import stream_records
from benchmarks.stage import Address, Stage, load_sources, run_sameas, serve
from service.demo.population import SOURCES

__all__ = ["measure_beside"]

_PUTS_A_SECOND: Final = 5.0
_READS_A_SECOND: Final = 50.0
_CALM_S: Final = 5.0


def measure_beside(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    population = stage.population(stage.sizes.bulk)
    folder = stage.new_folder("beside")
    environment = {"SAMEAS_DATA_DIR": str(folder)}
    known, later = population.streamed[:200], population.streamed[200:]
    for source in SOURCES:
        run_sameas("source", "put", source, str(population.contract_of(source)), environment=environment)
    with serve(folder, {}) as address:
        stream_records(address, known)
        supply = itertools.cycle(later)
        calm_puts, calm_reads = _ask_both(address, known, supply, seconds=_CALM_S)
        probe = _start_probe(folder / "sameas.db")
        seconds: dict[str, float] = {}
        failures: list[BaseException] = []

        def load() -> None:
            try:
                taken, _ = load_sources(population, environment, tell=stage.tell)
                seconds.update(taken)
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as exc:
                failures.append(exc)

        loading = threading.Thread(target=load)
        loading.start()
        puts, reads = Answers(), Answers()
        while loading.is_alive():
            more_puts, more_reads = _ask_both(address, known, supply, seconds=_CALM_S)
            puts.seconds += more_puts.seconds
            reads.seconds += more_reads.seconds
        loading.join()
        longest_lock, _ = probe.communicate("end\n", timeout=60)
        if failures:
            raise failures[0]
    loaded = f"{population.stored_count:,} records loaded in {sum(seconds.values()):.0f} s"
    yield Figure(
        "longest PUT while a load runs",
        max(puts.seconds),
        "s",
        at_most=2,
        floor=max(calm_puts.seconds),
        note=f"{loaded}, {len(puts.seconds)} PUTs",
    )
    yield Figure(
        "write lock held at a time, longest",
        float(longest_lock) * 1_000,
        "ms",
        at_most=250,
        note="asked for every millisecond; PUTs and the load together",
    )
    for percent in (50, 99):
        yield Figure(
            f"read of one key while a load runs, p{percent}",
            percentile(reads.seconds, percent) * 1_000,
            "ms",
            floor=percentile(calm_reads.seconds, percent) * 1_000,
        )
    yield Figure(
        "longest read while a load runs",
        max(reads.seconds) * 1_000,
        "ms",
        at_most=250,
        floor=max(calm_reads.seconds) * 1_000,
        note=f"{len(reads.seconds):,} reads",
    )
    shutil.rmtree(folder)


def _ask_both(
    address: Address, known: Sequence[StreamedRecord], supply: Iterator[StreamedRecord], *, seconds: float
) -> tuple[Answers, Answers]:
    """Put records and read keys, each at its rate, for these seconds."""
    puts: list[Answers] = []
    putting = threading.Thread(
        target=lambda: puts.append(
            run_open_loop(address.port, _puts(address, supply), rate=_PUTS_A_SECOND, seconds=seconds)
        )
    )
    putting.start()
    reads = run_open_loop(address.port, _reads(address, known), rate=_READS_A_SECOND, seconds=seconds)
    putting.join()
    for answers in (*puts, reads):
        if answers.refused:
            raise RuntimeError(f"{answers.refused} requests were refused: {answers.first_refusal!r}")
    return puts[0], reads


def _puts(address: Address, supply: Iterator[StreamedRecord]) -> Iterator[bytes]:
    for one in supply:
        yield make_request(
            "PUT",
            f"/v1/sources/{one.source}/records/{quote(one.key, safe='')}",
            api_key=address.api_key,
            body=orjson.dumps(one.body()),
        )


def _reads(address: Address, known: Sequence[StreamedRecord]) -> Iterator[bytes]:
    for one in itertools.cycle(known):
        path = f"/v1/sources/{one.source}/records/{quote(one.key, safe='')}/cid"
        yield make_request("GET", path, api_key=address.api_key)


def _start_probe(store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.lock_probe", str(store)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
