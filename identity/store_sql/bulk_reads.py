"""Read very many rows at once for a bulk load: holders of blocking keys, members of components.

Invariant: what is returned is what the calls of a transaction return for the same rows; only fewer Python objects
are made on the way, and nothing is kept.
Elsewhere: reads of the resolve path (`identity.store_sql.transaction`), who asks (`identity.bulk.stored_side`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from identity.model import Cid, RecordRef
from identity.store_sql.postgres import PostgresTransaction
from identity.store_sql.sealing import Sealer
from identity.store_sql.transaction import SqlTransaction

__all__ = [
    "Member",
    "OpenedMember",
    "iter_key_holders",
    "iter_profiles",
    "read_members",
    "read_opened_members",
]

_Ids = npt.NDArray[np.int64]

_KEYS_A_QUERY: Final = 20_000
_SCAN_ROWS_A_KEY: Final = 8
"""Reading the whole table costs less than looking keys up while it has at most so many rows a key."""
_ROW_BYTES: Final = 100  # of blocking_key, with its index
_COPY_HEAD_BYTES: Final = 19
_COPIED: Final = np.dtype([("fields", ">i2"), ("n1", ">i4"), ("key", ">i8"), ("n2", ">i4"), ("pid", ">i8")])


class Member(NamedTuple):
    """Where a live record stands."""

    rid: int
    pid: int
    component_id: int
    component_level: int
    cid: Cid
    is_tied: bool


class OpenedMember(NamedTuple):
    """The same with its name and its profile, encoded."""

    place: Member
    ref: RecordRef
    profile: bytes


def iter_key_holders(tx: SqlTransaction, keys: _Ids, *, limit: int) -> Iterator[tuple[_Ids, _Ids]]:
    """Yield (key, pid) rows of these keys, which ascend; at least the first `limit` of each key."""
    if isinstance(tx, PostgresTransaction):
        yield from _copy_key_holders(tx, keys, limit=limit)
        return
    for start in range(0, len(keys), _KEYS_A_QUERY):
        held = tx.read_holders(keys[start : start + _KEYS_A_QUERY].tolist(), limit=limit)
        rows = np.array([(key, pid) for key, pids in held.items() for pid in pids], dtype=np.int64).reshape(
            -1, 2
        )
        yield rows[:, 0], rows[:, 1]


def iter_profiles(
    tx: SqlTransaction, pids: Sequence[int], *, sealer: Sealer
) -> Iterator[tuple[int, str, bytes]]:
    """Yield (pid, source, encoded profile) of those of the pids that are stored."""
    rows: Any
    if isinstance(tx, PostgresTransaction):
        rows = _cursor(tx).execute(
            "SELECT p.pid, r.source, r.data_key, v.sealed_profile FROM unnest(%s::int8[]) p(pid) "
            "CROSS JOIN LATERAL (SELECT vid, source, data_key FROM record WHERE pid = p.pid LIMIT 1) r "
            "JOIN record_version v ON v.vid = r.vid",
            [list(pids)],
        )
    else:
        rows = (
            row
            for pid in pids
            for row in _cursor(tx).execute(
                "SELECT r.pid, r.source, r.data_key, v.sealed_profile FROM record r "
                "JOIN record_version v ON v.vid = r.vid WHERE r.pid = ? LIMIT 1",
                (pid,),
            )
        )
    unwrap, unseal = sealer.unwrap, sealer.open
    for pid, source, wrapped, sealed in rows:
        yield pid, source, unseal(unwrap(wrapped), sealed)


def read_members(tx: SqlTransaction, component_ids: Collection[int]) -> list[Member]:
    """Return where the live records of these components stand."""
    return [
        Member(row[0], row[1], row[2], row[3], row[4], bool(row[5]))
        for row in _of_components(
            tx, "rid, pid, component_id, component_level, cid, is_tied FROM record r", component_ids
        )
    ]


def read_opened_members(
    tx: SqlTransaction, component_ids: Collection[int], *, sealer: Sealer
) -> list[OpenedMember]:
    """Return the live records of these components with their current profiles."""
    columns = (
        "r.rid, r.pid, r.component_id, r.component_level, r.cid, r.is_tied, r.source, r.key, r.data_key, "
        "v.sealed_profile FROM record r JOIN record_version v ON v.vid = r.vid"
    )
    unwrap, unseal = sealer.unwrap, sealer.open
    return [
        OpenedMember(
            Member(row[0], row[1], row[2], row[3], row[4], bool(row[5])),
            RecordRef(row[6], row[7]),
            unseal(unwrap(row[8]), row[9]),
        )
        for row in _of_components(tx, columns, component_ids)
    ]


def _of_components(tx: SqlTransaction, selected: str, component_ids: Collection[int]) -> Any:
    if not component_ids:
        return ()
    cursor = _cursor(tx)
    if isinstance(tx, PostgresTransaction):
        return cursor.execute(f"SELECT {selected} WHERE r.component_id = ANY(%s)", [sorted(component_ids)])
    marks = ", ".join(
        map(str, sorted(component_ids))
    )  # ids of our own; SQLite limits parameters, not numbers
    return cursor.execute(f"SELECT {selected} WHERE r.component_id IN ({marks})")


def _copy_key_holders(tx: PostgresTransaction, keys: _Ids, *, limit: int) -> Iterator[tuple[_Ids, _Ids]]:
    cursor = _cursor(tx)
    ((size,),) = cursor.execute("SELECT pg_total_relation_size('blocking_key')").fetchall()
    if size <= len(keys) * _SCAN_ROWS_A_KEY * _ROW_BYTES:
        cursor.execute("SET LOCAL enable_seqscan = on")  # this one statement wants every row there is
        for held, pids in _copy_out(cursor, "SELECT h, pid FROM blocking_key"):
            places = np.minimum(np.searchsorted(keys, held), len(keys) - 1)
            is_wanted = keys[places] == held
            yield held[is_wanted], pids[is_wanted]
        cursor.execute("SET LOCAL enable_seqscan = off")
        return
    for start in range(0, len(keys), _KEYS_A_QUERY):
        listed = ",".join(map(str, keys[start : start + _KEYS_A_QUERY].tolist()))
        yield from _copy_out(
            cursor,
            f"SELECT k.h, b.pid FROM unnest('{{{listed}}}'::int8[]) k(h) "
            f"CROSS JOIN LATERAL (SELECT pid FROM blocking_key WHERE h = k.h LIMIT {limit}) b",
        )


def _copy_out(cursor: Any, query: str) -> Iterator[tuple[_Ids, _Ids]]:
    """Yield the two integer columns of a query, as arrays; no row becomes a Python object."""
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
        waiting = bytearray()
        is_begun = False
        while piece := copy.read():
            waiting += piece
            if not is_begun and len(waiting) >= _COPY_HEAD_BYTES:
                del waiting[:_COPY_HEAD_BYTES]
                is_begun = True
            if len(waiting) >= 1 << 22:
                yield _take_rows(waiting)
        yield _take_rows(waiting)


def _take_rows(waiting: bytearray) -> tuple[_Ids, _Ids]:
    count = len(waiting) // _COPIED.itemsize  # the end mark is shorter than a row
    rows = np.frombuffer(bytes(waiting[: count * _COPIED.itemsize]), dtype=_COPIED)
    del waiting[: count * _COPIED.itemsize]
    return rows["key"].astype(np.int64), rows["pid"].astype(np.int64)


def _cursor(tx: SqlTransaction) -> Any:
    connection: Any = tx.connection.connection
    if isinstance(tx, PostgresTransaction):
        return connection.driver_connection.cursor(binary=True)
    return connection.cursor()
