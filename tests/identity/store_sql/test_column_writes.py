"""Columns come into the store as the rows that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import text

from identity.model import FOREVER
from identity.store_sql import tables
from identity.store_sql.column_writes import insert_columns
from tests.promises.world import make_identity

INT8 = np.array([2**62, -(2**62), 0], dtype=np.int64)
TEXTS = pa.array(["", "Žižková 😀", None], pa.string())
BLOBS = pa.array([b"\x00\xff", None, b""], pa.binary())

CASES: dict[str, dict[str, Any]] = {
    "blocking_key": {"h": INT8, "pid": np.array([1, 2, 3])},
    "cid_state": {
        "cid": pa.array(["a", "b", "ü"]), "system_from": 5, "system_to": FOREVER, "status": "live", "successors": TEXTS,
    },
    "record_version": {
        "vid": np.array([1, 2, 3]), "rid": 7, "version": pa.array([None, 5, -1], pa.int64()), "effective_at": None,
        "known_at": INT8, "superseded_at": FOREVER, "digest": b"\x01\x02", "contract_version": -3, "author": "möwe",
        "sealed_statement": BLOBS, "sealed_profile": pa.array([b"x", b"y" * 70_000, b"z"]).slice(0, 3),
    },
    "record": {
        "rid": np.array([1, 2, 3]), "source": "crm", "key": pa.array(["x", "a", "b", "c"]).slice(1), "pid": INT8,
        "component_id": None, "component_level": np.array([0, -1, 7]), "cid": TEXTS, "status": "live", "vid": 1,
        "version": pa.array([1, 2, None, 4], pa.int64()).slice(1), "effective_at": INT8, "digest": b"d",
        "contract_version": 1, "key_version": np.array([1, 2, 3]), "first_valid_from": 1, "valid_from": 2,
        "system_from": 3, "is_tied": True, "data_key": b"key",
    },
}  # fmt: skip


@pytest.mark.parametrize("place", ["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
@pytest.mark.parametrize("table", list(CASES))
def test_columns_are_read_back_as_rows(
    request: pytest.FixtureRequest, tmp_path: Path, place: str, table: str
) -> None:
    url = request.getfixturevalue("postgres_url") if place == "postgres" else None
    identity = make_identity(url, tmp_path)
    columns = CASES[table]
    lists = [
        one.tolist() if isinstance(one, np.ndarray) else one.to_pylist() if isinstance(one, pa.Array) else [one] * 3
        for one in columns.values()
    ]  # fmt: skip

    with identity.store.write() as tx:
        insert_columns(tx, table, columns, count=3)
        insert_columns(tx, table, columns, count=0)

    names = ", ".join(f'"{column.name}"' for column in tables.metadata.tables[table].columns)
    with identity.store.read() as connection:
        rows = [
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in connection.execute(text(f"SELECT {names} FROM {table}"))
        ]
    identity.close()
    assert sorted(rows, key=repr) == sorted(zip(*lists, strict=True), key=repr)
