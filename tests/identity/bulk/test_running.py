"""One load at a time is said to run."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from identity.bulk.request import LoadRequest
from identity.bulk.running import RunningLoad
from identity.settling import LOADS_HERE
from tests.identity.bulk.loads import Listed
from tests.promises.world import Clock, World, open_world


def running(world: World, load_id: str) -> RunningLoad:
    return RunningLoad(world.identity, LoadRequest("crm", Listed(()), load_id, "test"), clock=Clock())


def states(world: World) -> dict[str, str]:
    with world.identity.store.read() as connection:
        return {row[0]: row[1] for row in connection.execute(text("SELECT id, state FROM record_load"))}


def test_a_load_begins_when_no_other_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_world(None, tmp_path) as world:
        LOADS_HERE.add("first")
        first, second = running(world, "first"), running(world, "second")
        first.begin()
        monkeypatch.setattr("identity.bulk.running.time.sleep", lambda _s: first.set_state("done"))

        second.begin()

        LOADS_HERE.discard("first")
        assert states(world) == {"first": "done", "second": "running"}


def test_a_load_that_broke_off_is_taken_over_by_the_next(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        running(world, "broken").begin()

        running(world, "next").begin()

        assert states(world) == {"broken": "failed", "next": "running"}
