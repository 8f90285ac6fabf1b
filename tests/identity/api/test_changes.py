"""A stream of changes shows that it lives, and ends: with intervals of no length, so that nothing waits.

Elsewhere: following over real sockets (`tests/service/test_serve_feed.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

from identity.api.caller import CALLER, Caller
from identity.api.changes import StreamPace, add_change_routes
from identity.service import Identity
from tests.identity.stores import stated, tell

Answer = TypeVar("Answer")

FOR_EVER = 10.0**9


class Doors:
    """Doors to one store, without processes."""

    is_closing = False

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def read(self, question: Callable[[Identity], Answer]) -> Answer:
        return await asyncio.to_thread(question, self._identity)

    async def pause(self, seconds: float) -> bool:
        await asyncio.sleep(0)
        return True


def stream(identity: Identity, pace: StreamPace, *, after: str | None = None, limit: int = 100) -> bytes:
    """Return all of a stream; one that does not end is a failure."""
    router, app = APIRouter(), FastAPI()
    doors: Any = Doors(identity)
    add_change_routes(router, doors, pace=pace)
    app.include_router(router)

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CALLER: Caller("1", frozenset({"read"}))}, receive, send)

    async def scene() -> bytes:
        params = {"limit": str(limit)} | ({} if after is None else {"after": after})
        async with (
            asyncio.timeout(10),
            httpx.AsyncClient(transport=httpx.ASGITransport(known), base_url="http://test") as client,
        ):
            answer = await client.get("/v1/changes", params=params, headers={"accept": "text/event-stream"})
        assert answer.status_code == 200
        return answer.content

    return asyncio.run(scene())


@pytest.mark.parametrize("limit", [1, 100])
def test_it_ends_after_its_time_behind_a_whole_page(identity: Identity, limit: int) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    events, _ = identity.changes(None, limit=limit)

    told = stream(identity, StreamPace(alive_s=FOR_EVER, end_s=0, look_up_s=0), limit=limit)

    ids = [line.removeprefix(b"id: ").decode() for line in told.splitlines() if line.startswith(b"id: ")]
    assert ids == [event.id for event in events]


def test_without_an_event_it_shows_with_a_comment_that_it_lives_and_where_it_stands(
    identity: Identity,
) -> None:
    tell(identity, stated("1", email=("ann",)))
    end = identity.feed_end()

    told = stream(identity, StreamPace(alive_s=0, end_s=0, look_up_s=0), after=end)

    assert told == b": alive\nid: %b\n\n" % end.encode()


def test_it_shows_so_only_once_that_long_has_passed(identity: Identity) -> None:
    assert stream(identity, StreamPace(alive_s=FOR_EVER, end_s=0, look_up_s=0)) == b""
