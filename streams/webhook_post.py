"""Send one message over HTTPS to an address that was judged, within limits of time and size.

1. The name is resolved once, and every address it leads to is judged (`streams.webhook_address`).
2. The connection goes to an address so judged, whatever the name leads to by then; the certificate is the name's.
3. No redirect is followed. Of the answer no more is read than its head, within one time limit for all of it.

Invariant: nothing of an answer but its status and `Retry-After` reaches anybody: a receiver that is not one must not
be read through this door.
Elsewhere: what is sent and when (`streams.webhook_courier`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import httptools

from streams.errors import WebhookInvalid, WebhookRefused
from streams.webhook_address import WebhookTarget, check_addresses

__all__ = ["PostAnswer", "Poster", "WebhookPoster", "make_trust", "resolve_name"]

_SECONDS_MAX: Final = 20.0
_ANSWER_BYTES_MAX: Final = 65_536
_RETRY_AFTER_S_MAX: Final = 86_400

Resolve = Callable[[str, int], Awaitable[list[str]]]


class PostAnswer(NamedTuple):
    """What became of one attempt: an HTTP status, or 0 and why there is none."""

    status: int
    fault: str = ""
    retry_after_s: int | None = None

    @property
    def is_taken(self) -> bool:
        """True when the receiver took the message."""
        return 200 <= self.status < 300


Poster = Callable[[WebhookTarget, Mapping[str, str], bytes], Awaitable[PostAnswer]]


def make_trust(authorities: Path | None) -> ssl.SSLContext:
    """Return who is believed about names: the system's authorities, and those of a PEM file."""
    trust = ssl.create_default_context()
    if authorities is not None:
        try:
            trust.load_verify_locations(cafile=authorities)
        except (OSError, ssl.SSLError) as exc:
            raise WebhookInvalid("SAMEAS_WEBHOOK_AUTHORITIES is no readable file of certificates.") from exc
    return trust


async def resolve_name(host: str, port: int) -> list[str]:
    """Return all addresses of a host; raises OSError when there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class WebhookPoster:
    """Sends messages; see the module."""

    def __init__(
        self,
        trust: ssl.SSLContext,
        *,
        allowed_hosts: Collection[str] = (),
        seconds_max: float = _SECONDS_MAX,
        resolve: Resolve = resolve_name,
    ) -> None:
        self._trust = trust
        self._allowed_hosts = allowed_hosts
        self._seconds_max = seconds_max
        self._resolve = resolve

    async def __call__(self, target: WebhookTarget, headers: Mapping[str, str], body: bytes) -> PostAnswer:
        """Send one message; every failure is an answer."""
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._send(target, headers, body)
        except TimeoutError:
            return PostAnswer(0, "timeout")
        except WebhookRefused:
            return PostAnswer(0, "address_refused")
        except ssl.SSLError:
            return PostAnswer(0, "tls")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return PostAnswer(0, "no_http")
        except (OSError, UnicodeError):  # a name that IDNA cannot write leads nowhere
            return PostAnswer(0, "connection")

    async def _send(self, target: WebhookTarget, headers: Mapping[str, str], body: bytes) -> PostAnswer:
        addresses = await self._resolve(target.host, target.port)
        check_addresses(target.host, addresses, allowed_hosts=self._allowed_hosts)
        reader, writer = await self._connect(target, addresses)
        try:
            writer.write(_request(target, headers, body))
            await writer.drain()
            return await _read_answer(reader)
        finally:
            writer.transport.abort()

    async def _connect(
        self, target: WebhookTarget, addresses: Collection[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        fault: OSError | None = None
        for address in addresses:
            try:
                return await asyncio.open_connection(
                    address, target.port, ssl=self._trust, server_hostname=target.host
                )
            except ssl.SSLError:
                raise
            except OSError as exc:
                fault = exc
        raise fault or OSError


def _request(target: WebhookTarget, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"host: {target.authority}",
        "user-agent: sameas-webhooks/1",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def _read_answer(reader: asyncio.StreamReader) -> PostAnswer:
    head = _Head()
    parser = httptools.HttpResponseParser(head)
    left = _ANSWER_BYTES_MAX
    while True:
        part = await reader.read(min(4_096, left))
        left -= len(part)
        if not part or left <= 0:
            return PostAnswer(0, "answer_too_large" if part else "connection")
        parser.feed_data(part)
        if head.is_complete and (status := parser.get_status_code()) >= 200:
            return PostAnswer(status, retry_after_s=head.retry_after_s)


class _Head:
    """Takes the head of an answer."""

    def __init__(self) -> None:
        self.is_complete = False
        self.retry_after_s: int | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 10:
            self.retry_after_s = min(int(value), _RETRY_AFTER_S_MAX)

    def on_headers_complete(self) -> None:
        self.is_complete = True
