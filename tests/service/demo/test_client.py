"""Talking to a running service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from service.demo.client import ServiceClient, record_path
from service.demo.errors import DemoFailed


class Answers(BaseHTTPRequestHandler):
    """Answers what it was sent, a problem under `/refused`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/refused":
            self.answer(409, b'{"code": "version_conflict", "detail": "no"}')
        else:
            self.answer(200, orjson.dumps({"key": self.headers["Authorization"]}))

    def do_PUT(self) -> None:
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def do_POST(self) -> None:
        assert self.headers["Transfer-Encoding"] == "chunked"
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        lines = b"".join(parts).splitlines()
        self.answer(200, b"".join(orjson.dumps({"key": orjson.loads(line)["key"]}) + b"\n" for line in lines))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


@pytest.fixture
def client() -> Iterator[ServiceClient]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield ServiceClient(f"http://127.0.0.1:{server.server_port}/", api_key="secret")
        server.shutdown()
        thread.join()


def test_a_call_sends_the_key_and_json_and_returns_json(client: ServiceClient) -> None:
    assert client.call("GET", "/x") == {"key": "Bearer secret"}
    assert client.call("PUT", "/x", {"name": "Zoë"}) == {"name": "Zoë"}


def test_a_refusal_is_an_error_with_the_problem_s_code(client: ServiceClient) -> None:
    with pytest.raises(DemoFailed, match="409: version_conflict: no"):
        client.call("GET", "/refused")


def test_wellness_is_a_question_without_errors(client: ServiceClient) -> None:
    assert client.is_well("/x")
    assert not client.is_well("/refused")
    assert not ServiceClient("http://127.0.0.1:1", api_key="").is_well("/x")


def test_statements_are_streamed_and_answered_in_order(client: ServiceClient) -> None:
    answers = client.stream_records("crm", ({"key": str(number)} for number in range(450)))

    assert [answer["key"] for answer in answers] == [str(number) for number in range(450)]


def test_a_service_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DemoFailed, match="does not answer"):
        ServiceClient("http://127.0.0.1:1", api_key="").call("GET", "/x")


def test_a_key_is_one_segment_of_the_path() -> None:
    assert record_path("crm", "a/b ü") == "/v1/sources/crm/records/a%2Fb%20%C3%BC"
