"""The route of changes: an ordered feed of events with a durable cursor.

Invariant: a page ends at its cursor; reading on from a cursor misses nothing and repeats nothing. A bound
caller's cursor moves over the events that it may not see.
Where it begins: `Last-Event-ID`, else `after`, else where the `subscriber` stands, else at the first event.
Long poll: `wait` up to 60 s. Server-sent events: one message an event, with the cursor behind it as its id, so that
`Last-Event-ID` goes on from the last one that arrived. A comment every fifteen seconds shows that the stream lives,
with the cursor of what was passed over. A stream ends after five minutes, so that clients come back with an API key
that is still valid. One page is in memory for each stream, and the next is read when the client has taken it.
However many wait, the end of the feed is looked for once in a while for all of them.
Elsewhere: the order of events (`identity.look_up`), subscribers (`identity.api.subscribers`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from identity.api.caller import Caller, caller_of
from identity.api.describe import parameter, route
from identity.api.doors import Doors
from identity.api.errors import ParameterInvalid
from identity.api.read_body import number_parameter
from identity.api.render import event_document, json_response
from identity.api.shapes import ChangesAnswer
from identity.cursor import parse_cursor

__all__ = ["StreamPace", "add_change_routes"]

_LIMIT_DEFAULT: Final = 1_000
_LIMIT_MAX: Final = 10_000
_WAIT_SECONDS_MAX: Final = 60
_POLL_SECONDS: Final = 0.2
_CURSOR_MAX: Final = 200

Page = tuple[list[dict[str, object]], str]


class StreamPace(NamedTuple):
    """What a stream does after how many seconds."""

    alive_s: float = 15.0
    """Without an event: it shows that it lives."""
    end_s: float = 300.0
    """It ends."""
    look_up_s: float = 1.0
    """How long it may miss that one of the two is due."""


_PACE: Final = StreamPace()


def add_change_routes(router: APIRouter, doors: Doors, *, pace: StreamPace = _PACE) -> None:
    """Add the feed of changes to `router`."""
    feed = _Feed(doors, pace)

    async def get_changes(request: Request) -> Response:
        """Read events after a cursor, waiting for the first if there is none yet."""
        caller = caller_of(request)
        limit = number_parameter(request, "limit", least=1, most=_LIMIT_MAX) or _LIMIT_DEFAULT
        wait = number_parameter(request, "wait", least=0, most=_WAIT_SECONDS_MAX) or 0
        begin = await feed.begin_of(request, caller)
        if "text/event-stream" not in request.headers.get("accept", ""):
            events, cursor = await feed.wait_for_page(begin, limit, caller, seconds=wait)
            return json_response({"events": events, "cursor": cursor})
        page = await feed.read_page(begin, limit, caller)
        return StreamingResponse(
            feed.follow(page, limit, caller),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    router.add_api_route(
        endpoint=get_changes,
        methods=["GET"],
        tags=["changes"],
        **route(
            "/v1/changes",
            scope="read",
            answer=ChangesAnswer,
            answer_types=["text/event-stream"],
            parameters=[
                parameter("after", "cursor to go on from; from the first event on if left out"),
                parameter("subscriber", "go on from where this subscriber stands"),
                parameter("limit", "events in a page, 1 to 10,000", example="1000"),
                parameter("wait", "seconds to wait for a first event, 0 to 60", example="30"),
            ],
        ),
    )


class _Feed:
    """Reads the feed for the route."""

    def __init__(self, doors: Doors, pace: StreamPace) -> None:
        self._doors = doors
        self._pace = pace
        self._end = _FeedEnd(doors)

    async def begin_of(self, request: Request, caller: Caller) -> str | None:
        """Return the cursor to go on from; None for the first event."""
        name, after = (request.query_params.get(one) for one in ("subscriber", "after"))
        if name is not None and after is not None:
            raise ParameterInvalid("state after or subscriber, not both")
        cursor = request.headers.get("last-event-id") or after
        if cursor is not None and not (0 < len(cursor) <= _CURSOR_MAX and cursor.isascii()):
            raise ParameterInvalid("after is a cursor that this route has returned")
        if name is None:
            return cursor
        found = await self._doors.read(lambda identity: identity.subscribers.get(caller.owner, name))
        return cursor or found.cursor

    async def read_page(self, after: str | None, limit: int, caller: Caller) -> Page:
        """Return the events of the next page that the caller may see, and the cursor behind it."""
        events, cursor = await self._doors.read(
            lambda identity: identity.changes(after, limit=limit, sources=caller.sources)
        )
        return [event_document(event) for event in events], cursor

    async def wait_for_page(self, cursor: str | None, limit: int, caller: Caller, *, seconds: float) -> Page:
        """Return the next page that is not empty, or after so many seconds an empty one."""
        ends_at = _monotonic() + seconds
        while True:
            events, passed = await self.read_page(cursor, limit, caller)
            left = ends_at - _monotonic()
            if events or left <= 0:
                return events, passed
            # Where nothing of a page may be seen, the next is read at once: there may be many of them.
            if passed == cursor and not await self._end.passes(passed, seconds=left):
                return events, passed
            cursor = passed

    async def follow(self, page: Page, limit: int, caller: Caller) -> AsyncIterator[bytes]:
        """Yield messages page by page."""
        started_at = spoken_at = _monotonic()
        before = None
        while True:
            events, cursor = page
            if events:
                yield b"".join(map(_message, events))
                spoken_at = _monotonic()
            elif _monotonic() - spoken_at >= self._pace.alive_s:
                yield b": alive\nid: " + cursor.encode() + b"\n\n"
                spoken_at = _monotonic()
            if cursor == before:
                await self._end.passes(cursor, seconds=self._pace.look_up_s)
            if self._doors.is_closing or _monotonic() - started_at >= self._pace.end_s:
                return
            before = cursor
            page = await self.read_page(cursor, limit, caller)


class _FeedEnd:
    """Where the feed ends, read once for all who wait."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._reading: asyncio.Task[str] | None = None

    async def passes(self, cursor: str, *, seconds: float) -> bool:
        """Wait until there is an event behind `cursor`; False after so many seconds, or when the service closes."""
        place = parse_cursor(cursor)
        ends_at = _monotonic() + seconds
        while parse_cursor(await self._read()) <= place:
            left = ends_at - _monotonic()
            if left <= 0 or not await self._doors.pause(min(_POLL_SECONDS, left)):
                return False
        return True

    async def _read(self) -> str:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(
                self._doors.read(lambda identity: identity.feed_end())
            )
        return await asyncio.shield(self._reading)


def _monotonic() -> float:
    """Measures waiting only; no instant of any answer comes from it."""
    return asyncio.get_running_loop().time()


def _message(event: dict[str, object]) -> bytes:
    """Return one event as a message; its own id is the cursor behind it."""
    return b"event: change\ndata: %b\nid: %b\n\n" % (orjson.dumps(event), str(event["id"]).encode())
