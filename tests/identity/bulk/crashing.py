"""Run a load in a process of its own that is killed at a chosen spot, as by `kill -9`.

Elsewhere: what the store holds afterwards (`tests.identity.bulk.test_crash`).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from identity.bulk.slices import SliceWriter
from identity.bulk.write_rows import RowWriter
from identity.settling import Settler
from tests.identity.bulk.loads import Loads, draw_state
from tests.promises.world import ONE_EACH, TRUSTED, Name, State, World, make_identity

__all__ = ["SPOTS", "crash", "live_states", "stored_states"]

SPOTS = ("between slices", "in a slice", "before the rest", "in the rest", "before settling")


def crash(
    url: str | None, directory: Path, source: str, states: Sequence[State], *, spot: str, after: int
) -> int:
    """Load the statements and be killed; return the exit code, 0 when the load ended before it came to the spot."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    arguments = (url, directory, source, tuple(states), spot, after)
    process = context.Process(target=_load_until, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def live_states(number: int) -> list[State]:
    """Return what the crashing process tells between its slices."""
    chance = random.Random(-number)
    return [draw_state(chance, chance.choice(("crm", ONE_EACH, TRUSTED))) for _ in range(6)]


def stored_states(world: World, states: Sequence[State]) -> dict[Name, list[State]]:
    """Return those of the statements that the store has recorded; each has a version of its own."""
    with world.identity.store.read() as connection:
        rows = connection.execute(
            text("SELECT r.source, r.key, v.version FROM record_version v JOIN record r ON r.rid = v.rid")
        )
        recorded = {tuple(row) for row in rows}
    found: dict[Name, list[State]] = {}
    for state in states:
        if (*state.name, state.version) in recorded:
            found.setdefault(state.name, []).append(state)
    return found


def _load_until(
    url: str | None, directory: Path, source: str, states: Sequence[State], spot: str, after: int
) -> None:
    world = World(make_identity(url, directory, first_cid=10**15))
    patch = pytest.MonkeyPatch()
    loads = Loads(patch)
    left = after
    live = live_states(after)

    def die() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def between() -> None:
        if live:
            world.tell(live.pop())
        if spot == "between slices":
            die()

    if spot == "in a slice":
        _die_after(patch, RowWriter, "write", die)
    elif spot == "before the rest":
        _die_after(patch, SliceWriter, "write", die)
    elif spot == "before settling":
        _die_after(patch, Settler, "release_load", die)
    elif spot == "in the rest":
        resolve = world.identity.resolver.resolve

        def resolve_and_die(*arguments: Any, **options: Any) -> Any:
            answers = resolve(*arguments, **options)
            if arguments[0][0].cause.ref:  # one of the load's own batches
                die()
            return answers

        patch.setattr(world.identity.resolver, "resolve", resolve_and_die)
        patch.setattr("identity.bulk.load._POSTGRES_BATCH", 1)
        patch.setattr("identity.bulk.load._SQLITE_BATCH", 1)
    loads.load(world, source, states, between=between)


def _die_after(patch: pytest.MonkeyPatch, owner: type, name: str, die: Callable[[], None]) -> None:
    call = getattr(owner, name)

    def call_and_die(*arguments: Any, **options: Any) -> Any:
        result = call(*arguments, **options)
        die()
        return result

    patch.setattr(owner, name, call_and_die)
