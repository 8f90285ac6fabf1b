"""What a load reads at once is what the calls for single records return."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from identity.store_sql import bulk_reads
from identity.store_sql.bulk_reads import iter_key_holders, iter_profiles, read_members, read_opened_members
from matching.model import decode_profile
from tests.promises.world import State, World, open_world


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_world(url, tmp_path) as world:
        world.tell(
            *(State(("crm", str(at)), {"email": (f"m{at // 2}",), "place": f"p{at}"}) for at in range(12))
        )
        world.tell(State(("crm", "3"), None))
        yield world


@pytest.mark.parametrize("scan", [0, 8])
def test_holders_of_keys_are_found_by_look_up_and_by_reading_the_table(
    world: World, monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    monkeypatch.setattr(bulk_reads, "_SCAN_ROWS_A_KEY", scan * 10_000)
    monkeypatch.setattr(bulk_reads, "_ROWS_A_PART", 100)
    with world.identity.store.inspect() as tx:
        rows = {tuple(row) for row in tx.connection.execute(text("SELECT h, pid FROM blocking_key"))}
        held = sorted({key for key, _ in rows})
        asked = np.array(sorted({*held[::2], 1, -(2**63), 2**63 - 1}), dtype=np.int64)

        found = [
            (int(key), int(pid))
            for keys, pids in iter_key_holders(tx, asked, limit=3)
            for key, pid in zip(keys, pids, strict=True)
        ]

    assert len(found) == len(set(found))
    assert set(found) == {row for row in rows if row[0] in held[::2]}
    assert len(found) > 4


def test_members_and_profiles_are_those_of_single_reads(world: World) -> None:
    sealer = world.identity.store.sealer
    with world.identity.store.inspect() as tx:
        ids = set(
            tx.connection.scalars(text("SELECT component_id FROM record WHERE component_id IS NOT NULL"))
        )
        rows = tx.read_members(ids)
        pids = [row.pid for row in rows if row.pid is not None]
        single = tx.read_profiles(pids)

        members = read_members(tx, ids)
        opened = read_opened_members(tx, ids, sealer=sealer)
        profiles = {
            pid: (source, decode_profile(one))
            for pid, source, one in iter_profiles(tx, [*pids, 0], sealer=sealer)
        }
        assert read_members(tx, ()) == []

    assert len(rows) == 11
    assert sorted(members) == sorted(
        (row.rid, row.pid, row.component_id, row.component_level, row.cid, row.is_tied) for row in rows
    )
    assert sorted(one.place for one in opened) == sorted(members)
    assert {one.ref: decode_profile(one.profile) for one in opened} == {
        row.ref: single[row.pid or 0][1] for row in rows
    }
    assert profiles == single
