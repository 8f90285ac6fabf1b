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
_ROWS_A_PART: Final = 250_000
_KEY_MIN: Final = -(2**63)
_ARRAY_HEAD_BYTES: Final = 20
_ELEMENT: Final = np.dtype([("size", ">i4"), ("value", ">i8")])


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
        yield from _read_key_holders(tx, keys, limit=limit)
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


def _read_key_holders(tx: PostgresTransaction, keys: _Ids, *, limit: int) -> Iterator[tuple[_Ids, _Ids]]:
    cursor = _cursor(tx)
    ((size,),) = cursor.execute("SELECT pg_total_relation_size('blocking_key')").fetchall()
    if size <= len(keys) * _SCAN_ROWS_A_KEY * _ROW_BYTES:
        # Keys are hashes, so equal parts of their range hold about as many rows each.
        parts = 1 + size // (_ROWS_A_PART * _ROW_BYTES)
        borders = [_KEY_MIN + (place << 64) // parts for place in range(parts)]
        for first, last in zip(
            borders, [*(border - 1 for border in borders[1:]), -_KEY_MIN - 1], strict=True
        ):
            held, pids = _read_columns(
                cursor, "SELECT h, pid FROM blocking_key WHERE h BETWEEN %s AND %s", [first, last]
            )
            places = np.minimum(np.searchsorted(keys, held), len(keys) - 1)
            is_wanted = keys[places] == held
            yield held[is_wanted], pids[is_wanted]
        return
    for start in range(0, len(keys), _KEYS_A_QUERY):
        yield _read_columns(
            cursor,
            "SELECT k.h, b.pid FROM unnest(%s::int8[]) k(h) "
            "CROSS JOIN LATERAL (SELECT pid FROM blocking_key WHERE h = k.h LIMIT %s) b",
            [keys[start : start + _KEYS_A_QUERY].tolist(), limit],
        )


def _read_columns(cursor: Any, query: str, parameters: list[Any]) -> tuple[_Ids, _Ids]:
    """Return the two integer columns of a query as arrays: the server packs each into one value."""
    packed = f"SELECT array_send(array_agg(h)), array_send(array_agg(pid)) FROM ({query}) q(h, pid)"
    ((keys, pids),) = cursor.execute(packed, parameters).fetchall()
    return _unpack(keys), _unpack(pids)


def _unpack(array: bytes | None) -> _Ids:
    """Return the numbers of an array in PostgreSQL's binary form, which has one dimension and no nulls."""
    if array is None:
        return np.empty(0, dtype=np.int64)
    values = np.frombuffer(array, dtype=_ELEMENT, offset=_ARRAY_HEAD_BYTES)["value"]
    return values.astype(np.int64)


def _cursor(tx: SqlTransaction) -> Any:
    connection: Any = tx.connection.connection
    if isinstance(tx, PostgresTransaction):
        return connection.driver_connection.cursor(binary=True)
    return connection.cursor()
