"""A load that is killed leaves a store that finds its way to the rules, and is completed by running it again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.identity.bulk.crashing import SPOTS, crash, live_states, stored_states
from tests.identity.bulk.loads import Loads, draw_states, settle
from tests.promises.audit import assert_sound
from tests.promises.world import ONE_EACH, TRUSTED, State, World, open_world

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str | None, Path]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return url, tmp_path


@pytest.fixture
def world(place: tuple[str | None, Path]) -> Iterator[World]:
    with open_world(*place) as world:
        yield world


def count_events(world: World) -> int:
    with world.identity.store.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM event")) or 0)


def test_a_killed_load_settles_to_the_rules_and_is_completed_by_running_it_again(
    world: World, place: tuple[str | None, Path]
) -> None:
    crashes: Counter[str] = Counter()
    stored_in_part = 0
    for number in range(3 * len(SPOTS)):
        spot, chance = SPOTS[number % len(SPOTS)], random.Random(number)
        world.empty()
        before = [state for source in ("crm", ONE_EACH, TRUSTED) for state in draw_states(chance, source, 6)]
        world.tell(*before)
        states = draw_states(chance, "crm", 40)
        after = chance.randrange(8) if spot in ("between slices", "in a slice", "in the rest") else 0
        told: list[State] = [*before, *live_states(after), *states]

        exit_code = crash(*place, "crm", states, spot=spot, after=after)

        crashes[spot] += exit_code != 0
        world.told = stored_states(world, told)
        stored_in_part += 0 < sum(state.version in _versions(world) for state in states) < len(states)
        world.identity.settle_some(limit=0)
        settle(world)
        world.check()
        assert_sound(world.identity)

        with pytest.MonkeyPatch.context() as patch:
            loads = Loads(patch)
            world.told = {}
            loads.load(world, "crm", states)
            settle(world)
            world.told = stored_states(world, told)
            world.check()
            assert_sound(world.identity)
            assert set(_versions(world)) >= {state.version for state in states}
            events = count_events(world)
            loads.load(world, "crm", states)
            assert count_events(world) == events
            assert world.identity.unsettled() == 0
    assert min(crashes[spot] for spot in SPOTS) >= 2, crashes
    assert stored_in_part > 4


def _versions(world: World) -> list[int | None]:
    return [state.version for told in world.told.values() for state in told]
