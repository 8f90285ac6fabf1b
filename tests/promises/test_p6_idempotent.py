"""P6: the same version twice changes nothing and says nothing; another value under its number is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from identity.errors import VersionConflict
from identity.model import Outcome, RecordAnswer
from tests.promises.amount import examples
from tests.promises.draw import versioned_runs
from tests.promises.world import State, World, open_world

pytestmark = pytest.mark.slow

ANN, BEN = {"email": ("ann",)}, {"email": ("ben",)}
NAME = ("crm", "1")


def outcomes(world: World, *states: State) -> list[object]:
    return [one.outcome if isinstance(one, RecordAnswer) else type(one) for one in world.tell(*states)]


def events_of(world: World) -> list[str]:
    return [event.id for event in world.identity.changes(None, limit=100_000)[0]]


def test_p6_sending_everything_again_in_any_order_changes_nothing(tmp_path: Path) -> None:
    numbers = iter(range(10**6))

    @examples(12)
    @given(versioned_runs(20, 60))
    def property_holds(states: list[State]) -> None:
        with open_world(None, tmp_path / str(next(numbers))) as world:
            world.tell(*states)
            accepted = [one for one in world.accepted if isinstance(one, State)]
            current = world.current()
            before = (events_of(world), world._rows("key_version"), world._rows("cid"))
            versions = world._query(
                "SELECT vid, rid, version, superseded_at FROM record_version ORDER BY vid"
            )

            answers = world.tell(*sorted(accepted, key=lambda one: -(one.version or 0)))

            assert before == (events_of(world), world._rows("key_version"), world._rows("cid"))
            assert versions == world._query(
                "SELECT vid, rid, version, superseded_at FROM record_version ORDER BY vid"
            )
            told = {one.outcome for one in answers if isinstance(one, RecordAnswer)}
            assert told <= {Outcome.UNCHANGED, Outcome.STALE}
            assert current == world.current()

    property_holds()


def test_p6_recorded_already_and_recorded_with_another_value_are_two_answers(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        world.tell(State(NAME, ANN, version=4))

        assert outcomes(world, State(NAME, ANN, version=4)) == [Outcome.UNCHANGED]
        assert outcomes(world, State(NAME, BEN, version=4)) == [VersionConflict]
        assert outcomes(world, State(NAME, None, version=4)) == [VersionConflict]


def test_p6_a_newer_number_of_the_same_content_is_remembered_and_the_older_one_is_not_forgotten(
    tmp_path: Path,
) -> None:
    with open_world(None, tmp_path) as world:
        world.tell(State(NAME, ANN, version=4))

        assert outcomes(world, State(NAME, ANN, version=6)) == [Outcome.UNCHANGED]
        assert outcomes(world, State(NAME, BEN, version=5)) == [Outcome.STALE]
        assert outcomes(world, State(NAME, BEN, version=6)) == [VersionConflict]
        assert outcomes(world, State(NAME, BEN, version=4)) == [VersionConflict]


def test_p6_a_later_time_of_the_same_content_keeps_out_what_lies_between(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        world.tell(State(NAME, ANN, effective_at=100))

        assert outcomes(world, State(NAME, ANN, effective_at=300)) == [Outcome.UNCHANGED]
        assert outcomes(world, State(NAME, BEN, effective_at=200)) == [Outcome.STALE]
        world.check()


def test_p6_an_older_version_does_not_bring_a_withdrawn_record_back_and_a_newer_one_does(
    tmp_path: Path,
) -> None:
    with open_world(None, tmp_path) as world:
        world.tell(State(NAME, ANN, version=2), State(NAME, None, version=5))

        assert outcomes(world, State(NAME, BEN, version=4)) == [Outcome.STALE]
        assert world.found() == set()
        assert outcomes(world, State(NAME, BEN, version=6)) == [Outcome.LINKED]
        assert world.found() == {frozenset({NAME})}
