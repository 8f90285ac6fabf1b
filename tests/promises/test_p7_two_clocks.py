"""P7: which CID a key had on a date, as believed at a time: no gap, no overlap, and no answer that changes."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model import Instant, KeyStatus, RecordAnswer, RecordRef
from tests.promises.amount import examples
from tests.promises.audit import assert_sound
from tests.promises.draw import NAMES, command_from, runs
from tests.promises.world import BEGIN, Clock, Command, State, command_of, make_identity, open_world

pytestmark = pytest.mark.slow

REFS = [RecordRef(*name) for name in NAMES]


def test_p7_answers_for_the_past_never_change_though_the_clock_steps_back(tmp_path: Path) -> None:
    numbers = iter(range(10**6))

    @examples(12)
    @given(runs(20, 50), st.lists(st.integers(-20_000_000, 20_000_000), min_size=8, max_size=8))
    def property_holds(commands: list[Command], steps: list[int]) -> None:
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        clock = Clock()
        kept: list[tuple[Instant, Instant | None, object]] = []
        with open_world(None, directory) as world:
            world.identity.resolver._clock = clock
            world.identity._clock = clock
            for place, command in enumerate(commands):
                clock.now += steps[place % len(steps)]
                answers = world.tell(command)
                for answer in answers:
                    if isinstance(answer, RecordAnswer):
                        valid_at = (None, BEGIN, BEGIN + 40_000)[place % 3]
                        found = world.identity.look_up(REFS, valid_at=valid_at, known_at=answer.known_at)
                        assert found.horizon >= answer.known_at
                        kept.append((answer.known_at, valid_at, found.rows))
            for known_at, valid_at, rows in kept:
                assert world.identity.look_up(REFS, valid_at=valid_at, known_at=known_at).rows == rows
            assert_sound(world.identity)

    property_holds()


@pytest.mark.service
def test_p7_answers_up_to_the_horizon_never_change_while_others_write(
    postgres_url: str, tmp_path: Path
) -> None:
    def clock() -> Instant:
        return time.time_ns() // 1000

    with ExitStack() as stack:
        identities = [
            make_identity(postgres_url, tmp_path, clock=clock, first_cid=n * 10**9) for n in range(4)
        ]
        for identity in identities:
            stack.callback(identity.close)
        reader, *writers = identities
        kept: list[tuple[Instant, object]] = []

        def write(number: int) -> None:
            chance = random.Random(number)
            for _ in range(25):
                drawn = [command_from(chance.randrange(10**6)) for _ in range(6)]
                states = {one.name: State(one.name, one.statement) for one in drawn if isinstance(one, State)}
                writers[number].resolve([command_of(state) for state in states.values()])

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, number) for number in range(3)]
            while not all(one.done() for one in writing):
                known_at = clock()
                found = reader.look_up(REFS, known_at=known_at)
                assert found.horizon >= known_at
                kept.append((known_at, found.rows))
            for one in writing:
                one.result()

        for known_at, rows in kept:
            assert reader.look_up(REFS, known_at=known_at).rows == rows
        assert len(kept) > 10
        assert_sound(reader)


def test_p7_a_late_older_version_moves_the_beginning_back_and_nothing_else(tmp_path: Path) -> None:
    name, ref = ("crm", "1"), RecordRef("crm", "1")
    with open_world(None, tmp_path) as world:
        (answer,) = world.tell(State(name, {"email": ("ann",)}, version=2, effective_at=BEGIN))
        before = world.identity.look_up([ref], valid_at=BEGIN - 10).rows

        world.tell(State(name, {"email": ("ben",)}, version=1, effective_at=BEGIN - 20))

        assert isinstance(answer, RecordAnswer)
        assert before == [(None, KeyStatus.UNKNOWN)]
        assert world.identity.look_up([ref], valid_at=BEGIN - 10).rows == [(answer.cid, KeyStatus.LIVE)]
        assert world.identity.look_up([ref], valid_at=BEGIN - 21).rows == [(None, KeyStatus.UNKNOWN)]
        assert_sound(world.identity)


def test_p7_a_late_version_of_a_record_that_the_same_batch_merges_keeps_one_row_an_instant(
    tmp_path: Path,
) -> None:
    old, new = ("crm", "1"), ("crm", "2")
    with open_world(None, tmp_path) as world:
        world.tell(State(new, {"email": ("ann",)}, version=2))
        world.tell(State(old, {"email": ("ben",)}, version=2, effective_at=BEGIN))

        world.tell(
            State(old, {"city": ("ulm",)}, version=1, effective_at=BEGIN - 50),
            State(("crm", "3"), {"email": ("ann", "ben")}),
        )

        world.check()
        assert_sound(world.identity)
