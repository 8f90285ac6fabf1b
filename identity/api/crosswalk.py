"""The route of the whole crosswalk: a snapshot, and the cursor from which the feed goes on.

Invariant: the cursor is taken before the first row is read, so that snapshot and feed leave no gap
(`identity.snapshot`). An answer that ends without its last chunk is no snapshot: the service was closing.
One page of rows is in memory at a time, and the next is read when the client has taken it.
Elsewhere: following changes (`identity.api.changes`), files for one's own engine (`sameas export crosswalk`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from identity.api.caller import caller_of
from identity.api.describe import parameter, route
from identity.api.doors import Doors
from identity.api.render import crosswalk_line
from identity.errors import Unavailable
from identity.snapshot import CrosswalkKey

if TYPE_CHECKING:
    from identity.service import Identity

__all__ = ["CURSOR_HEADER", "add_crosswalk_routes"]

CURSOR_HEADER: Final = "sameas-cursor"
_NDJSON: Final = "application/x-ndjson"
_PAGE_ROWS: Final = 5_000


def add_crosswalk_routes(router: APIRouter, doors: Doors) -> None:
    """Add the route of the crosswalk to `router`."""

    async def get_crosswalk(request: Request) -> Response:
        """Read the whole crosswalk as NDJSON; the header `sameas-cursor` says from where to follow changes."""
        caller = caller_of(request)
        asked = request.query_params.getlist("source")
        caller.check_sources(asked)
        for source in asked:
            await doors.contract_of(source)
        cursor = await doors.read(lambda identity: identity.feed_end())
        known = await doors.read(lambda identity: identity.list_sources())
        sources = [one.name for one in known if caller.sees(one.name) and (not asked or one.name in asked)]
        return StreamingResponse(
            lines(sources),
            media_type=_NDJSON,
            headers={CURSOR_HEADER: cursor, "cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def lines(sources: Sequence[str]) -> AsyncIterator[bytes]:
        for source in sources:
            after = ""
            while True:
                if doors.is_closing:
                    raise Unavailable("The service is closing; what came is not the whole crosswalk.")
                page = await doors.read(partial(_page, source=source, after=after))
                if not page:
                    break
                yield b"\n".join(map(crosswalk_line, page)) + b"\n"
                after = page[-1].key

    router.add_api_route(
        endpoint=get_crosswalk,
        methods=["GET"],
        tags=["changes"],
        **route(
            "/v1/crosswalk",
            scope="read",
            also={200: "One line a key; the header sameas-cursor is where to follow changes from"},
            answer_types=[_NDJSON],
            parameters=[parameter("source", "only keys of this source; may be repeated")],
        ),
    )


def _page(identity: Identity, *, source: str, after: str) -> list[CrosswalkKey]:
    return identity.crosswalk_page(source, after=after, limit=_PAGE_ROWS)
