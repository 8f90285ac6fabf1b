"""Customers that a load merges and splits are told of it, as one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from identity.model import RecordRef
from tests.identity.bulk.loads import Loads, settle
from tests.promises.audit import assert_sound
from tests.promises.world import ONE_EACH, State, World, open_world

ULM = ("ulm",)
STORED = State(("crm", "y"), {"email": ("ann", "bob"), "city": ULM}, version=1)
FAR = State((ONE_EACH, "x"), {"email": ("ann",)}, version=1)
NEAR = {"email": ("ann",), "city": ULM}


@pytest.fixture
def loads() -> Iterator[Loads]:
    with pytest.MonkeyPatch.context() as patch:
        yield Loads(patch)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_world(url, tmp_path) as world:
        yield world


def cid_of(world: World, source: str, key: str) -> str | None:
    return world.identity.look_up([RecordRef(source, key)]).rows[0][0]


def events_of(world: World) -> list[tuple[str, ...]]:
    """Return (type, source, key, whether another CID was before, cause) of all events, in order."""
    with world.identity.store.read() as connection:
        rows = connection.execute(
            text(
                "SELECT e.type, r.source, r.key, e.previous_cid IS NULL, e.version FROM event e "
                "JOIN record r ON r.rid = e.rid ORDER BY e.known_at, r.source, r.key"
            )
        )
        return [tuple(row) for row in rows]


def finish(world: World) -> None:
    settle(world)
    world.check()
    assert_sound(world.identity)


@pytest.mark.parametrize("is_bulk", [True, False])
def test_customers_that_a_load_merges_are_told_as_one_by_one(
    world: World, loads: Loads, is_bulk: bool
) -> None:
    world.tell(
        *(
            State(("crm", key), {"email": (email,), "city": ULM}, version=1)
            for key, email in (("1", "ann"), ("2", "bob"))
        )
    )
    first, second = cid_of(world, "crm", "1"), cid_of(world, "crm", "2")
    bridge = State(("crm", "3"), {"email": ("ann", "bob"), "city": ULM}, version=1)

    if is_bulk:
        report = loads.load(world, "crm", [bridge])
        assert report.outcomes == {"merged": 1}
        assert report.customers_issued == 0
    else:
        world.tell(bridge)

    assert [cid_of(world, "crm", key) for key in "123"] == [first] * 3
    assert [one[:3] for one in events_of(world)[2:]] == [("merged", "crm", "2"), ("linked", "crm", "3")]
    assert world.identity.get_cid(second or "").successors == (first,)
    finish(world)


@pytest.mark.parametrize("is_bulk", [True, False])
def test_a_customer_that_a_load_splits_is_told_and_takes_its_cid_back(
    world: World, loads: Loads, is_bulk: bool
) -> None:
    """Of a source with one record a customer the nearer record comes, goes, and another comes."""
    world.tell(STORED, FAR)
    first = cid_of(world, "crm", "y")
    assert cid_of(world, ONE_EACH, "x") == first

    def come(key: str) -> None:
        state = State((ONE_EACH, key), NEAR, version=1)
        if is_bulk:
            report = loads.load(world, ONE_EACH, [state])
            assert report.outcomes == {"split": 1}
        else:
            world.tell(state)

    come("1")
    second = cid_of(world, ONE_EACH, "x")
    world.tell(State((ONE_EACH, "1"), None, version=2))
    assert cid_of(world, ONE_EACH, "x") == first
    come("2")

    assert second != first
    assert cid_of(world, ONE_EACH, "x") == second
    assert cid_of(world, "crm", "y") == cid_of(world, ONE_EACH, "2") == first
    assert [one[0] for one in events_of(world) if one[1:3] == (ONE_EACH, "x")] == [
        "linked",
        "split",
        "merged",
        "split",
    ]
    finish(world)
