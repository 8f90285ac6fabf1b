"""New records of a load join the customers that the store has, as they would have joined them one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from identity.model import RecordRef
from tests.identity.bulk.loads import Loads, settle
from tests.promises.audit import assert_sound
from tests.promises.world import ONE_EACH, Judge, Name, State, World, open_world

_T = TypeVar("_T")


@pytest.fixture
def loads() -> Iterator[Loads]:
    with pytest.MonkeyPatch.context() as patch:
        yield Loads(patch)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_world(url, tmp_path) as world:
        yield world


def state(key: str, *emails: str, source: str = "crm", **statement: object) -> State:
    return State((source, key), {"email": emails, **statement}, version=1)


def cid_of(world: World, name: Name) -> str | None:
    return world.identity.look_up([RecordRef(*name)]).rows[0][0]


def events_of(world: World, *names: Name) -> list[tuple[str, ...]]:
    """Return (type, key, CID, CID before) of the events of these records, in order."""
    with world.identity.store.read() as connection:
        rows = connection.execute(
            text(
                "SELECT e.type, r.source, r.key, e.cid, e.previous_cid FROM event e JOIN record r ON r.rid = e.rid "
                "ORDER BY e.known_at, e.seq"
            )
        )
        return [(kind, key, cid, before) for kind, source, key, cid, before in rows if (source, key) in names]


def finish(world: World) -> None:
    settle(world)
    world.check()
    assert_sound(world.identity)


def test_a_new_record_takes_the_cid_of_the_customer_it_stands_with(world: World, loads: Loads) -> None:
    world.tell(state("stored", "ann"))

    report = loads.load(
        world, ONE_EACH, [state("new", "ann", source=ONE_EACH), state("far", "bob", source=ONE_EACH)]
    )

    assert cid_of(world, (ONE_EACH, "new")) == cid_of(world, ("crm", "stored"))
    assert report.outcomes == {"linked": 1, "issued": 1}
    assert [one[0] for one in events_of(world, ("crm", "stored"))] == ["issued"]
    assert [one[0] for one in events_of(world, (ONE_EACH, "new"))] == ["linked"]
    assert loads.met["new records joined with stored ones"] == 1
    finish(world)


def test_a_record_of_a_source_with_one_a_customer_comes_to_the_component_and_not_to_the_customer(
    world: World, loads: Loads
) -> None:
    world.tell(state("stored", "ann", source=ONE_EACH))

    loads.load(world, ONE_EACH, [state("new", "ann", "bob", source=ONE_EACH)])

    assert cid_of(world, (ONE_EACH, "new")) != cid_of(world, (ONE_EACH, "stored"))
    assert loads.met["new records joined with stored ones"] == 1
    finish(world)


def test_two_components_that_a_new_record_connects_become_one_and_their_customers_stay_two(
    world: World, loads: Loads
) -> None:
    """The new record is nearer to one of them, and both are of one source that has one record a customer."""
    stored = [state("1", "ann", "eve", source=ONE_EACH), state("2", "bob", source=ONE_EACH)]
    world.tell(*stored)
    cids = [cid_of(world, one.name) for one in stored]

    loads.load(world, "crm", [state("new", "ann", "bob")])

    assert [cid_of(world, one.name) for one in stored] == cids
    assert len(world.found_components()) == 1
    assert loads.met["new records joined with stored ones"] == 1
    finish(world)


@pytest.mark.parametrize(
    "tie",
    [Judge("different", (("crm", "1"),), (("crm", "2"),)), Judge("same", (("crm", "1"),), (("crm", "2"),))],
)
def test_what_words_tie_together_is_left_to_be_resolved(world: World, loads: Loads, tie: Judge) -> None:
    world.tell(state("1", "ann"), state("2", "bob"), tie)

    loads.load(world, "crm", [state("new", "ann"), state("newer", "bob", "cid")])

    assert loads.met["a group left to be resolved one by one"] == 1
    finish(world)


def test_a_component_that_grows_too_large_with_what_is_stored_is_left_to_be_resolved(
    world: World, loads: Loads
) -> None:
    def chain(first: int, end: int) -> list[State]:
        return [state(str(at), f"m{at}", f"m{at + 1}", place="rome") for at in range(first, end)]

    world.tell(*chain(0, 4))

    loads.load(world, "crm", chain(4, 9))

    assert loads.met["a group left to be resolved one by one"] == 1
    assert any(one.level != 0 for one in world.found_components())
    finish(world)


@pytest.mark.parametrize(
    "change",
    [
        State(("crm", "stored"), None, version=2),
        state("third", "ann", source=ONE_EACH),
        State(("crm", "stored"), {"email": ("bob",)}, version=2),
        State(("crm", "stored"), {"email": ("ann",), "city": ("ulm",)}, version=2),
        Judge("different", (("crm", "stored"),), (("crm", "other"),)),
    ],
)
def test_a_stored_component_that_changes_before_its_slice_is_left_to_be_resolved(
    world: World, loads: Loads, change: State | Judge
) -> None:
    world.tell(state("stored", "ann"), state("other", "zoe"))
    changes = [change]
    loads.before_lock = lambda: [world.tell(one) for one in _taken(changes)]

    loads.load(world, "crm", [state("new", "ann", place="rome")])

    assert not changes
    assert loads.met["a stored component changed before its slice"] == 1
    finish(world)


def test_a_contract_that_changes_before_its_slice_leaves_the_groups_to_be_resolved(
    world: World, loads: Loads
) -> None:
    world.tell(state("stored", "ann", source=ONE_EACH))
    contracts: list[dict[str, object]] = [{"domain": "sales", "one_per_customer": True, "owner": "other"}]
    loads.before_lock = lambda: [
        world.identity.put_source(ONE_EACH, one, author="test") for one in _taken(contracts)
    ]

    report = loads.load(world, "crm", [state("new", "ann"), state("far", "bob")])

    assert not contracts
    assert report.outcomes == {"linked": 1, "issued": 1}
    assert cid_of(world, ("crm", "new")) == cid_of(world, (ONE_EACH, "stored"))
    finish(world)


def test_a_record_that_a_judgement_named_before_it_came_is_left_to_be_resolved(
    world: World, loads: Loads
) -> None:
    world.tell(state("1", "ann"), State(("crm", "2"), {"email": ("bob",)}, version=1, same_as=("crm", "9")))

    loads.load(world, "crm", [state("9", "cid")])

    assert loads.met["a component left because of a live write"] == 1
    finish(world)


def test_a_customer_that_a_record_left_is_taken_back_by_it_and_not_by_a_load(
    world: World, loads: Loads
) -> None:
    """A withdrawn record bears its old CID in its history: a load of others issues new ones beside it."""
    world.tell(state("stored", "ann"))
    retired = cid_of(world, ("crm", "stored"))
    world.tell(State(("crm", "stored"), None, version=2))

    loads.load(world, "crm", [state("new", "ann"), State(("crm", "stored"), {"email": ("bob",)}, version=3)])

    assert cid_of(world, ("crm", "new")) != retired
    assert cid_of(world, ("crm", "stored")) == retired
    finish(world)


def _taken(changes: list[_T]) -> list[_T]:
    """Return the changes, the first time only."""
    taken = list(changes)
    changes.clear()
    return taken
