"""The outermost ASGI layer: notes, counts and logs each request, and answers what nobody else did.

Invariant: no exception leaves this layer, so no server log ever prints one; a fault is logged by type
and place under an id that the answer repeats. The path is handed on percent-encoded (`raw_path`), so
that `%2F` inside a key is not a separator; the routes decode their segments.
Elsewhere: logs and metrics (`service.telemetry`), API keys (`service.access`).
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matching.errors import SameasError
from service.errors import InternalFault
from service.problems import problem_of, problem_response
from service.telemetry import NOTE, Metrics, RequestNote, log_event, logger

__all__ = ["Front"]

_FAULT: Final = 500


class Front:
    """See the module."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        note = scope[NOTE] = RequestNote()
        raw = scope.get("raw_path")
        scope["path"] = raw.decode("latin-1") if raw else quote(scope["path"])
        started_at = time.perf_counter()

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                note.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception as exc:  # noqa: BLE001 - the edge of the process: logged, counted, answered
            await self._answer(exc, note, scope, receive=receive, send=send_noted)
        finally:
            seconds = time.perf_counter() - started_at
            self._metrics.count_request(scope["method"], note, seconds)
            _log(note, scope["method"], seconds)

    async def _answer(
        self, error: Exception, note: RequestNote, scope: Scope, *, receive: Receive, send: Send
    ) -> None:
        if isinstance(error, SameasError):
            answer = error
        else:
            fault = secrets.token_hex(6)
            logger.error(
                "fault", exc_info=error, extra={"sameas_fields": {"fault": fault, "route": note.route}}
            )
            answer = InternalFault(f"the service failed; its log says more under fault {fault}")
        if note.status:
            # The answer has begun: an end without its last chunk is the only word left to say.
            raise _Broken from None
        await problem_response(problem_of(answer))(scope, receive, send)


class _Broken(Exception):
    """Makes the server cut the connection; has no message, because the server logs it."""


def _log(note: RequestNote, method: str, seconds: float) -> None:
    if note.is_personal or note.status >= _FAULT:
        level, event = logging.INFO, "personal_data_read" if note.is_personal else "request"
    else:
        level, event = logging.DEBUG, "request"
    log_event(
        level,
        event,
        method=method if note.route[0] == "/" else "-",
        route=note.route,
        status=note.status,
        caller=note.caller,
        duration_ms=round(seconds * 1_000, 1),
    )
