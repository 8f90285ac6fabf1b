"""The route by which governance and data products see how far the CIDs have come back to a source.

Invariant: a caller sees the sources that it is bound to. Waiting holds no thread: the store is asked a few times a
second, and at most for a minute.
Elsewhere: what is answered (`streams.coverage`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import caller_of
from identity.api.describe import parameter, route
from identity.api.doors import Doors
from identity.api.read_body import number_parameter, path_text
from identity.api.render import json_response
from identity.model import Instant
from streams.coverage import CoverageBook, coverage_document
from streams.errors import PositionNotReached
from streams.positions import Position, read_position

__all__ = ["CoverageAnswer", "add_coverage_routes"]

_WAIT_S_MAX: Final = 60
_WAIT_S: Final = 30
_POLL_S: Final = 0.25


class _Lag(BaseModel):
    """How long deliveries took, from the assignment to the first evidence."""

    p50: float | None
    p99: float | None


class _Watermark(BaseModel):
    """Up to here all that the source stated has its CID."""

    epoch: int | None
    version: int | None
    lsn: str | None
    effective_at: str | None


class _Objectives(BaseModel):
    """What the contract promises."""

    cid_within_s: float | None
    coverage_min: float | None


class _Approach(BaseModel):
    """How the CID gets into a consumer's join."""

    declared: int | None
    observed: int | None


class CoverageAnswer(BaseModel):
    """How many records of a source have their CID in it."""

    source: str
    records: int
    with_current_cid: int
    share: float | None
    oldest_gap_s: float | None
    lag_ms: _Lag
    retired_in_use: int
    evidence: str | None
    watermark: _Watermark | None
    objectives: _Objectives
    met: bool | None
    approach: _Approach


def add_coverage_routes(router: APIRouter, doors: Doors, *, now: Callable[[], Instant]) -> None:
    """Add the route of coverage to `router`."""

    async def get_coverage(request: Request) -> Response:
        """Read how many records of a source have their CID in it, waiting for a position if one is stated."""
        source = path_text(request, "source")
        caller_of(request).check_sources((source,))
        seconds = number_parameter(request, "wait", least=0, most=_WAIT_S_MAX)
        stated = request.query_params.get("wait_for")
        if stated is not None:
            contract = await doors.read(lambda identity: identity.get_source(source))
            position = read_position(stated, epoch=contract.epoch)
            await _wait(doors, source, position, seconds=_WAIT_S if seconds is None else seconds)
        found = await doors.read(lambda identity: CoverageBook(identity).measure(source, now=now()))
        return json_response(coverage_document(found))

    router.add_api_route(
        endpoint=get_coverage,
        methods=["GET"],
        tags=["coverage"],
        **route(
            "/v1/sources/{source}/coverage",
            scope="read",
            answer=CoverageAnswer,
            parameters=[
                parameter(
                    "wait_for",
                    "answer when all up to this position has its CID: a number, epoch:number, an LSN or a time",
                    example="16/B374D848",
                ),
                parameter("wait", "seconds to wait for it, 0 to 60; 30 if left out", example="30"),
            ],
            also={404: "No such source", 503: "The position was not reached in time"},
        ),
    )


async def _wait(doors: Doors, source: str, position: Position, *, seconds: float) -> None:
    """Return once a position is reached; raises PositionNotReached after so many seconds."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    since = await doors.read(lambda identity: CoverageBook(identity).find_feed_end())
    while not await doors.read(
        lambda identity: CoverageBook(identity).has_reached(source, position, since=since)
    ):
        left = ends_at - loop.time()
        if left <= 0 or not await doors.pause(min(_POLL_S, left)):
            raise PositionNotReached(
                f"Something that source {source} stated up to this position still lacks its CID, or was not taken "
                "yet. Ask again; the watermark in its coverage says how far it is."
            )
