"""Hold each route to its policy: the scope it needs, the size of its body.

Invariant: deny by default. `guard_routes` refuses an application in which a route states no policy, so
a new route cannot be open by oversight. Bytes are counted as they come; `Content-Length` is only
believed where it makes the answer come sooner.
Elsewhere: where policies stand (`identity.api.describe`), who the caller is (`service.access`).
"""

from __future__ import annotations

import inspect
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from identity.api.caller import CALLER
from identity.api.describe import BODY_LIMIT, PERSONAL, SCOPE
from identity.api.errors import BodyTooLarge
from service.errors import ScopeMissing
from service.keys import SCOPES
from service.telemetry import NOTE

__all__ = ["ANY", "PUBLIC", "guard_routes"]

PUBLIC: Final = "public"
"""The policy of a route that needs no API key; only `/healthz` has it."""

ANY: Final = "any"
"""The policy of a route that every valid API key opens."""

_POLICIES: Final = frozenset({PUBLIC, ANY, *SCOPES})


def guard_routes(app: FastAPI, *, body_bytes_max: int, list_body_bytes_max: int) -> None:
    """Put each route of `app` behind its policy; raises AssertionError where a route has none."""
    limits = {"record": body_bytes_max, "list": list_body_bytes_max, "stream": None}
    for route in app.router.routes:
        assert isinstance(route, APIRoute), f"{route} is not described by identity.api.describe"
        policy = route.openapi_extra or {}
        assert policy.get(SCOPE) in _POLICIES, f"{route.path} states no {SCOPE}"
        route.app = _Guard(
            _application(route),
            template=route.path,
            scope_needed=policy[SCOPE],
            bytes_max=limits[policy.get(BODY_LIMIT, "record")],
            is_personal=bool(policy.get(PERSONAL)),
        )


def _application(route: APIRoute) -> ASGIApp:
    """Return a route's endpoint as an application of its own.

    Every endpoint takes its request and returns its response. FastAPI's own application, which would solve
    what other endpoints depend on and validate what they return, costs a fifth of a lookup.
    """
    endpoint = route.endpoint
    assert len(inspect.signature(endpoint).parameters) == 1, f"{route.path} asks for more than its request"

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


class _Guard:
    """Stands between the router and one route."""

    def __init__(
        self, app: ASGIApp, *, template: str, scope_needed: str, bytes_max: int | None, is_personal: bool
    ) -> None:
        self._app = app
        self._template = template
        self._scope_needed = scope_needed
        self._bytes_max = bytes_max
        self._is_personal = is_personal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass if the caller has the scope, and its body while it is within the limit."""
        note = scope[NOTE]
        note.route = self._template
        if self._scope_needed != PUBLIC:
            caller = scope[CALLER]
            if self._scope_needed not in caller.scopes and self._scope_needed != ANY:
                raise ScopeMissing(f"this route needs an API key with the scope {self._scope_needed}")
            note.is_personal = self._is_personal
        if self._bytes_max is None or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, self._counted(scope, receive, self._bytes_max), send)

    @staticmethod
    def _counted(scope: Scope, receive: Receive, bytes_max: int) -> Receive:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > bytes_max:
                raise BodyTooLarge(f"the body has more than {bytes_max} bytes")
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > bytes_max:
                    raise BodyTooLarge(f"the body has more than {bytes_max} bytes")
            return message

        return receive_counted
