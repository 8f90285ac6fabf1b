"""Whatever interrupts a transaction leaves the store as it was; what was answered stays (P1-P5 need it)."""

from __future__ import annotations

import multiprocessing
import random
import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from identity.store_sql.postgres import PostgresTransaction
from identity.store_sql.sqlite import SqliteTransaction
from tests.promises.audit import assert_sound
from tests.promises.draw import command_from
from tests.promises.workers import die_while_writing
from tests.promises.world import State, World, make_identity, open_world

pytestmark = pytest.mark.slow

WRITES = ("insert_rows", "update_rows", "delete_rows")


class Interrupted(Exception):
    """Stands for whatever breaks a transaction off."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def dump(world: World) -> dict[str, list[tuple]]:  # type: ignore[type-arg]
    tables = (
        "record",
        "record_version",
        "profile",
        "blocking_key",
        "crosswalk_history",
        "cid_state",
        "event",
    )
    return {table: sorted(world._query(f"SELECT * FROM {table}"), key=repr) for table in tables}


def test_p1_an_error_at_any_write_of_a_transaction_leaves_the_store_as_it_was(
    url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    transaction = SqliteTransaction if url is None else PostgresTransaction
    with open_world(url, tmp_path) as world:
        world.tell(*(command_from(chance.randrange(10**6)) for _ in range(60)))
        drawn = (command_from(chance.randrange(10**6)) for _ in range(200))
        states = {one.name: State(one.name, one.statement) for one in drawn if isinstance(one, State)}
        before = dump(world)
        interrupted = 0
        for stop_at in range(1, 40):
            counted = 0
            with monkeypatch.context() as patch:
                for name in WRITES:
                    wrapped = getattr(transaction, name)

                    def call(self, *args, wrapped=wrapped, stop_at=stop_at):  # type: ignore[no-untyped-def]
                        nonlocal counted
                        counted += 1
                        result = wrapped(self, *args)
                        if counted == stop_at:
                            raise Interrupted
                        return result

                    patch.setattr(transaction, name, call)
                try:
                    world.tell(*states.values())
                except Interrupted:
                    interrupted += 1
                else:
                    break
            assert dump(world) == before
        assert interrupted > 20
        world.check()
        assert_sound(world.identity)


@pytest.mark.parametrize("kill_at", [3, 17])
def test_p1_a_process_killed_while_it_writes_leaves_whole_batches_only(
    url: str | None, tmp_path: Path, kill_at: int
) -> None:
    make_identity(url, tmp_path).close()
    context = multiprocessing.get_context("spawn")
    started = context.Event()

    process = context.Process(target=die_while_writing, args=(url, str(tmp_path), kill_at, started))
    process.start()
    process.join(60)

    assert process.exitcode == -signal.SIGKILL
    assert started.is_set()
    identity = make_identity(url, tmp_path, first_cid=10**12)
    with identity.store.read() as connection:
        keys = connection.execute(text("SELECT key FROM record")).scalars().all()
    assert sorted(keys) == sorted(f"{batch}-{number}" for batch in range(2) for number in range(20))
    assert_sound(identity)
    identity.close()
