"""One resolver process seen from its parent, with a program that stands in for the real one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Self

import orjson
import pytest

from identity.api.doors import Order
from identity.errors import StoreUnreachable, VersionConflict
from service.errors import ResolverLost, ResolversBusy, ServiceClosing
from service.resolvers.pool import ResolverPool

pytestmark = pytest.mark.slow

CHILD = """
import os, sys
from service.resolvers.frames import pack_frame, read_frame, split_body
source, sink = sys.stdin.buffer, os.fdopen(1, "wb", buffering=0)
settings = read_frame(source).head["settings"]
if settings.get("broken"):
    sink.write(pack_frame({"ready": False, "error": {"code": "store_unreachable", "detail": "no store"}}))
    sys.exit(1)
sink.write(pack_frame({"ready": True}))
marks = settings["marks"]
while (frame := read_frame(source)) is not None:
    parts, body = [], b""
    with open(marks, "a") as file:
        file.write(f"{len(frame.head['parts'])} ")
    for head, one in zip(frame.head["parts"], split_body(frame)):
        if head["do"] == "die":
            os._exit(3)
        if head["do"] == "die-once" and not os.path.exists(marks + ".died"):
            open(marks + ".died", "w").close()
            os._exit(3)
        if head["do"] == "wait":
            gate = os.open(head["gate"], os.O_RDONLY)
            os.read(gate, 1)
            os.close(gate)
        if head["do"] == "refuse":
            parts.append({"size": 0, "status": 200, "error": {"code": "version_conflict", "detail": "two"}})
        else:
            answer = one.upper()
            parts.append({"size": len(answer), "status": 201})
            body += answer
    sink.write(pack_frame({"id": frame.head["id"], "parts": parts}, body))
"""


class Scene:
    """A pool of stand-ins and what they marked; who is told to wait, waits for a byte from a named pipe."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.marks = directory / "marks"
        self._gate_path = directory / "gate"
        os.mkfifo(self._gate_path)
        settings = {"marks": str(self.marks), **changes.pop("settings", {})}
        sizes = {"process_count": 1, "batch_records_max": 10, "waiting_records_max": 50} | changes
        self.pool = ResolverPool(settings, program=("-c", CHILD), **sizes)

    async def __aenter__(self) -> Self:
        # Open both ways, so that opening it waits for nobody on either side.
        self._gate = os.open(self._gate_path, os.O_RDWR)
        await self.pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open_gate()
        await self.pool.close()
        os.close(self._gate)

    def open_gate(self) -> None:
        """Let everybody go on who waits, or is told to wait later."""
        os.write(self._gate, b"." * 100)

    def say(self, text: str = "x", *, do: str = "say", repeatable: bool = True) -> asyncio.Task[bytes]:
        order = Order(do, {"gate": str(self._gate_path)}, text.encode(), repeatable=repeatable)

        async def ask() -> bytes:
            return (await self.pool.write(order)).body

        return asyncio.create_task(ask())

    def frame_sizes(self) -> list[int]:
        return [int(word) for word in self.marks.read_text().split()]


def run(coroutine: Any) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def test_an_order_is_answered_with_status_and_body(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            assert await pool.say("abc") == b"ABC"

    run(scene())


def test_an_error_of_the_process_arrives_as_its_class(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            with pytest.raises(VersionConflict, match="two"):
                await pool.say(do="refuse")

    run(scene())


def test_orders_that_come_while_the_process_works_go_together(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            first = pool.say(do="wait")
            await asyncio.sleep(0)
            others = [pool.say(str(number)) for number in range(25)]
            for _ in range(5):
                await asyncio.sleep(0)
            pool.open_gate()
            await first

            assert [await one for one in others] == [str(number).encode() for number in range(25)]
            # The first goes alone at once; one frame is sent ahead when it is worth half a batch.
            assert pool.frame_sizes()[0] == 1
            assert max(pool.frame_sizes()) <= 10
            assert len(pool.frame_sizes()) <= 6

    run(scene())


def test_lines_come_back_one_for_one(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as scene_:
            answers = await scene_.pool.answer_lines(0, [b"a", b"b", b"c"], source="crm", author="x")

            assert answers == [b"A", b"B", b"C"]

    run(scene())


def test_a_job_that_met_a_crash_is_tried_once_more(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            assert await pool.say("again", do="die-once") == b"AGAIN"

    run(scene())


def test_a_job_that_kills_its_process_takes_no_other_with_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            first = pool.say(do="wait")
            await asyncio.sleep(0)
            killer, others = pool.say(do="die"), [pool.say(str(number)) for number in range(4)]
            await asyncio.sleep(0)
            pool.open_gate()

            assert await first == b"X"
            assert [await one for one in others] == [b"0", b"1", b"2", b"3"]
            with pytest.raises(ResolverLost):
                await killer
            assert await pool.say("alive") == b"ALIVE"

    run(scene())


def test_an_order_that_is_not_repeatable_is_not_tried_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            with pytest.raises(ResolverLost):
                await pool.say(do="die-once", repeatable=False)

    run(scene())


def test_too_many_waiting_records_are_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path, waiting_records_max=3) as pool:
            asked = [pool.say(do="wait")]
            for _ in range(8):
                await asyncio.sleep(0)
                asked.append(pool.say())
            await asyncio.sleep(0)
            pool.open_gate()

            results = await asyncio.gather(*asked, return_exceptions=True)

            assert any(isinstance(one, ResolversBusy) for one in results)
            assert results[0] == b"X"

    run(scene())


def test_a_process_that_cannot_open_its_store_says_why(tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(StoreUnreachable, match="no store"):
            await Scene(tmp_path, settings={"broken": True}).pool.start()

    run(scene())


def test_closing_lets_what_is_under_way_end_and_refuses_the_rest(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Scene(tmp_path) as pool:
            asked = pool.say(do="wait")
            await asyncio.sleep(0)
            closing = asyncio.create_task(pool.pool.close())
            await asyncio.sleep(0)
            late = pool.say()
            pool.open_gate()

            assert await asked == b"X"
            with pytest.raises(ServiceClosing):
                await late
            await closing

    run(scene())


def test_a_key_always_goes_to_the_same_process() -> None:
    pool = ResolverPool({}, process_count=4, batch_records_max=10, waiting_records_max=10)

    lanes = [pool.lane_of("crm", str(number)) for number in range(200)]

    assert lanes == [pool.lane_of("crm", str(number)) for number in range(200)]
    assert set(lanes) == {0, 1, 2, 3}


def test_frames_survive_the_pipe() -> None:
    from io import BytesIO

    from service.resolvers.frames import pack_frame, read_frame, split_body

    packed = pack_frame({"id": 1, "parts": [{"size": 2}, {"size": 0}, {"size": 1}]}, b"abc")

    frame = read_frame(BytesIO(packed))

    assert frame is not None
    assert split_body(frame) == [b"ab", b"", b"c"]
    assert read_frame(BytesIO(packed[:-1])) is None
    assert read_frame(BytesIO(b"")) is None
    assert orjson.loads(packed[8 : 8 + len(packed) - 11])["id"] == 1
