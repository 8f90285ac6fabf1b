"""The ledger follows once a second; far behind, in small batches with pauses that leave the store to live writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson

from identity.api.doors import Order, OrderAnswer
from identity.errors import StoreBusy
from service.following import keep_following
from streams.ledger import BATCH_EVENTS


class Doors:
    """Answers as told, each batch within two seconds of its clock; ends when there is no answer left."""

    def __init__(self, answers: Iterable[bool | None]) -> None:
        self._answers = list(answers)
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.batches: list[object] = []

    async def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return bool(self._answers)

    async def write(self, order: Order) -> OrderAnswer:
        self.batches.append(order.arguments["events"])
        self.now_s += 2
        is_done = self._answers.pop(0)
        if is_done is None:
            raise StoreBusy("Others write.")
        return OrderAnswer(200, orjson.dumps({"is_done": is_done}))


def follow(*answers: bool | None) -> Doors:
    doors = Doors(answers)
    asyncio.run(keep_following(doors, clock_s=lambda: doors.now_s))
    return doors


def test_in_step_it_takes_whole_batches_once_a_second() -> None:
    doors = follow(True, True)

    assert doors.batches == [BATCH_EVENTS, BATCH_EVENTS]
    assert doors.pauses == [1, 1, 1]


def test_far_behind_it_takes_small_batches_and_waits_nine_times_as_long_as_each_took() -> None:
    doors = follow(False, False, True, True)

    assert doors.batches == [BATCH_EVENTS, 50, 50, BATCH_EVENTS]
    assert doors.pauses == [1, 18, 18, 1, 1]


def test_a_store_that_is_busy_is_asked_again_later() -> None:
    doors = follow(None, True)

    assert doors.batches == [BATCH_EVENTS, BATCH_EVENTS]
    assert doors.pauses == [1, 1, 1]
