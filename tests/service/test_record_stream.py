"""The flow of a record stream, with resolvers that answer by hand."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import orjson
import pytest
from starlette.types import Message

from identity.errors import StoreBusy
from service.record_stream import RecordStream
from service.spool import Spool


class FakeResolvers:
    """Answers each line with its key; `gate` holds answers back."""

    def __init__(self, process_count: int = 2, *, error: Exception | None = None) -> None:
        self.process_count = process_count
        self.gate = asyncio.Event()
        self.gate.set()
        self.error = error
        self.parts: list[tuple[int, int]] = []
        self.seen: list[bytes] = []

    def lane_of(self, source: str, key: str) -> int:
        return zlib.crc32(f"{source}{key}".encode()) % self.process_count

    async def answer_lines(self, lane: int, lines: list[bytes], *, source: str, author: str) -> list[bytes]:
        self.parts.append((lane, len(lines)))
        self.seen.extend(lines)
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return [orjson.dumps({"got": line.decode()}) for line in lines]


def stream(resolvers: FakeResolvers, directory: Path, **changes: int) -> RecordStream:
    sizes = {"batch_records_max": 10, "line_bytes_max": 100, "memory": 1_000, "disk": 100_000} | changes
    return RecordStream(
        resolvers,
        source="crm",
        author="key:k_1",
        batch_records_max=sizes["batch_records_max"],
        line_bytes_max=sizes["line_bytes_max"],
        open_spool=lambda: Spool(directory, memory_bytes=sizes["memory"], disk_bytes_max=sizes["disk"]),
    )


async def run(
    response: RecordStream, chunks: AsyncIterator[bytes], *, sent: Callable[[Message], object] | None = None
) -> list[dict[str, object]]:
    body = bytearray()

    async def receive() -> Message:
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))
        if sent is not None and (waiting := sent(message)) is not None:
            assert isinstance(waiting, asyncio.Event)
            await waiting.wait()

    await asyncio.wait_for(response({"type": "http"}, receive, send), 20)
    return [orjson.loads(line) for line in bytes(body).splitlines()]


async def cut(lines: list[bytes], size: int = 64) -> AsyncIterator[bytes]:
    text = b"\n".join(lines) + b"\n"
    for at in range(0, len(text), size):
        await asyncio.sleep(0)
        yield text[at : at + size]


def line_of(number: int) -> bytes:
    return orjson.dumps({"key": str(number)})


def test_answers_come_in_the_order_of_the_lines(tmp_path: Path) -> None:
    async def scene() -> None:
        lines = [line_of(number) for number in range(500)]

        answers = await run(stream(FakeResolvers(), tmp_path), cut(lines))

        assert [answer["got"] for answer in answers] == [line.decode() for line in lines]

    asyncio.run(scene())


def test_lines_of_one_key_go_to_one_process_in_their_order(tmp_path: Path) -> None:
    async def scene() -> None:
        resolvers = FakeResolvers(process_count=4)
        lines = [orjson.dumps({"key": "same", "version": number}) for number in range(200)]

        await run(stream(resolvers, tmp_path), cut(lines))

        assert len({lane for lane, _ in resolvers.parts}) == 1
        assert resolvers.seen == lines

    asyncio.run(scene())


def test_a_line_is_answered_while_the_request_is_still_open(tmp_path: Path) -> None:
    async def scene() -> None:
        answered = asyncio.Event()

        async def one_by_one() -> AsyncIterator[bytes]:
            yield line_of(1) + b"\n"
            await answered.wait()
            yield line_of(2) + b"\n"

        def sent(message: Message) -> None:
            if message.get("body"):
                answered.set()

        answers = await run(stream(FakeResolvers(), tmp_path), one_by_one(), sent=sent)

        assert len(answers) == 2

    asyncio.run(scene())


def test_a_client_that_sends_all_before_it_reads_does_not_hang(tmp_path: Path) -> None:
    async def scene() -> None:
        all_sent = asyncio.Event()

        async def everything() -> AsyncIterator[bytes]:
            async for chunk in cut([line_of(number) for number in range(3_000)], 512):
                yield chunk
            all_sent.set()

        answers = await run(
            stream(FakeResolvers(), tmp_path, memory=100), everything(), sent=lambda _message: all_sent
        )

        assert len(answers) == 3_000

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_only_two_rounds_are_under_way_however_fast_the_client_sends(tmp_path: Path) -> None:
    async def scene() -> None:
        resolvers = FakeResolvers(process_count=1)
        resolvers.gate.clear()
        read = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal read
            for number in range(1_000):
                read += 1
                yield line_of(number) + b"\n"

        async def open_the_gate() -> None:
            while read < 12:  # noqa: ASYNC110 - the other side has no event to offer
                await asyncio.sleep(0)
            for _ in range(50):
                await asyncio.sleep(0)
            assert read < 14
            assert sum(count for _, count in resolvers.parts) <= 20
            resolvers.gate.set()

        _, answers = await asyncio.gather(open_the_gate(), run(stream(resolvers, tmp_path), endless()))

        assert len(answers) == 1_000

    asyncio.run(scene())


def test_a_line_over_the_limit_is_its_own_error(tmp_path: Path) -> None:
    async def scene() -> None:
        lines = [line_of(1), b'{"key": "' + b"x" * 5_000, line_of(2)]

        answers = await run(stream(FakeResolvers(), tmp_path), cut(lines))

        assert [list(answer) for answer in answers] == [["got"], ["key", "error"], ["got"]]
        assert answers[1]["key"] is None
        assert answers[1]["error"]["code"] == "too_large"  # type: ignore[index]

    asyncio.run(scene())


def test_a_batch_that_fails_answers_each_of_its_lines(tmp_path: Path) -> None:
    async def scene() -> None:
        resolvers = FakeResolvers(error=StoreBusy("the store is busy"))

        answers = await run(stream(resolvers, tmp_path), cut([line_of(1), b"not json", b"[1]"]))

        assert [answer["key"] for answer in answers] == ["1", None, None]
        assert {answer["error"]["code"] for answer in answers} == {"store_busy"}  # type: ignore[index]

    asyncio.run(scene())


def test_a_full_spool_ends_the_stream_with_a_last_word(tmp_path: Path) -> None:
    async def scene() -> None:
        all_sent = asyncio.Event()

        async def everything() -> AsyncIterator[bytes]:
            async for chunk in cut([line_of(number) for number in range(3_000)], 512):
                yield chunk
            all_sent.set()

        answers = await run(
            stream(FakeResolvers(), tmp_path, memory=100, disk=1_000),
            everything(),
            sent=lambda _message: all_sent,
        )

        assert 0 < len(answers) < 3_000
        assert answers[-1]["error"]["code"] == "spool_full"  # type: ignore[index]

    asyncio.run(scene())


def test_a_client_that_leaves_ends_the_stream_after_what_is_under_way(tmp_path: Path) -> None:
    async def scene() -> None:
        resolvers = FakeResolvers()
        messages: Iterator[Message] = iter(
            [
                {"type": "http.request", "body": line_of(1) + b"\n", "more_body": True},
                {"type": "http.disconnect"},
            ]
        )

        async def receive() -> Message:
            return next(messages)

        async def send(_message: Message) -> None:
            return None

        await asyncio.wait_for(stream(resolvers, tmp_path)({"type": "http"}, receive, send), 5)

        assert resolvers.seen == [line_of(1)]

    asyncio.run(scene())


def test_an_empty_stream_is_answered_by_an_empty_one(tmp_path: Path) -> None:
    async def scene() -> None:
        assert await run(stream(FakeResolvers(), tmp_path), cut([b"", b" "])) == []

    asyncio.run(scene())


@pytest.mark.parametrize("process_count", [1, 3])
def test_every_line_is_counted(tmp_path: Path, process_count: int) -> None:
    async def scene() -> None:
        counts: list[int] = []
        response = stream(FakeResolvers(process_count), tmp_path)
        response._count_lines = counts.append

        await run(response, cut([line_of(number) for number in range(77)]))

        assert sum(counts) == 77

    asyncio.run(scene())
