"""P8: judgements stick, through merges, splits, re-loads, withdrawals and returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.errors import JudgementConflict
from identity.model import RecordAnswer, RecordRef
from tests.promises.world import TRUSTED, Judge, State, World, open_world

pytestmark = pytest.mark.slow

ANN, ANNA, BEN = ("crm", "1"), ("crm", "2"), ("crm", "3")
STATED = [
    State(ANN, {"email": ("ann",), "city": ("ulm",)}),
    State(ANNA, {"email": ("ann",), "city": ("ulm",), "place": "rome"}),
    State(BEN, {"email": ("ben",)}),
]


def are_together(world: World, *names: tuple[str, str]) -> bool:
    return any(set(names) <= group for group in world.found())


@pytest.fixture
def world(tmp_path: Path):  # type: ignore[no-untyped-def]
    with open_world(None, tmp_path) as world:
        world.tell(*STATED)
        yield world


def test_p8_different_holds_after_a_re_load_a_withdrawal_and_a_return(world: World) -> None:
    world.tell(Judge("different", (ANN,), (ANNA,)))

    for told in ([*STATED], [State(ANN, None)], [State(ANN, {"email": ("cora",)})], [STATED[0]]):
        world.tell(*told)
        world.check()

    assert not are_together(world, ANN, ANNA)


def test_p8_same_holds_without_a_link_after_a_withdrawal_and_a_return(world: World) -> None:
    world.tell(Judge("same", (ANN,), (BEN,)))
    world.tell(State(BEN, None))
    world.check()

    world.tell(STATED[2])

    assert are_together(world, ANN, BEN)
    world.check()


def test_p8_a_record_that_leaves_a_judged_group_does_not_part_the_others(world: World) -> None:
    cora = ("crm", "4")
    world.tell(State(cora, {"email": ("cora",)}))
    world.tell(State(ANN, None))
    world.tell(Judge("same", (ANN,), (BEN, cora)))
    world.check()

    assert are_together(world, BEN, cora)


def test_p8_a_judgement_keeps_author_time_and_reason(world: World) -> None:
    (judgement_id,) = world.tell(Judge("same", (ANN,), (BEN,)))
    world.tell(*STATED)

    told = world.identity.explain(RecordRef(*ANN), RecordRef(*BEN))["judgements"]

    assert told == [{"id": judgement_id, "verdict": "same", "author": "steward", "reason": "as told"}]


def test_p8_two_statements_of_one_batch_cannot_join_what_is_judged_different(world: World) -> None:
    one, other = (TRUSTED, "1"), (TRUSTED, "2")
    world.tell(Judge("different", (ANN,), (BEN,)))

    answers = world.tell(
        State(one, {"email": ("cora",)}, same_as=ANN),
        State(other, {"email": ("cora",)}, same_as=one),
        State((TRUSTED, "3"), {"email": ("cora",)}, same_as=BEN),
        State(BEN, {"email": ("ben",), "place": "oslo"}),
    )
    refused = world.tell(State((TRUSTED, "4"), {}, same_as=BEN), State((TRUSTED, "3"), {}, same_as=other))

    assert all(isinstance(answer, RecordAnswer) for answer in answers)
    assert isinstance(refused[0], RecordAnswer)
    assert isinstance(refused[1], RecordAnswer)
    (last,) = world.tell(State((TRUSTED, "4"), {"place": "rome"}, same_as=one))
    assert isinstance(last, RecordAnswer | JudgementConflict)
    assert not are_together(world, ANN, BEN)
    world.check()


def test_p8_a_refused_statement_leaves_the_judgement_that_its_record_stated_before(world: World) -> None:
    trusted = (TRUSTED, "1")
    world.tell(State(trusted, {"email": ("cora",)}, same_as=ANN))
    world.tell(Judge("different", (trusted,), (BEN,)))

    (answer,) = world.tell(State(trusted, {"email": ("cora",), "place": "oslo"}, same_as=BEN))

    assert isinstance(answer, JudgementConflict)
    assert are_together(world, trusted, ANN)
    world.check()
