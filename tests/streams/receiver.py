"""A receiver of webhooks: a real HTTPS server on loopback, that verifies and remembers what it is sent.

Invariant: it answers what the test told it to; what it remembers is in the order in which it answered.
Elsewhere: its certificate (`tests.services.certificate`).
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from streams.webhook_post import WebhookPoster, make_trust
from tests.services.certificate import make_certificate

__all__ = ["Receipt", "Receiver", "receiver_at"]


class Receipt(NamedTuple):
    """One message as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = self.told["data"]
        return event


class Receiver:
    """What it got, and what it answers."""

    def __init__(self, url: str, authorities: Path) -> None:
        self.url = url
        self.authorities = authorities
        self.receipts: list[Receipt] = []
        self.taken: list[Receipt] = []
        self.answer: Callable[[Receipt], int | tuple[int, dict[str, str]]] = lambda _: 204
        self.noticed: Callable[[], object] = lambda: None
        """Called when a message was remembered."""
        self._lock = threading.Lock()

    def poster(self, **changes: Any) -> WebhookPoster:
        """What sends to it: its host is allowed by name, its certificate trusted."""
        return WebhookPoster(make_trust(self.authorities), **{"allowed_hosts": ("localhost",), **changes})

    def take(self, receipt: Receipt) -> tuple[int, dict[str, str]]:
        with self._lock:
            said = self.answer(receipt)
            status, headers = said if isinstance(said, tuple) else (said, {})
            self.receipts.append(receipt)
            if 200 <= status < 300:
                self.taken.append(receipt)
        self.noticed()
        return status, headers

    def has_taken(self, count: int) -> bool:
        """True when so many messages were taken, or more."""
        return len(self.taken) >= count

    def changes(self) -> list[tuple[str, int]]:
        """(key, version) of what was taken, in order."""
        return [(one.event["key"], one.event["version"]) for one in self.taken]


@contextlib.contextmanager
def receiver_at(folder: Path, *, host: str = "localhost") -> Iterator[Receiver]:
    """Run a receiver until the block ends."""
    certificate = make_certificate(folder)
    found: list[Receiver] = []

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = found[0].take(Receipt(self.path, headers, body))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is no matter here."""

    with Server(("127.0.0.1", 0), Answering) as server:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(certificate.cert, certificate.key)
        server.socket = trust.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        found.append(Receiver(f"https://{host}:{server.server_address[1]}/cids?from=mdm", certificate.cert))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found[0]
        finally:
            server.shutdown()
            thread.join()
