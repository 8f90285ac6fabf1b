"""An HTTP/1.1 client that costs less than the servers it measures: keep-alive, requests made beforehand.

Invariant: a connection has one request under way; an answer without `Content-Length` is not understood.
Latency in an open loop counts from the moment a request was due, so that a server that stalls is seen to.
Elsewhere: streams of records, which are few and long (`benchmarks.record_stream`).
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import uvloop

__all__ = ["Answers", "make_request", "run_closed_loop", "run_open_loop"]

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER_S_MAX: Final = 120.0
_OPEN_S_MAX: Final = 3_600.0


@dataclass(slots=True)
class Answers:
    """What came back: seconds each took, in the order of the answers, and how many were no success."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    elapsed_s: float = 0.0
    first_refusal: bytes = b""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.elapsed_s


def make_request(
    method: str, path: str, *, api_key: str = "", body: bytes = b"", headers: Mapping[str, str] = {}
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if api_key:
        lines.append(f"Authorization: Bearer {api_key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run_closed_loop(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Answers:
    """Send requests, over and over, each connection the next one as soon as it has its answer."""
    return uvloop.run(_closed_loop(port, requests, connections=connections, seconds=seconds))


def run_open_loop(
    port: int, requests: Iterable[bytes], *, rate: float, connections: int = 32, seconds: float = 1e9
) -> Answers:
    """Send requests at a fixed rate whatever the answers do, until they or the seconds are used up."""
    return uvloop.run(_open_loop(port, requests, rate=rate, connections=connections, seconds=seconds))


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._received = bytearray()
        self._size = -1
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if self._size < 0:
            head_end = received.find(_END_OF_HEAD)
            if head_end < 0:
                return
            length = _LENGTH.search(received, 0, head_end)
            self._size = head_end + 4 + (int(length[1]) if length else 0)
        if len(received) >= self._size and self._answer is not None:
            answer, self._answer = self._answer, None
            taken = bytes(received)
            received.clear()
            self._size = -1
            answer.set_result(taken)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future is the whole answer, head and body."""
        assert self._answer is None
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        assert self._transport is not None
        self._transport.close()


async def _connect(port: int, count: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for _ in range(count)]


def _note(answers: Answers, answer: bytes, seconds: float) -> None:
    answers.seconds.append(seconds)
    if answer[9:10] != b"2":
        answers.refused += 1
        answers.first_refusal = answers.first_refusal or answer[:500]


async def _closed_loop(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Answers:
    opened = await _connect(port, connections)
    answers = Answers()
    supply = itertools.cycle(requests)
    clock = time.perf_counter
    started = clock()
    end = started + seconds

    async def ask_until_end(connection: _Connection) -> None:
        at = clock()
        while at < end:
            answer = await connection.ask(next(supply))
            before, at = at, clock()
            _note(answers, answer, at - before)

    async with asyncio.timeout(seconds + _ANSWER_S_MAX):
        await asyncio.gather(*map(ask_until_end, opened))
    answers.elapsed_s = clock() - started
    for connection in opened:
        connection.close()
    return answers


async def _open_loop(
    port: int, requests: Iterable[bytes], *, rate: float, connections: int, seconds: float
) -> Answers:
    opened = await _connect(port, connections)
    idle = deque(opened)
    answers = Answers()
    freed = asyncio.Event()
    clock = time.perf_counter
    started = clock()

    async def ask(request: bytes, due: float) -> None:
        while not idle:
            freed.clear()
            await freed.wait()
        connection = idle.popleft()
        answer = await connection.ask(request)
        _note(answers, answer, clock() - due)
        idle.append(connection)
        freed.set()

    async with asyncio.timeout(min(seconds, _OPEN_S_MAX) + _ANSWER_S_MAX), asyncio.TaskGroup() as tasks:
        for number, request in enumerate(requests):
            due = started + number / rate
            if due > started + seconds:
                break
            if (wait := due - clock()) > 0:
                await asyncio.sleep(wait)
            tasks.create_task(ask(request, due))
    answers.elapsed_s = clock() - started
    for connection in opened:
        connection.close()
    return answers
