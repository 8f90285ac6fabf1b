"""Read what thousands of keys or CIDs stand for in one statement, as columns.

They go to the store as one text, and the answers come back as one text: the driver's work on each element of
an array, and on each row, costs more than finding it.
Invariant: the columns have the length and the order of what was asked; all of it is one state of the store.
Elsewhere: one key (`identity.store_sql.key_reader`), the questions (`identity.look_up`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from identity.model import FOREVER, Cid, Instant, KeyStatus

__all__ = ["read_cid_rows", "read_cid_statuses", "read_key_columns"]

_POSTGRES: Final = "postgresql"
_MARKS: Final = {"postgresql": "%s", "sqlite": "?"}
_JOINS: Final = {"postgresql": "string_agg", "sqlite": "group_concat"}
_SEPARATOR: Final = "\n"
_NEVER_STORED: Final = re.compile("[\n\x00]")
_NAMED: Final = "="
"""Stands before the name of an alternate key, so that no name and an empty one are two things."""

# The record that a key of either kind names.
_FIND_RID: Final = (
    "CASE k.name WHEN '' THEN (SELECT o.rid FROM record o WHERE o.source = k.source AND o.key = k.key) "
    "ELSE (SELECT max(a.rid) FROM alternate_key a "
    "WHERE a.source = k.source AND a.name = substr(k.name, 2) AND a.value = k.key) END"
)


def read_key_columns(
    connection: Connection,
    sources: Sequence[str],
    keys: Sequence[str],
    names: Sequence[str | None] | None = None,
    *,
    valid_at: Instant | None = None,
    known_at: Instant | None = None,
) -> tuple[list[Cid | None], list[str]]:
    """Return the CIDs and the statuses (texts of `KeyStatus`) of the records that the keys name.

    Args:
        names: of alternate keys, None for a record's own key; None if there is no alternate key at all.
        valid_at: in the source's time; None asks for what holds now.
        known_at: in our time; None asks for what is believed now.

    Cost: one round trip; 2 to 3 µs a current key in the store.
    """
    if not keys:
        return [], []
    columns = [sources, keys]
    is_named = names is not None and any(name is not None for name in names)
    if names is not None and is_named:
        columns.append([_mark_name(name) for name in names])
    is_current = valid_at is None and known_at is None
    sql = _key_sql(
        connection.dialect.name,
        is_named=is_named,
        times=None if is_current else (valid_at is not None, known_at is not None),
    )
    times = [at for at in (known_at, valid_at) if at is not None for _ in range(2)]
    cids, statuses = _ask(connection, sql, _texts(connection, columns), times)[0]
    if cids is None:  # a single key, and an empty one: PostgreSQL takes it for no key
        return [None], [KeyStatus.UNKNOWN.value]
    return (
        [cid or None for cid in cids.split(",")],
        [status or KeyStatus.UNKNOWN.value for status in statuses.split(",")],
    )


def read_cid_statuses(
    connection: Connection, cids: Sequence[str], known_at: Instant | None
) -> list[str | None]:
    """Return the status (text of a `CidStatus`) of each CID; None for one never issued."""
    if not cids:
        return []
    sql = _cid_status_sql(connection.dialect.name, is_past=known_at is not None)
    times = [] if known_at is None else [known_at, known_at]
    statuses = _ask(connection, sql, _texts(connection, [cids]), times)[0][0]
    return [None] if statuses is None else [status or None for status in statuses.split(",")]


def read_cid_rows(
    connection: Connection, cids: Collection[str], known_at: Instant | None
) -> list[tuple[Cid, str, str | None]]:
    """Return (CID, status, successors as JSON) of those of the CIDs that were issued, in any order."""
    if not cids:
        return []
    sql = _cid_row_sql(connection.dialect.name, is_past=known_at is not None)
    times = [] if known_at is None else [known_at, known_at]
    return _ask(connection, sql, _texts(connection, [sorted(cids)]), times)


def _ask(connection: Connection, sql: str, texts: Sequence[str], times: Sequence[Instant]) -> list[Any]:
    cursor: Any = connection.connection.cursor()
    rows: list[Any] = cursor.execute(sql, (*texts, *times)).fetchall()
    return rows


def _texts(connection: Connection, columns: Sequence[Sequence[str]]) -> list[str]:
    """Return columns as the store takes them: a text each, or one of all rows."""
    joined = [_join(column) for column in columns]
    if connection.dialect.name == _POSTGRES:
        return [text for _, text in joined]
    return [orjson.dumps(list(zip(*(column for column, _ in joined), strict=True))).decode()]


def _mark_name(name: str | None) -> str:
    if name is None:
        return ""
    return _NAMED if _NEVER_STORED.search(name) else _NAMED + name


def _join(texts: Sequence[str]) -> tuple[Sequence[str], str]:
    """Return the texts and one text of them; one with a character that none stored has becomes empty, as none is."""
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) >= len(texts) or "\x00" in joined:
        texts = ["" if _NEVER_STORED.search(text) else text for text in texts]
        joined = _SEPARATOR.join(texts)
    return texts, joined


@lru_cache
def _key_sql(dialect: str, *, is_named: bool, times: tuple[bool, bool] | None) -> str:
    asked = _asked(dialect, "source", "key", "name") if is_named else _asked(dialect, "source", "key")
    if is_named:
        found = f"(SELECT k.place, {_FIND_RID} AS rid FROM {asked}) k"
    elif times is not None:
        found = f"{asked} LEFT JOIN record o ON o.source = k.source AND o.key = k.key"
    else:
        found = f"{asked} LEFT JOIN record r ON r.source = k.source AND r.key = k.key"
    if times is not None:
        mark, has_valid_at, has_known_at = _MARKS[dialect], *times
        valid = (
            f"r.valid_from <= {mark} AND r.valid_to > {mark}" if has_valid_at else f"r.valid_to = {FOREVER}"
        )
        owner = "k" if is_named else "o"
        found += (
            f" LEFT JOIN crosswalk_history r ON r.rid = {owner}.rid"
            f" AND {_known(dialect, is_past=has_known_at)} AND {valid}"
        )
    elif is_named:
        found += " LEFT JOIN record r ON r.rid = k.rid"
    # An aggregate reads a sorted subquery in its order, in both stores; sorting inside each sorts twice.
    cids, statuses = (_joined(dialect, column) for column in ("cid", "status"))
    return f"SELECT {cids}, {statuses} FROM (SELECT r.cid, r.status FROM {found} ORDER BY k.place) found"


@lru_cache
def _cid_status_sql(dialect: str, *, is_past: bool) -> str:
    return (
        f"SELECT {_joined(dialect, 'status')} FROM (SELECT r.status FROM {_asked(dialect, 'cid')} "
        f"LEFT JOIN cid_state r ON r.cid = k.cid AND {_known(dialect, is_past=is_past)} "
        "ORDER BY k.place) found"
    )


@lru_cache
def _cid_row_sql(dialect: str, *, is_past: bool) -> str:
    return (
        f"SELECT r.cid, r.status, r.successors FROM {_asked(dialect, 'cid')} "
        f"JOIN cid_state r ON r.cid = k.cid AND {_known(dialect, is_past=is_past)}"
    )


def _asked(dialect: str, *names: str) -> str:
    """Return the columns asked about as a table k, with the place of each row."""
    if dialect == _POSTGRES:
        arrays = ", ".join("string_to_array(%s, E'\\n')" for _ in names)
        return f"unnest({arrays}) WITH ORDINALITY k({', '.join(names)}, place)"
    members = ", ".join(f"value ->> {index} AS {name}" for index, name in enumerate(names))
    return f"(SELECT key AS place, {members} FROM json_each(?)) k"


def _known(dialect: str, *, is_past: bool) -> str:
    mark = _MARKS[dialect]
    return f"r.system_from <= {mark} AND r.system_to > {mark}" if is_past else f"r.system_to = {FOREVER}"


def _joined(dialect: str, column: str) -> str:
    return f"{_JOINS[dialect]}(coalesce({column}, ''), ',')"
