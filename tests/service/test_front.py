"""The layers around the routes: front, access, guard; with routes made for the purpose."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from identity.api.caller import Caller, caller_of
from identity.api.describe import route
from identity.api.read_body import path_text
from identity.errors import StoreBusy
from service.access import Access
from service.errors import InternalFault
from service.front import Front
from service.guard import guard_routes
from service.problems import add_problem_handlers
from service.telemetry import Metrics, configure_logging
from tests.service.asgi import call

HEADERS = {"x-api-key": "reader"}


class FakeKeys:
    """Knows the keys named after their scopes."""

    callers: ClassVar = {
        "reader": Caller("k_reader", frozenset({"read"})),
        "writer": Caller("k_writer", frozenset({"write"})),
    }

    def find_verified(self, text: str) -> Caller | None:
        return None

    def find_caller(self, text: str) -> Caller | None:
        return self.callers.get(text)


def build(metrics: Metrics | None = None) -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)

    async def echo_key(request: Request) -> Response:
        assert caller_of(request).id
        return Response(path_text(request, "key").encode("utf-8", "surrogateescape"))

    async def echo_cid(request: Request) -> Response:
        return Response(b"cid of " + path_text(request, "key").encode())

    async def take(request: Request) -> Response:
        return Response(str(len(await request.body())).encode())

    async def fail(_request: Request) -> Response:
        raise ValueError("canary-message")

    async def busy(_request: Request) -> Response:
        raise StoreBusy("busy")

    async def break_off(_request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            raise ValueError("canary-message")

        return StreamingResponse(pieces())

    async def healthz(_request: Request) -> Response:
        return Response(b"alive")

    for path, endpoint, method, extra in (
        ("/v1/sources/{source}/records/{key}/cid", echo_cid, "GET", {"scope": "read"}),
        ("/v1/sources/{source}/records/{key}", echo_key, "GET", {"scope": "read", "personal": True}),
        ("/take", take, "POST", {"scope": "read"}),
        ("/take-list", take, "POST", {"scope": "read", "limit": "list"}),
        ("/take-stream", take, "POST", {"scope": "read", "limit": "stream"}),
        ("/fail", fail, "GET", {"scope": "any"}),
        ("/busy", busy, "GET", {"scope": "any"}),
        ("/break-off", break_off, "GET", {"scope": "any"}),
        ("/healthz", healthz, "GET", {"scope": "public"}),
    ):
        app.router.add_api_route(endpoint=endpoint, methods=[method], **route(path, **extra))
    guard_routes(app, body_bytes_max=100, list_body_bytes_max=1_000)
    add_problem_handlers(app)
    app.add_middleware(Access, keys=FakeKeys())  # type: ignore[arg-type]
    app.add_middleware(Front, metrics=metrics or Metrics())
    return app


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root, ours = logging.getLogger(), logging.getLogger("sameas")
    kept = (root.handlers[:], root.level, ours.level)
    configure_logging("debug", stream)
    yield stream
    root.handlers[:], root.level, ours.level = kept[0], kept[1], kept[2]


@pytest.mark.parametrize(
    ("segment", "key"),
    [
        ("71", "71"),
        ("a%2Fb", "a/b"),
        ("a%2Fcid", "a/cid"),
        ("%2F", "/"),
        ("a%252Fb", "a%2Fb"),
        ("100%25", "100%"),
        ("with%20space", "with space"),
        ("plus+sign", "plus+sign"),
        ("%E2%82%AC%F0%9F%98%80", "\u20ac\U0001f600"),
        ("%5B%22a%22%2C%22b%22%5D", '["a","b"]'),
        ("cid", "cid"),
        ("a;b=c,d", "a;b=c,d"),
        ("%3Fx%23y", "?x#y"),
    ],
)
def test_a_key_is_one_percent_encoded_segment(segment: str, key: str) -> None:
    app = build()

    shown = call(app, "GET", f"/v1/sources/crm/records/{segment}", headers=HEADERS)
    cid = call(app, "GET", f"/v1/sources/crm/records/{segment}/cid", headers=HEADERS)

    assert shown.text == key
    assert cid.text == f"cid of {key}"


def test_a_key_that_is_not_utf8_is_refused() -> None:
    answer = call(build(), "GET", "/v1/sources/crm/records/%FF%FE", headers=HEADERS)

    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")


@pytest.mark.parametrize("path", ["/v1/sources/crm/records/71", "/take", "/no/such/route", "/busy", "/"])
def test_without_a_valid_key_nothing_is_told_not_even_whether_the_route_exists(path: str) -> None:
    app = build()

    for headers in (
        {},
        {"x-api-key": "wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic reader"},
    ):
        answer = call(app, "GET", path, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_healthz_needs_no_key() -> None:
    assert call(build(), "GET", "/healthz").text == "alive"


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer reader"}, {"authorization": "bearer  reader"}, {"X-API-Key": "reader"}],
)
def test_a_key_is_taken_from_either_header(headers: dict[str, str]) -> None:
    assert call(build(), "GET", "/busy", headers=headers).status_code == 503


def test_a_key_without_the_scope_is_refused() -> None:
    answer = call(build(), "POST", "/take", headers={"x-api-key": "writer"}, content=b"x")

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(("path", "limit"), [("/take", 100), ("/take-list", 1_000)])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_its_limit_is_refused_by_counting(path: str, limit: int, is_chunked: bool) -> None:
    app = build()

    def body(size: int) -> object:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(size):
                yield b"x"

        return pieces() if is_chunked else b"x" * size

    assert call(app, "POST", path, headers=HEADERS, content=body(limit)).text == str(limit)
    refused = call(app, "POST", path, headers=HEADERS, content=body(limit + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


def test_a_stream_has_no_limit() -> None:
    assert call(build(), "POST", "/take-stream", headers=HEADERS, content=b"x" * 5_000).text == "5000"


def test_a_fault_is_answered_and_logged_without_its_message(log: io.StringIO) -> None:
    answer = call(build(), "GET", "/fail", headers=HEADERS)

    assert (answer.status_code, answer.json()["code"]) == (500, InternalFault.code)
    assert "canary" not in answer.text
    fault = answer.json()["detail"].split()[-1]
    assert fault in log.getvalue()
    assert "ValueError" in log.getvalue()
    assert "canary" not in log.getvalue()


def test_an_answer_that_breaks_off_is_cut_and_logged_without_a_message(log: io.StringIO) -> None:
    transport = httpx.ASGITransport(build(), raise_app_exceptions=True)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            await client.get("/break-off", headers=HEADERS)

    with pytest.raises(Exception, match=r"^$"):
        asyncio.run(ask())

    assert "canary" not in log.getvalue()


def test_requests_are_logged_and_counted_by_template(log: io.StringIO) -> None:
    metrics = Metrics()
    app = build(metrics)

    call(app, "GET", "/v1/sources/crm/records/canary-key/cid?canary=query", headers=HEADERS)
    call(app, "GET", "/canary-path", headers=HEADERS)
    call(app, "GET", "/busy", headers={"x-api-key": "canary-api-key"})
    call(app, "CANARY", "/busy", headers=HEADERS)

    shown = log.getvalue() + generate_latest(metrics.registry).decode()
    assert "canary" not in shown.lower()
    assert "/v1/sources/{source}/records/{key}/cid" in log.getvalue()
    assert 'route="/v1/sources/{source}/records/{key}/cid",status="200"} 1.0' in shown


def test_a_read_of_personal_data_is_attributed(log: io.StringIO) -> None:
    configure_logging("info", log)

    call(build(), "GET", "/v1/sources/crm/records/canary-key", headers=HEADERS)

    assert '"event":"personal_data_read"' in log.getvalue()
    assert '"caller":"k_reader"' in log.getvalue()
    assert "canary" not in log.getvalue()


def test_a_route_without_a_policy_does_not_start() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/open")
    async def is_open() -> None:
        return None

    with pytest.raises(AssertionError, match="/open"):
        guard_routes(app, body_bytes_max=1, list_body_bytes_max=1)


def test_foreign_loggers_keep_their_words_and_not_their_values(log: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error("from %s", "canary-client")
    logging.getLogger("asyncio").error("Task failed: canary-task")
    logging.getLogger("sqlalchemy").error("SELECT %s", "canary-row")

    assert "from %s" in log.getvalue()
    assert "canary" not in log.getvalue()
