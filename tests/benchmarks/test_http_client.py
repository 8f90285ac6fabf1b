"""Tests of `benchmarks.http_client`, against a small server of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.http_client import make_request, run_closed_loop, run_open_loop

__all__: list[str] = []


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.headers["Authorization"] == "Bearer k" else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """Port of a server that answers with what it was sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_open_loop_sends_each_request_once_and_times_it(port: int) -> None:
    requests = [make_request("PUT", "/x", api_key="k", body=b"y" * size) for size in (1, 70_000, 3)]

    answers = run_open_loop(port, requests, rate=1_000, connections=2)

    assert len(answers.seconds) == 3
    assert answers.refused == 0


def test_a_closed_loop_goes_on_until_its_time_is_up(port: int) -> None:
    answers = run_closed_loop(
        port, [make_request("PUT", "/x", api_key="k", body=b"y")], connections=2, seconds=0.05
    )

    assert len(answers.seconds) > 2
    assert answers.rate == len(answers.seconds) / answers.elapsed_s


def test_answers_that_are_no_success_are_counted(port: int) -> None:
    answers = run_open_loop(port, [make_request("PUT", "/x", body=b"y")], rate=1_000)

    assert answers.refused == 1
    assert b"401" in answers.first_refusal
