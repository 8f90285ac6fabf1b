"""Let in who holds an API key.

Invariant: every request but `/healthz` carries a valid API key before anything else is looked at, its
route included; an API key is never logged or repeated.
Elsewhere: what a key opens (`service.guard`), the keys themselves (`service.keys`), the first start's
admin key (`service.admin_key`).
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from identity.api.caller import CALLER, Caller
from service.errors import Unauthenticated
from service.keys import ApiKeys
from service.problems import problem_response
from service.telemetry import NOTE

__all__ = ["Access", "presented_key"]

_OPEN_PATH: Final = "/healthz"
_BEARER: Final = "bearer "
_KEY_CHARACTERS_MAX: Final = 256


class Access:
    """The ASGI layer that finds out who asks."""

    def __init__(self, app: ASGIApp, *, keys: ApiKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or answer 401."""
        if scope["type"] != "http" or scope["path"] == _OPEN_PATH:
            await self._app(scope, receive, send)
            return
        text = presented_key(scope)
        caller = await self._find_caller(text) if text else None
        if caller is None:
            error = Unauthenticated(
                "send a valid API key as `Authorization: Bearer ...` or `x-api-key` (`sameas key create`)"
            )
            await problem_response(error)(scope, receive, send)
            return
        scope[CALLER] = caller
        scope[NOTE].caller = caller.id
        await self._app(scope, receive, send)

    async def _find_caller(self, text: str) -> Caller | None:
        return self._keys.find_verified(text) or await asyncio.to_thread(self._keys.find_caller, text)


def presented_key(scope: Scope) -> str | None:
    """Return the API key of a request's headers, or None."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"x-api-key":
            text = value.decode("latin-1").strip()
        elif name == b"authorization":
            stated = value.decode("latin-1")
            text = stated[len(_BEARER) :].strip() if stated[: len(_BEARER)].lower() == _BEARER else ""
        else:
            continue
        if 0 < len(text) <= _KEY_CHARACTERS_MAX:
            return text
    return None
