"""The route of changes: an ordered feed of events with a durable cursor.

Invariant: a page ends at its cursor; reading on from a cursor misses nothing and repeats nothing. A bound
caller's cursor moves over the events that it may not see.
Long poll: `wait` up to 60 s. Server-sent events: one message an event; the last of a page carries the
cursor as its id, so `Last-Event-ID` goes on from there. A stream of events ends after five minutes, so
that clients come back with an API key that is still valid.
Elsewhere: the order of events (`identity.look_up`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

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

__all__ = ["add_change_routes"]

_LIMIT_DEFAULT: Final = 1_000
_LIMIT_MAX: Final = 10_000
_WAIT_SECONDS_MAX: Final = 60
_POLL_SECONDS: Final = 0.2
_ALIVE_SECONDS: Final = 15.0
_STREAM_SECONDS: Final = 300.0
_CURSOR_MAX: Final = 200

Page = tuple[list[dict[str, object]], str]


def add_change_routes(router: APIRouter, doors: Doors) -> None:
    """Add the feed of changes to `router`."""

    async def read_page(after: str | None, limit: int, caller: Caller) -> Page:
        events, cursor = await doors.read(
            lambda identity: identity.changes(after, limit=limit, sources=caller.sources)
        )
        return [event_document(event) for event in events], cursor

    async def get_changes(request: Request) -> Response:
        """Read events after a cursor, waiting for the first if there is none yet."""
        caller = caller_of(request)
        limit = number_parameter(request, "limit", least=1, most=_LIMIT_MAX) or _LIMIT_DEFAULT
        wait = number_parameter(request, "wait", least=0, most=_WAIT_SECONDS_MAX) or 0
        cursor = request.headers.get("last-event-id") or request.query_params.get("after")
        if cursor is not None and not (0 < len(cursor) <= _CURSOR_MAX and cursor.isascii()):
            raise ParameterInvalid("after is a cursor that this route has returned")
        if "text/event-stream" in request.headers.get("accept", ""):
            page = await read_page(cursor, limit, caller)
            return StreamingResponse(
                follow(page, limit, caller),
                media_type="text/event-stream",
                headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
            )
        ends_at = _monotonic() + wait
        while True:
            events, cursor = await read_page(cursor, limit, caller)
            left = ends_at - _monotonic()
            if events or left <= 0 or not await doors.pause(min(_POLL_SECONDS, left)):
                return json_response({"events": events, "cursor": cursor})

    async def follow(page: Page, limit: int, caller: Caller) -> AsyncIterator[bytes]:
        started_at = spoken_at = _monotonic()
        while True:
            events, cursor = page
            now = _monotonic()
            if events:
                yield _messages(events, cursor)
                spoken_at = now
            elif now - spoken_at >= _ALIVE_SECONDS:
                yield b": alive\n\n"
                spoken_at = now
            if now - started_at >= _STREAM_SECONDS:
                return
            if not events and not await doors.pause(_POLL_SECONDS):
                return
            page = await read_page(cursor, limit, caller)

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
                parameter("limit", "events in a page, 1 to 10,000", example="1000"),
                parameter("wait", "seconds to wait for a first event, 0 to 60", example="30"),
            ],
        ),
    )


def _monotonic() -> float:
    """Measures waiting only; no instant of any answer comes from it."""
    return asyncio.get_running_loop().time()


def _messages(events: list[dict[str, object]], cursor: str) -> bytes:
    parts = [b"event: change\ndata: " + orjson.dumps(event) + b"\n" for event in events]
    return b"\n".join(parts) + b"id: " + cursor.encode() + b"\n\n"
