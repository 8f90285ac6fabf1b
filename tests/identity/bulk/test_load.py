"""P3: loads in bulk, one by one, one after the other and side by side give one partition."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.identity.bulk.loads import HARD_CASES, Loads, draw_judge, draw_state, draw_states, settle
from tests.promises.audit import assert_sound
from tests.promises.world import ONE_EACH, TRUSTED, World, open_world

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
    if chance.random() < 0.7:
        for source in SOURCES:
            world.tell(*draw_states(chance, source, chance.randrange(8)))
    for _ in range(chance.choice((1, 2, 3))):
        source = chance.choice(("crm", "crm", ONE_EACH, TRUSTED))
        loads.load(world, source, draw_states(chance, source, chance.randrange(1, 30)), between=live)
    for source in SOURCES:
        world.tell(*draw_states(chance, source, chance.randrange(4)))
    settle(world)


def test_p3_loads_beside_live_writes_give_what_the_oracle_makes_of_all(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    loads = Loads(patch)
    import os

    first, count = int(os.environ.get("FIRST", "0")), int(os.environ.get("COUNT", "40"))
    for number in range(first, first + count):
        one_run(world, loads, number)
        try:
            world.check()
            assert_sound(world.identity)
        except AssertionError:
            print("RUN", number)
            raise
    print(loads.met)
    assert not loads.missing(), loads.met
