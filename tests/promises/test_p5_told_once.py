"""P5: every change of the crosswalk is told exactly once, and the feed leaves nothing out."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given

from tests.promises.amount import examples
from tests.promises.audit import assert_sound
from tests.promises.draw import command_from, runs
from tests.promises.world import Command, State, command_of, make_identity, open_world

pytestmark = pytest.mark.slow


def test_p5_folding_all_events_gives_the_crosswalk_and_its_history(tmp_path: Path) -> None:
    numbers = iter(range(10**6))

    @examples(20)
    @given(runs(40, 90))
    def property_holds(commands: list[Command]) -> None:
        with open_world(None, tmp_path / str(next(numbers))) as world:
            world.tell(*commands)

            assert_sound(world.identity)

    property_holds()


@pytest.mark.service
def test_p5_a_reader_that_polls_while_four_writers_commit_out_of_sequence_misses_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        identities = [make_identity(postgres_url, tmp_path, first_cid=n * 10**9) for n in range(5)]
        for identity in identities:
            stack.callback(identity.close)
        reader, *writers = identities
        is_done = threading.Event()
        seen: list[str] = []

        def write(number: int) -> None:
            chance = random.Random(number)
            for _ in range(25):
                drawn = [command_from(chance.randrange(10**6)) for _ in range(6)]
                states = {one.name: State(one.name, one.statement) for one in drawn if isinstance(one, State)}
                writers[number].resolve([command_of(state) for state in states.values()])

        def read() -> None:
            cursor = None
            while True:
                was_done = is_done.is_set()
                events, cursor = reader.changes(cursor, limit=7)
                seen.extend(event.id for event in events)
                if was_done and not events:
                    return

        with ThreadPoolExecutor(5) as pool:
            reading = pool.submit(read)
            list(pool.map(write, range(4)))
            is_done.set()
            reading.result(60)

        every, _ = reader.changes(None, limit=100_000)
        assert seen == [event.id for event in every]
        assert len(set(seen)) == len(seen) > 100
        assert_sound(reader)
