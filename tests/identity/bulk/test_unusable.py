"""What keys that too many hold skipped in a load, by blocking rule: as if its records came in one batch."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.identity.bulk.loads import Loads, draw_states
from tests.promises.small_model import NUMBERS
from tests.promises.world import State, World, open_world

pytestmark = pytest.mark.slow

MAX = NUMBERS.holders_max


@pytest.fixture
def loads() -> Iterator[Loads]:
    with pytest.MonkeyPatch.context() as patch:
        yield Loads(patch, slice_records=50)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_world(url, tmp_path) as world:
        yield world


def people(first: int, count: int, **statement: object) -> list[State]:
    return [
        State(("crm", str(number)), {"place": f"p{number}", **statement})
        for number in range(first, first + count)
    ]


def test_a_load_counts_by_rule_how_often_its_records_held_a_key_that_too_many_hold(
    world: World, loads: Loads
) -> None:
    states = [
        *people(0, MAX + 1, email=("filler",)),
        *people(10, MAX, email=("ann",)),
        *people(20, MAX + 2, city=("ulm",)),
    ]

    report = loads.load(world, "crm", states)

    assert report.keys_unusable == {"email": MAX + 1, "city": MAX + 2}


def test_holders_that_are_stored_already_make_a_key_unusable_and_are_not_counted(
    world: World, loads: Loads
) -> None:
    world.tell(*people(0, MAX, email=("ann",)))

    report = loads.load(world, "crm", people(10, 2, email=("ann",)))

    assert report.keys_unusable == {"email": 2}


def test_a_record_that_repeats_a_profile_counts_like_any_other(world: World, loads: Loads) -> None:
    states = [
        *people(0, MAX + 1, email=("ann",)),
        State(("crm", "again"), {"place": "p0", "email": ("ann",)}),
    ]

    report = loads.load(world, "crm", states)

    assert report.keys_unusable == {"email": MAX + 2}


def test_what_a_load_resolves_one_by_one_is_counted_once(world: World, loads: Loads) -> None:
    """A record with a `same_as` is no matter for the bulk path."""
    plain = people(0, MAX + 2, email=("ann",))
    stated = State(("crm", "x"), {"email": ("ann",), "place": "x"}, same_as=("crm", "0"))

    report = loads.load(world, "crm", [*plain, stated])

    assert report.keys_unusable == {"email": MAX + 3}


def test_a_load_that_is_resolved_one_by_one_altogether_is_counted_too(world: World, loads: Loads) -> None:
    world.tell(*people(0, MAX, email=("ann",)))

    report = loads.load(world, "crm", people(10, 3, email=("ann",)), bulk_records_min=1_000)
    again = loads.load(world, "crm", people(20, 1, city=("ulm",)), bulk_records_min=1_000)

    assert report.keys_unusable == {"email": 3}
    assert not again.keys_unusable


def test_any_load_of_new_records_counts_what_one_batch_of_them_counts(world: World, loads: Loads) -> None:
    met: Counter[str] = Counter()
    for number in range(8):
        chance = random.Random(number)
        drawn = {state.name: state for state in draw_states(chance, "crm", 40) if state.statement is not None}
        states = [State(name, state.statement, state.version) for name, state in drawn.items()]
        before, new = states[:10], states[10:]
        world.empty()
        world.tell(*before)
        report = loads.load(world, "crm", new)

        world.empty()
        world.tell(*before)
        world.identity.resolver.keys_unusable.clear()
        world.tell(*new)

        assert report.keys_unusable == world.identity.resolver.keys_unusable, number
        met.update(report.keys_unusable)
    assert met.keys() == {"email", "city", "website"}
