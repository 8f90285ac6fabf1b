"""The route by which a steward sees what the rules leave to people.

Invariant: the values that glue records are shown to stewards only, each read leaves a line with its caller, and
who is bound to sources is shown what records of these hold.
Elsewhere: the report (`identity.report`), its numbers as metrics (`service.operations`).
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import caller_of
from identity.api.describe import route
from identity.api.doors import Doors
from identity.api.render import json_response, report_document
from identity.api.shapes import ReportAnswer

__all__ = ["add_report_routes"]


def add_report_routes(router: APIRouter, doors: Doors) -> None:
    """Add the report to `router`."""

    async def report(request: Request) -> Response:
        """Report whether the scoring model is out of date, and which records stand apart for what."""
        sources = caller_of(request).sources
        return json_response(
            report_document(await doors.read(lambda identity: identity.report(sources=sources)))
        )

    router.add_api_route(
        endpoint=report,
        methods=["GET"],
        tags=["stewards"],
        **route("/v1/report", scope="steward", answer=ReportAnswer, personal=True),
    )
