"""SQLite: records a second through the NDJSON route, with one resolver process and every answer on disk.

Floor: the rows that were written, into a copy of the store from before, by `executemany` in transactions
of the same size with `synchronous=FULL`.
Elsewhere: PostgreSQL (`benchmarks.measure_resolve`), a load beside requests (`benchmarks.measure_beside`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pysqlite3.dbapi2 as sqlite

from benchmarks.figures import Figure
from benchmarks.measure_resolve import F1_LOSS_MAX
from benchmarks.record_stream import stream_records
from benchmarks.stage import Stage, load_sources, serve
from identity.store_sql import tables

__all__ = ["measure_sqlite"]

_BATCH: Final = 200
_STREAMED_MAX: Final = 30_000
_WARM_UP_PERCENT: Final = 10
_TABLES: Final = (
    (tables.profile, "pid"),
    (tables.blocking_key, "pid"),
    (tables.record, "rid"),
    (tables.record_version, "vid"),
    (tables.crosswalk_history, "rid"),
    (tables.cid_state, "system_from"),
    (tables.event, "seq"),
    (tables.alternate_key, "rid"),
)
"""Tables with the column that says in which order their rows were written."""


def measure_sqlite(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    population = stage.population(stage.sizes.reference)
    folder = stage.new_folder("sqlite")
    environment = {"SAMEAS_DATA_DIR": str(folder)}
    store, before = folder / "sameas.db", folder / "before.db"
    load_sources(population, environment, tell=stage.tell)
    f1_before = stage.evaluate(population, environment)
    _copy_store(store, before)
    sent = population.streamed[:_STREAMED_MAX]
    warm = len(sent) * _WARM_UP_PERCENT // 100
    with serve(folder, {}) as address:
        stream_records(address, sent[:warm])
        half = warm + (len(sent) - warm) // 2
        one_by_one = stream_records(address, sent[warm:half])
        at_once = stream_records(address, sent[half:], at_once=True)
    f1 = stage.evaluate(population, environment, streamed_count=len(sent))
    floor = _write_rows(store, before, record_count=len(sent))
    for name, streamed in (("one stream", one_by_one), ("three streams at once", at_once)):
        yield Figure(
            f"resolve by NDJSON on SQLite, {name}",
            streamed.rate,
            "records/s",
            at_least=1_500,
            floor=floor,
            counts=f1 >= f1_before - F1_LOSS_MAX,
            note=f"{population.stored_count:,} stored",
        )
    yield Figure("clustered F1 after it", f1, "", note=f"{f1_before:.4f} before")
    shutil.rmtree(folder)


def _copy_store(store: Path, copy: Path) -> None:
    source, target = sqlite.connect(str(store)), sqlite.connect(str(copy))
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()


def _write_rows(store: Path, before: Path, *, record_count: int) -> float:
    """Write what the store has more than the copy into the copy; return records a second."""
    reader = sqlite.connect(str(store))
    reader.execute("ATTACH ? AS old", (str(before),))
    rows: list[tuple[str, list[tuple[Any, ...]]]] = []
    for table, order in _TABLES:
        same = " AND ".join(f'o."{column.name}" = t."{column.name}"' for column in table.primary_key)
        columns = ", ".join(f't."{column.name}"' for column in table.columns)
        found = reader.execute(
            f"SELECT {columns} FROM main.{table.name} t WHERE NOT EXISTS "
            f"(SELECT 1 FROM old.{table.name} o WHERE {same}) ORDER BY t.{order}"
        ).fetchall()
        if found:
            statement = f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"
            rows.append((statement, found))
    reader.close()
    writer = sqlite.connect(str(before), isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "mmap_size=268435456"):
        writer.execute(f"PRAGMA {pragma}")
    parts = -(-record_count // _BATCH)
    started = time.perf_counter()
    for part in range(parts):
        writer.execute("BEGIN IMMEDIATE")
        for statement, found in rows:
            writer.executemany(
                statement, found[len(found) * part // parts : len(found) * (part + 1) // parts]
            )
        writer.execute("COMMIT")
    elapsed = time.perf_counter() - started
    writer.close()
    return record_count / elapsed
