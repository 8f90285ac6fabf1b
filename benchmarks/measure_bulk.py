"""Bulk: a whole population into an empty PostgreSQL by `sameas load`, and the rates with all of it stored.

Measured at the full size and at a tenth of it: time, memory, and the rates of resolving and of lookups.
Floor: COPY of the same rows into the same tables, indexes in place, on two connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from pydantic import SecretStr

from benchmarks.figures import Figure
from benchmarks.measure_lookup import look_up_many, look_up_single
from benchmarks.measure_resolve import F1_LOSS_MAX, resolve_after_warm_up
from benchmarks.population import read_refs
from benchmarks.stage import LoadedStore, Stage, run_sameas, serve
from identity.model import Cid, RecordRef
from identity.store_sql import tables
from service.bootstrap import bootstrap_identity
from service.settings import Settings

__all__ = ["measure_bulk"]

_LOOK_UP_KEYS: Final = 10_000
_STREAMED_MAX: Final = 20_000
_COPIED: Final = (
    (tables.blocking_key, tables.event, tables.cid_state),
    (tables.record, tables.record_version, tables.crosswalk_history, tables.profile, tables.alternate_key),
)


@dataclass(frozen=True, slots=True)
class _Rates:
    resolve: float
    single: float
    many: float


def measure_bulk(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    full, tenth = stage.sizes.bulk, stage.sizes.bulk // 10
    large, small = stage.loaded(full), stage.loaded(tenth)
    is_full = full >= 1_000_000
    looked_up_s = _look_up_all(stage, large)
    total_s = large.total_s + looked_up_s
    yield Figure(
        f"bulk load of {full:,} records, CIDs looked up",
        total_s,
        "s",
        at_most=120 if is_full else None,
        floor=_copy_rows(stage, large),
        counts=abs(large.f1 - small.f1) <= F1_LOSS_MAX or large.f1 > small.f1,
        note=", ".join(f"{source} {seconds:.1f} s" for source, seconds in large.seconds.items())
        + f", looked up in {looked_up_s:.1f} s",
    )
    yield Figure(
        "peak memory of its processes",
        large.peak_bytes / 2**30,
        "GB",
        at_most=4 if is_full else None,
        note="resident, shared pages counted for each process; the server's not",
    )
    yield Figure("clustered F1 after it", large.f1, "", note=f"{small.f1:.4f} at {tenth:,}")
    small_s = small.total_s + _look_up_all(stage, small)
    yield Figure(
        f"time for {full:,} over time for {tenth:,}",
        total_s / small_s,
        "times",
        at_most=12,
        note=f"{small_s:.1f} s for {tenth:,}",
    )
    at_small, at_large = _measure_rates(stage, small), _measure_rates(stage, large)
    for name, ours, base in (
        ("resolve by NDJSON", at_large.resolve, at_small.resolve),
        ("lookup of one key", at_large.single, at_small.single),
        ("lookup of 10,000 keys", at_large.many, at_small.many),
    ):
        yield Figure(
            f"{name} at {full:,} stored, of the rate at {tenth:,}",
            100 * ours / base,
            "%",
            at_least=80,
            note=f"{ours:,.0f}/s and {base:,.0f}/s",
        )


def _measure_rates(stage: Stage, loaded: LoadedStore) -> _Rates:
    refs = list(read_refs(loaded.population))
    with stage.database(like=loaded.url) as url:
        streamed = loaded.population.streamed[:_STREAMED_MAX]
        one_by_one, at_once = resolve_after_warm_up(stage, url, streamed)
        with serve(stage.new_folder("serve"), {"SAMEAS_DATABASE_URL": url}) as address:
            look_up_single(address, refs, seconds=1)
            single = look_up_single(address, refs, seconds=stage.sizes.seconds)
            many = look_up_many(address, refs, seconds=stage.sizes.seconds)
    return _Rates(max(one_by_one.rate, at_once.rate), single, many)


def _look_up_all(stage: Stage, loaded: LoadedStore) -> float:
    """Return the seconds that looking up every key takes; raises unless each has a CID."""
    settings = Settings(database_url=SecretStr(loaded.url), data_dir=stage.new_folder("look-up"))
    identity = bootstrap_identity(settings)
    try:
        refs = [RecordRef(source, key) for source, key in read_refs(loaded.population)]
        started = time.perf_counter()
        cids: set[Cid | None] = set()
        for at in range(0, len(refs), _LOOK_UP_KEYS):
            cids.update(cid for cid, _ in identity.look_up(refs[at : at + _LOOK_UP_KEYS]).rows)
        elapsed = time.perf_counter() - started
    finally:
        identity.close()
    if None in cids:
        raise RuntimeError("a loaded record has no CID")
    return elapsed


def _copy_rows(stage: Stage, loaded: LoadedStore) -> float:
    """Return the seconds that the server takes to COPY the same rows into an empty store."""
    folder = stage.new_folder("copy")
    with stage.database() as url:
        run_sameas("migrate", environment={"SAMEAS_DATABASE_URL": url, "SAMEAS_DATA_DIR": str(folder)})
        with psycopg.connect(loaded.url) as source:
            for table in (table for share in _COPIED for table in share):
                statement = f"COPY {table.name} TO STDOUT (FORMAT BINARY)".encode()
                with (folder / table.name).open("wb") as file, source.cursor().copy(statement) as copy:
                    for piece in copy:
                        file.write(piece)
        stage.checkpoint()
        started = time.perf_counter()
        threads = [
            threading.Thread(target=_copy_share, args=(url, folder, [table.name for table in share]))
            for share in _COPIED
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started


def _copy_share(url: str, folder: Path, names: list[str]) -> None:
    with psycopg.connect(url) as connection:
        for name in names:
            statement = f"COPY {name} FROM STDIN (FORMAT BINARY)".encode()
            with (folder / name).open("rb") as file, connection.cursor().copy(statement) as copy:
                while piece := file.read(1 << 20):
                    copy.write(piece)
