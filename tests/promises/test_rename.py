"""A record that goes on under another key keeps its customer, and what was said of it (P1, P2, P3, P8)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.promises.amount import examples
from tests.promises.audit import assert_sound
from tests.promises.draw import NAMES, draw_statement
from tests.promises.world import Command, Judge, Name, State, Unjudge, World, open_world

pytestmark = pytest.mark.slow


def draw_command(chance: random.Random, names: list[Name]) -> Command:
    at = chance.random()
    if at < 0.15:
        verdict = chance.choice(("same", "different"))
        return Judge(verdict, tuple(chance.sample(names, 2)), (chance.choice(names),))
    if at < 0.18:
        return Unjudge(chance.randrange(6))
    same_as = chance.choice(names) if chance.random() < 0.25 else None
    return State(chance.choice(names), draw_statement(chance), same_as=same_as)


def rename_one(world: World, chance: random.Random, names: list[Name], key: str) -> None:
    live = [name for name in names if name in world.current()]
    if not live:
        return
    old = chance.choice(live)
    new = (old[0], key)
    before = {name[:2]: name[2] for name in world._rows("cid")}

    world.rename(old, key)

    world.check()
    after = {name[:2]: name[2] for name in world._rows("cid")}
    before[new] = before.pop(old)
    # Ties are decided by the names of records, so a new name may part a component otherwise.
    if groups(before) == groups(after):
        assert after == before
    names[names.index(old)] = new


def groups(cids: dict[tuple[str, str], object]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(name for name, other in cids.items() if other == cid) for cid in set(cids.values())}


@pytest.mark.parametrize("url", [None, pytest.param("postgresql", marks=pytest.mark.service)])
def test_p3_p8_a_renamed_record_stands_as_before_and_what_named_it_names_it(
    url: str | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = None if url is None else request.getfixturevalue("postgres_url")
    with open_world(database, tmp_path) as world:

        @examples(12)
        @given(st.integers(0, 10**9))
        def run(seed: int) -> None:
            chance = random.Random(seed)
            names = list(NAMES)
            world.empty()
            for step in range(24):
                world.tell(draw_command(chance, names))
                if step % 3 == 2:
                    rename_one(world, chance, names, f"r{step}")
            world.check()
            assert_sound(world.identity)

        run()
