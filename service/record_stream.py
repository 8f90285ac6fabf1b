"""Answer a stream of record lines while it is still being read.

Three tasks share one stream, so that none waits for what only another can bring:

1. *read* splits the request into lines and starts rounds: up to a batch of lines for each resolver
   process, as soon as lines are there and fewer than `_ROUNDS_MAX` rounds are under way.
2. *settle* takes the rounds in input order and puts their answers into the spool.
3. *write* sends what is spooled. A client that sends everything before it reads stops only this task.

Invariants: answers stand in input order; an answered line is committed; memory holds `_ROUNDS_MAX` rounds,
one chunk of the request and the memory part of the spool, however long the stream is.
Elsewhere: splitting (`service.ndjson`), the spool (`service.spool`), resolving (`service.resolvers`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from identity.api.errors import BodyTooLarge
from identity.api.render import error_line
from matching.errors import SameasError
from service.ndjson import TOO_LONG, Line, LineSplitter
from service.spool import Spool

__all__ = ["LineResolvers", "RecordStream"]

_ROUNDS_MAX: Final = 2
_FILL: Final = 0.85
_WRITE_BYTES: Final = 64 << 10
_MEDIA_TYPE: Final = b"application/x-ndjson"


class LineResolvers(Protocol):
    """What a stream needs of the resolver processes."""

    @property
    def process_count(self) -> int:
        """How many lanes there are."""
        ...

    def lane_of(self, source: str, key: str) -> int:
        """Return the process that statements about this key go to."""
        ...

    async def answer_lines(self, lane: int, lines: list[bytes], *, source: str, author: str) -> list[bytes]:
        """Return an answer line for each line."""
        ...


class RecordStream(Response):
    """The response to one stream; see the module."""

    def __init__(
        self,
        resolvers: LineResolvers,
        *,
        source: str,
        author: str,
        batch_records_max: int,
        line_bytes_max: int,
        open_spool: Callable[[], Spool],
        count_lines: Callable[[int], object] = lambda _count: None,
    ) -> None:
        # Starlette's own constructor renders a body; this response has none before it is run.
        self.status_code = 200
        self.background = None
        self._resolvers = resolvers
        self._source = source
        self._author = author
        self._batch = batch_records_max
        self._open_spool = open_spool
        self._count_lines = count_lines
        self._splitter = LineSplitter(line_bytes_max=line_bytes_max)
        self._too_long = error_line(None, BodyTooLarge(f"the line has more than {line_bytes_max} bytes"))
        self._waiting: deque[Line] = deque()
        self._rounds: deque[asyncio.Task[bytes]] = deque()
        self._changed = asyncio.Event()
        self._is_read = self._is_settled = False
        self._last_words = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Run the three tasks to the end of the stream."""
        self._spool = self._open_spool()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(receive))
                tasks.create_task(self._settle())
                tasks.create_task(self._write(send))
        finally:
            for task in self._rounds:
                task.cancel()
            self._spool.close()

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                # What is under way is still committed; nobody waits for its answers.
                self._waiting.clear()
                break
            if self._is_settled:
                # It ended early: the rest is taken off the wire and left alone.
                if not message.get("more_body", False):
                    return
                continue
            self._waiting.extend(self._splitter.feed(message.get("body", b"")))
            if not message.get("more_body", False):
                self._waiting.extend(self._splitter.finish())
                break
            self._start_rounds()
            while len(self._waiting) >= self._round_lines and not self._is_settled:
                await self._change()
        self._is_read = True
        self._start_rounds()

    @property
    def _round_lines(self) -> int:
        count = self._resolvers.process_count
        # Lines fall unevenly on several processes, and the rest of a lane costs a transaction of its own.
        return self._batch if count == 1 else max(1, int(self._batch * count * _FILL))

    def _start_rounds(self) -> None:
        while self._waiting and len(self._rounds) < _ROUNDS_MAX:
            count = min(len(self._waiting), self._round_lines)
            lines = [self._waiting.popleft() for _ in range(count)]
            self._rounds.append(asyncio.create_task(self._answer(lines)))
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _settle(self) -> None:
        try:
            while True:
                if self._rounds:
                    answers = await self._rounds[0]
                    self._rounds.popleft()
                    self._spool.append(answers)
                    self._start_rounds()
                elif self._is_read and not self._waiting:
                    break
                else:
                    await self._change()
        except SameasError as exc:
            # The stream cannot go on, yet what it answered so far holds: its last line says why it ends.
            self._waiting.clear()
            self._last_words = error_line(None, exc) + b"\n"
        self._is_settled = True
        self._changed.set()

    async def _write(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", _MEDIA_TYPE)]}
        )
        while True:
            piece = self._spool.take(_WRITE_BYTES)
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            elif self._is_settled:
                break
            else:
                await self._change()
        await send({"type": "http.response.body", "body": self._last_words})

    async def _answer(self, lines: list[Line]) -> bytes:
        """Return the answer lines of a round: each lane's lines go to its process, in order."""
        answers: list[bytes] = [self._too_long] * len(lines)
        lanes: dict[int, list[int]] = {}
        is_single = self._resolvers.process_count == 1
        for index, line in enumerate(lines):
            if line is not TOO_LONG:
                lanes.setdefault(0 if is_single else self._lane(line), []).append(index)
        parts = [
            (lane, indexes[at : at + self._batch])
            for lane, indexes in lanes.items()
            for at in range(0, len(indexes), self._batch)
        ]

        async def answer_part(lane: int, indexes: list[int]) -> None:
            part = [line for index in indexes if (line := lines[index]) is not TOO_LONG]
            for index, answer in zip(indexes, await self._answer_part(lane, part), strict=True):
                answers[index] = answer

        await asyncio.gather(*(answer_part(lane, indexes) for lane, indexes in parts))
        self._count_lines(len(lines))
        answers.append(b"")
        return b"\n".join(answers)

    async def _answer_part(self, lane: int, part: list[bytes]) -> list[bytes]:
        try:
            return await self._resolvers.answer_lines(lane, part, source=self._source, author=self._author)
        except SameasError as exc:
            return [error_line(_key_of(line), exc) for line in part]

    def _lane(self, line: bytes) -> int:
        key = _key_of(line)
        return self._resolvers.lane_of(self._source, key) if isinstance(key, str) else 0


def _key_of(line: bytes) -> object:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return parsed.get("key") if isinstance(parsed, dict) else None
