"""P3: loads in bulk, one by one, one after the other and side by side give one partition."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.identity.bulk.loads import Loads, draw_judge, draw_state, draw_states, settle
from tests.promises.amount import SOAK
from tests.promises.audit import assert_sound
from tests.promises.world import ONE_EACH, TRUSTED, State, World, open_world

pytestmark = pytest.mark.slow

SOURCES = ("crm", ONE_EACH, TRUSTED)


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_world(url, tmp_path) as world:
        yield world


def live_writes(world: World, loads: Loads, chance: random.Random, *, share: float) -> Callable[[], None]:
    """Return what others do between two slices: statements, judgements, settling."""

    def write() -> None:
        while chance.random() < share:
            at = chance.random()
            if at < 0.8:
                world.tell(draw_state(chance, chance.choice(SOURCES)))
                loads.met["a live write between slices"] += 1
            elif at < 0.9:
                world.tell(draw_judge(chance))
            else:
                world.identity.settle_some(limit=100)
                loads.met["settling was asked for while the load ran"] += 1

    return write


def one_run(world: World, loads: Loads, number: int) -> None:
    """Fill a world in any way there is."""
    world.empty()
    chance = random.Random(number)
    live = live_writes(world, loads, chance, share=chance.choice((0.0, 0.15, 0.4)))
    loads.before_lock = live
    if chance.random() < 0.7:
        for source in SOURCES:
            world.tell(*draw_states(chance, source, chance.randrange(8)))
    for _ in range(chance.choice((1, 2, 3))):
        source = chance.choice(("crm", "crm", ONE_EACH, TRUSTED))
        loads.load(world, source, draw_states(chance, source, chance.choice((5, 15, 30, 50))), between=live)
    for source in SOURCES:
        world.tell(*draw_states(chance, source, chance.randrange(4)))
    settle(world)


def test_p3_loads_beside_live_writes_give_what_the_oracle_makes_of_all(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    loads = Loads(patch)
    is_postgres = world.identity.store.is_postgres
    numbers = range(100, 110) if is_postgres else range(500 if SOAK else 30)

    for number in numbers:
        one_run(world, loads, number)
        world.check()
        assert_sound(world.identity)

    assert is_postgres or not loads.missing(), loads.met


def test_p3_in_bulk_by_splink_one_by_one_and_one_after_the_other_give_one_partition(
    tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    loads = Loads(patch, slice_records=3, plain=False)
    chance = random.Random(7)
    with ExitStack() as stack:
        in_bulk, after, singly = (
            stack.enter_context(open_world(None, tmp_path / name)) for name in ("bulk", "after", "singly")
        )
        for _ in range(2):
            for world in (in_bulk, after, singly):
                world.empty()
            files = [draw_states(chance, source, count) for source, count in (("crm", 45), (ONE_EACH, 20))]
            states = [state for file in files for state in file]

            for file in files:
                loads.load(in_bulk, file[0].name[0], file)
            after.tell(*sorted(states, key=lambda _: chance.random())[::2])
            for file in files:
                loads.load(after, file[0].name[0], file)
            for state in sorted(states, key=lambda _: chance.random()):
                singly.tell(state)

            for world in (in_bulk, after):
                settle(world)
                assert world.found() == singly.found()
                assert world.found_components() == singly.found_components()
            singly.check()


def test_rows_older_than_a_truncation_of_their_source_are_stale_in_a_load_too(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    loads = Loads(patch)
    world.identity.truncate_source("crm", 10, author="worker")
    states = [
        State(("crm", str(number)), {"email": (f"u{number}",)}, version=5 + number) for number in range(10)
    ]

    report = loads.load(world, "crm", states)
    settle(world)

    assert report.outcomes["stale"] == 5
    assert world.found() == {frozenset({("crm", str(number))}) for number in range(5, 10)}
