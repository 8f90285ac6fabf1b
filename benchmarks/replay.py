"""The floor of resolving on PostgreSQL: the same rows locked, fetched, written and committed, without logic.

1. After records were resolved, take the rows that each of their transactions inserted, as the server's own
   binary COPY format, together with the blocking keys among them.
2. Play them into a copy of the store as it was before: for each transaction lock its keys, fetch who holds
   them and those profiles, COPY its rows, commit; several processes share the transactions.

Invariant: a replayer's loop does nothing but hand bytes to the driver. Updates of stored rows (a few in a
hundred) and the locks of components are left out, so the floor is somewhat too fast.
Elsewhere: the statements that the product sends (`identity.store_sql.postgres`).

    python -m benchmarks.replay DATABASE_URL FILE PART PARTS WARM_UP_PERCENT
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.machine import ROOT
from identity.store_sql import tables

__all__ = ["PlayedBatch", "main", "read_transaction_id", "replay", "take_batches"]

_TABLES: Final = (
    tables.profile,
    tables.blocking_key,
    tables.record,
    tables.record_version,
    tables.crosswalk_history,
    tables.cid_state,
    tables.event,
    tables.alternate_key,
)
_HOLDERS_MAX: Final = 101
_LOCK: Final = "SELECT count(pg_advisory_xact_lock(h)) FROM unnest(%s::int8[]) h"
_HOLDERS: Final = (
    "SELECT k.h, b.pid FROM unnest(%s::int8[]) k(h) "
    f"CROSS JOIN LATERAL (SELECT pid FROM blocking_key WHERE h = k.h LIMIT {_HOLDERS_MAX}) b"
)
_PROFILES: Final = (
    "SELECT p.pid, r.source, r.data_key, v.sealed_profile FROM unnest(%s::int8[]) p(pid) "
    "CROSS JOIN LATERAL (SELECT vid, source, data_key FROM record WHERE pid = p.pid LIMIT 1) r "
    "JOIN record_version v ON v.vid = r.vid"
)
_OPTIONS: Final = "-c enable_seqscan=off -c jit=off"
_REPLAY_S_MAX: Final = 1_800


@dataclass(frozen=True, slots=True)
class PlayedBatch:
    """What one transaction wrote: how many records, their blocking keys, each table's rows as COPY bytes."""

    record_count: int
    hashes: tuple[int, ...]
    rows: tuple[tuple[str, bytes], ...]


def read_transaction_id(database_url: str) -> int:
    """Return the id that the next transaction of the server will have, or a later one."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT pg_current_xact_id()::text::int8").fetchone()
        assert row is not None
        return int(row[0])


def take_batches(after_url: str, before_url: str, *, first_id: int, end_id: int) -> list[PlayedBatch]:
    """Return what the transactions in `[first_id, end_id)` inserted, in the order of their ids.

    Args:
        after_url: the store they wrote to.
        before_url: a copy of it from before; gets scratch tables.
    """
    with (
        psycopg.connect(after_url, autocommit=True) as after,
        psycopg.connect(before_url, autocommit=True) as before,
    ):
        for table in _TABLES:
            name = table.name
            before.execute(
                f"CREATE UNLOGGED TABLE taken_{name} AS "
                f"SELECT 0::int8 AS batch, t.* FROM {name} t LIMIT 0".encode()
            )
            with (
                after.cursor().copy(
                    f"COPY (SELECT xmin::text::int8, t.* FROM {name} t WHERE xmin::text::int8 >= {first_id} "
                    f"AND xmin::text::int8 < {end_id}) TO STDOUT (FORMAT BINARY)".encode()
                ) as source,
                before.cursor().copy(f"COPY taken_{name} FROM STDIN (FORMAT BINARY)".encode()) as target,
            ):
                for piece in source:
                    target.write(piece)
            same = " AND ".join(f't."{column.name}" = o."{column.name}"' for column in table.primary_key)
            before.execute(f"DELETE FROM taken_{name} t USING {name} o WHERE {same}".encode())
            before.execute(f"CREATE INDEX ON taken_{name} (batch)".encode())
        found = before.execute(
            "SELECT batch, count(*) FROM taken_record_version GROUP BY batch ORDER BY batch"
        ).fetchall()
        return [_take(before, int(batch), int(record_count)) for batch, record_count in found]


def replay(
    database_url: str, batches: Sequence[PlayedBatch], *, processes: int, warm_up_percent: int, folder: Path
) -> float:
    """Play the batches with this many processes; return records a second after the warm-up."""
    file = folder / "batches.pickle"
    file.write_bytes(pickle.dumps(list(batches)))
    players = [
        subprocess.Popen(
            [
                sys.executable, "-m", "benchmarks.replay",
                database_url, str(file), str(part), str(processes), str(warm_up_percent),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(processes)
    ]  # fmt: skip
    try:
        for player in players:
            assert player.stdout is not None
            player.stdout.readline()
        for player in players:
            assert player.stdin is not None
            player.stdin.write("go\n")
            player.stdin.flush()
        said = [player.communicate(timeout=_REPLAY_S_MAX)[0].split() for player in players]
    finally:
        for player in players:
            if player.poll() is None:
                player.kill()
                player.wait()
    if any(len(words) != 3 for words in said):
        raise RuntimeError("a replaying process failed; its standard error says why")
    elapsed = max(float(words[1]) for words in said) - min(float(words[0]) for words in said)
    return sum(int(words[2]) for words in said) / elapsed


def main(arguments: Sequence[str]) -> None:
    """Play a share of the batches and print when it began and ended, and how many records that were."""
    database_url, file, part, parts, warm_up_percent = arguments
    mine: list[PlayedBatch] = pickle.loads(Path(file).read_bytes())[int(part) :: int(parts)]
    with psycopg.connect(database_url, options=_OPTIONS, autocommit=True) as connection:
        print("ready", flush=True)
        sys.stdin.readline()
        warm = len(mine) * int(warm_up_percent) // 100
        for batch in mine[:warm]:
            _play(connection, batch)
        started = time.monotonic()
        for batch in mine[warm:]:
            _play(connection, batch)
        print(started, time.monotonic(), sum(batch.record_count for batch in mine[warm:]))


def _play(connection: psycopg.Connection[tuple[object, ...]], batch: PlayedBatch) -> None:
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        hashes = list(batch.hashes)
        cursor.execute(_LOCK, (hashes,)).fetchall()
        held = cursor.execute(_HOLDERS, (hashes,)).fetchall()
        cursor.execute(_PROFILES, (list({pid for _, pid in held}),)).fetchall()
        for table, rows in batch.rows:
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy:
                copy.write(rows)


def _take(before: psycopg.Connection[tuple[object, ...]], batch: int, record_count: int) -> PlayedBatch:
    hashes = before.execute("SELECT DISTINCT h FROM taken_blocking_key WHERE batch = %s ORDER BY h", [batch])
    rows: list[tuple[str, bytes]] = []
    for table in _TABLES:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f"SELECT {columns} FROM taken_{table.name} WHERE batch = {batch}"
        with before.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode()) as copy:
            content = b"".join(copy)
        if len(content) > _EMPTY_COPY_BYTES:
            rows.append((table.name, content))
    return PlayedBatch(record_count, tuple(int(str(h)) for (h,) in hashes), tuple(rows))


_EMPTY_COPY_BYTES: Final = 21
"""Header (19) and trailer (2) of PostgreSQL's binary COPY format."""


if __name__ == "__main__":
    main(sys.argv[1:])
