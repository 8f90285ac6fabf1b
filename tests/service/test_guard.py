"""Policies of routes (the layers together: `tests/service/test_front.py`)."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from identity.api.describe import route
from service.guard import guard_routes


@pytest.mark.parametrize("scope", ["root", "", "READ"])
def test_a_route_with_an_unknown_policy_does_not_start(scope: str) -> None:
    app = FastAPI(openapi_url=None)

    async def endpoint(_request: Request) -> Response:
        return Response()

    app.router.add_api_route(endpoint=endpoint, **route("/x", scope=scope))

    with pytest.raises(AssertionError, match="/x"):
        guard_routes(app, body_bytes_max=1, list_body_bytes_max=1)


def test_a_route_whose_endpoint_asks_for_more_than_its_request_does_not_start() -> None:
    app = FastAPI(openapi_url=None)

    async def endpoint(_request: Request, limit: int = 1) -> Response:
        return Response(str(limit))

    app.router.add_api_route(endpoint=endpoint, **route("/x", scope="read"))

    with pytest.raises(AssertionError, match="/x"):
        guard_routes(app, body_bytes_max=1, list_body_bytes_max=1)
