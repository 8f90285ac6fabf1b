"""A slice stores nothing over what somebody else did meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from identity.bulk.patience import LoadTakenOver
from tests.identity.bulk.loads import Loads, settle
from tests.promises.audit import assert_sound
from tests.promises.world import State, World, open_world


def people(count: int) -> list[State]:
    return [State(("crm", str(at)), {"email": (f"mail{at}",)}, version=1) for at in range(count)]


def test_a_load_that_was_taken_over_stores_no_more(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, open_world(None, tmp_path) as world:
        loads = Loads(patch)

        def take_over() -> None:
            with world.identity.store.write() as tx:
                tx.connection.execute(text("UPDATE record_load SET state = 'failed'"))

        with pytest.raises(LoadTakenOver):
            loads.load(world, "crm", people(4), between=take_over)

        loads.load(world, "crm", people(4))
        settle(world)
        world.check()


def test_a_profile_that_went_meanwhile_is_stored_again(tmp_path: Path) -> None:
    """Two records of one profile that links nothing come in two slices; the first is withdrawn in between."""
    with pytest.MonkeyPatch.context() as patch, open_world(None, tmp_path) as world:
        loads = Loads(patch)
        same = [State(("crm", str(at)), {"website": ("sun",)}, version=1) for at in range(3)]

        loads.load(world, "crm", same, between=lambda: withdraw_first(world))

        settle(world)
        world.check()
        assert_sound(world.identity)
        assert loads.met["a component left because of a live write"] == 1


def withdraw_first(world: World) -> None:
    if world.found() == {frozenset({("crm", "0")})}:
        world.tell(State(("crm", "0"), None, version=2))
