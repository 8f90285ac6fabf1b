"""Write the crosswalk and the CIDs to Parquet, so that consumers join with their own compute.

Invariant: a file shows one state of the store, and appears under its name only when it is complete.
Times are UTC with microseconds; an interval without an end has null there. The crosswalk's file has the
cursor from which the feed of changes goes on in its metadata (`sameas.cursor`): taken before the state is read, so
that nothing lies between; what comes twice has a `version` that the file has already.
Elsewhere: reading single keys and CIDs (`identity.look_up`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Select, and_, func, select

from identity.assign import follow_successors
from identity.errors import ExportUnwritable
from identity.look_up import read_cid_states
from identity.model import FOREVER, CidStatus, KeyStatus
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore

__all__ = ["CURSOR_METADATA", "export_cids", "export_crosswalk", "export_history"]

CURSOR_METADATA: Final = "sameas.cursor"
"""Where a file of the crosswalk says from where the feed goes on."""
_BATCH: Final = 50_000
_TIME: Final = pa.timestamp("us", tz="UTC")
_CROSSWALK: Final = pa.schema(
    [
        ("source", pa.string()),
        ("key", pa.string()),
        ("cid", pa.string()),
        ("system_from", _TIME),
        ("version", pa.int64()),
    ]
)
_HISTORY: Final = pa.schema(
    [
        ("source", pa.string()),
        ("key", pa.string()),
        ("cid", pa.string()),
        ("status", pa.string()),
        ("valid_from", _TIME),
        ("valid_to", _TIME),
        ("system_from", _TIME),
        ("system_to", _TIME),
    ]
)
_CIDS: Final = pa.schema(
    [
        ("cid", pa.string()),
        ("status", pa.string()),
        ("current_cid", pa.string()),
        ("system_from", _TIME),
        ("system_to", _TIME),
    ]
)


def export_crosswalk(store: SqlStore, path: Path, *, cursor: str) -> int:
    """Write (source, key, cid, system_from, version) of every live key; return how many rows.

    `system_from` is when we came to believe it, `version` counts the changes of the key.

    Args:
        cursor: of the feed of changes, taken before this call.
    """
    record, history = tables.record, tables.crosswalk_history
    query = (
        select(record.c.source, record.c.key, record.c.cid, history.c.system_from, record.c.key_version)
        .join(
            history,
            and_(
                history.c.rid == record.c.rid, history.c.system_to == FOREVER, history.c.valid_to == FOREVER
            ),
        )
        .where(record.c.status == KeyStatus.LIVE.value)
        .order_by(record.c.source, record.c.key)
    )
    with store.read() as connection, closing(_stream(connection, query)) as rows:
        return _write(path, _CROSSWALK.with_metadata({CURSOR_METADATA: cursor}), rows)


def export_history(store: SqlStore, path: Path) -> int:
    """Write every row that the crosswalk ever had, on both clocks; return how many rows."""
    record, history = tables.record, tables.crosswalk_history
    columns = [record.c.source, record.c.key, *(history.c[name] for name in _HISTORY.names[2:])]
    query = (
        select(*columns)
        .join(history, history.c.rid == record.c.rid)
        .order_by(record.c.source, record.c.key, history.c.system_from, history.c.valid_from)
    )
    with store.read() as connection, closing(_stream(connection, query)) as rows:
        return _write(path, _HISTORY, ((*row[:5], _end(row[5]), row[6], _end(row[7])) for row in rows))


def export_cids(store: SqlStore, path: Path) -> int:
    """Write every CID ever issued with the live CIDs it stands for; return how many rows.

    A live CID stands for itself; one row for each live successor, one with null where there is none.
    The times say from when to when the CID was live; one that lives again has no end.
    """
    state = tables.cid_state
    issued = (
        select(state.c.cid, func.min(state.c.system_from).label("issued_at")).group_by(state.c.cid).subquery()
    )
    query = (
        select(state.c.cid, state.c.status, issued.c.issued_at, state.c.system_from)
        .join(issued, issued.c.cid == state.c.cid)
        .where(state.c.system_to == FOREVER)
        .order_by(state.c.cid)
    )
    with store.read() as connection, closing(_stream(connection, query)) as rows:
        return _write(path, _CIDS, _iter_cid_rows(connection, rows))


def _iter_cid_rows(connection: Connection, rows: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
    while batch := list(islice(rows, _BATCH)):
        retired = [
            cid for cid, status, _, _ in batch if status in (CidStatus.MERGED.value, CidStatus.SPLIT.value)
        ]
        states = read_cid_states(connection, retired, None)
        for cid, status, issued_at, since in batch:
            if status == CidStatus.LIVE.value:
                yield cid, status, cid, issued_at, None
                continue
            for current in (follow_successors(cid, states) if cid in states else ()) or (None,):
                yield cid, status, current, issued_at, since


def _stream(connection: Connection, query: Select[Any]) -> Generator[Any, None, None]:
    """Yield the rows as they come; closed in time, so is the server's cursor."""
    with connection.execute(query.execution_options(yield_per=_BATCH)) as result:
        yield from result


def _end(instant: int) -> int | None:
    return None if instant == FOREVER else instant


def _write(path: Path, schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> int:
    partial = path.with_name(path.name + ".partial")
    remaining = iter(rows)
    count = 0
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            while batch := list(islice(remaining, _BATCH)):
                columns = zip(*batch, strict=True)
                arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                count += len(batch)
        partial.replace(path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise ExportUnwritable(
            f"{path.name} cannot be written: {exc.strerror or 'no space or no right'}."
        ) from exc
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return count
