"""Call an ASGI application without a server.

Invariant: each call runs its own event loop; faults of the application come back as answers, as a
server would give them.
Elsewhere: tests over a real server (`tests/service/test_serve.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp

__all__ = ["call"]


def call(app: ASGIApp, method: str, path: str, **arguments: Any) -> httpx.Response:
    """Return the answer of `app` to one request; `arguments` are httpx's."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(send())
