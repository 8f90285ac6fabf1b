"""What a load writes of new records is what the resolver writes, ids and instants apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from identity.model import FOREVER
from tests.identity.bulk.loads import Loads
from tests.promises.world import ONE_EACH, State, World, open_world

_STORED = [State((ONE_EACH, "0"), {"email": ("ann",)}, version=1), State(("crm", "8"), {"email": ("far",)})]
_STATES = [
    State(("crm", "1"), {"email": ("ann",), "place": "rome"}, version=1, effective_at=5_000_000),
    State(("crm", "2"), {"email": ("bob",)}, version=None, effective_at=None),
    State(("crm", "3"), {"email": ("bob",), "place": "oslo"}, version=7),
    State(("crm", "4"), {"email": ("bob",)}, version=None),
    State(("crm", "ü"), {}, version=3),
    State(("crm", "5"), {"email": ("cid",), "kind": "person"}),
    State(("crm", "6"), {"email": ("cid",), "kind": "organisation"}),
]


@pytest.fixture
def loads() -> Iterator[Loads]:
    with pytest.MonkeyPatch.context() as patch:
        yield Loads(patch, slice_records=100)


@pytest.mark.parametrize("place", ["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def test_a_load_writes_the_rows_of_the_resolver(
    request: pytest.FixtureRequest, tmp_path: Path, loads: Loads, place: str
) -> None:
    url = request.getfixturevalue("postgres_url") if place == "postgres" else None
    found = []
    for number, is_bulk in enumerate((True, False)):
        with open_world(url, tmp_path / str(number)) as world:
            world.empty()
            world.tell(*_STORED)
            if is_bulk:
                loads.load(world, "crm", _STATES)
            else:
                world.tell(*_STATES)
            found.append(rows_of(world))

    assert found[0] == found[1]
    assert len(found[0]) == len(_STORED) + len(_STATES)


def rows_of(world: World) -> dict[tuple[str, str], Any]:
    """Return by record what is stored of it; instants of the system as True, CIDs as the records that bear them."""
    with world.identity.store.inspect() as tx:

        def query(sql: str) -> list[Any]:
            return [tuple(row) for row in tx.connection.execute(text(sql))]

        names = {row[0]: (row[1], row[2]) for row in query("SELECT rid, source, key FROM record")}
        bearers: dict[str, set[tuple[str, str]]] = {}
        for rid, cid in query("SELECT rid, cid FROM record"):
            bearers.setdefault(cid, set()).add(names[rid])
        found: dict[tuple[str, str], Any] = {}
        for row in tx.read_records_by_rid(list(names)):
            version = tx.read_version(row.vid)
            stated = [
                at if at in (5_000_000, FOREVER) else True for at in (row.first_valid_from, row.valid_from)
            ]
            found[row.ref] = [
                sorted(bearers[row.cid or ""]), row.component_level, row.status, row.version, row.effective_at,
                bytes(row.digest), row.contract_version, row.key_version, row.is_tied, stated,
                version.statement, version.profile, version.author if row.source != "crm" else "",
                version.superseded_at, version.version, version.effective_at,
                {names[one.rid] for one in tx.read_members([row.component_id or 0])},
                {names[one.rid] for one in tx.read_records_of_profiles([row.pid or 0])},
            ]  # fmt: skip
        for rid, valid_from, valid_to, system_to, cid, status in query(
            "SELECT rid, valid_from, valid_to, system_to, cid, status FROM crosswalk_history"
        ):
            begins = valid_from if valid_from == 5_000_000 else True
            found[names[rid]].append(("history", begins, valid_to, system_to, sorted(bearers[cid]), status))
        for kind, rid, cid, previous, version, valid_from in query(
            "SELECT type, rid, cid, previous_cid, version, valid_from FROM event ORDER BY known_at, seq"
        ):
            begins = valid_from if valid_from == 5_000_000 else True
            found[names[rid]].append(("event", kind, sorted(bearers[cid]), previous, version, begins))
        for cid, system_to, status, successors in query(
            "SELECT cid, system_to, status, successors FROM cid_state"
        ):
            for name in bearers[cid]:
                found[name].append(("cid", system_to, status, successors))
        keys = query(
            "SELECT r.source, r.key, b.h FROM blocking_key b JOIN record r ON r.pid = b.pid ORDER BY b.h"
        )
        for source, key, h in keys:
            found[source, key].append(("key", h))
    return found
