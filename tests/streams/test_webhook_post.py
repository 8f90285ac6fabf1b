"""One message over TLS: to the address that was judged, without redirects, within limits of time and size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.errors import WebhookInvalid
from streams.webhook_address import WebhookTarget, read_url
from streams.webhook_post import PostAnswer, WebhookPoster, make_trust
from tests.services.certificate import Certificate, make_certificate
from tests.streams.receiver import Receiver, receiver_at

HEADERS = {"webhook-id": "1"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiver_at(tmp_path) as running:
        yield running


def post(poster: WebhookPoster, url: str, body: bytes = b"{}") -> PostAnswer:
    return asyncio.run(poster(read_url(url), HEADERS, body))


async def on_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def test_a_message_arrives_as_it_was_sent(receiver: Receiver) -> None:
    answer = post(receiver.poster(), receiver.url, b'{"a":1}')

    [receipt] = receiver.receipts
    assert answer == PostAnswer(204)
    assert answer.is_taken
    assert (receipt.path, receipt.body) == ("/cids?from=mdm", b'{"a":1}')
    assert receipt.headers["webhook-id"] == "1"
    assert receipt.headers["content-type"] == "application/json"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = lambda _: (302, {"location": receiver.url})

    answer = post(receiver.poster(), receiver.url)

    assert (answer.status, answer.is_taken, len(receiver.receipts)) == (302, False, 1)


def test_a_receiver_may_say_when_to_come_again(receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {"retry-after": "120"})
    assert post(receiver.poster(), receiver.url) == PostAnswer(503, retry_after_s=120)

    receiver.answer = lambda _: (503, {"retry-after": "999999999"})
    assert post(receiver.poster(), receiver.url).retry_after_s == 86_400


def test_a_host_inside_is_not_even_connected_to_unless_its_name_is_allowed(receiver: Receiver) -> None:
    answer = post(receiver.poster(allowed_hosts=()), receiver.url)

    assert answer == PostAnswer(0, "address_refused")
    assert receiver.receipts == []


def test_the_name_is_asked_once_and_the_connection_goes_to_what_was_judged(receiver: Receiver) -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    answer = post(receiver.poster(resolve=rebinding), receiver.url)

    assert (answer.status, asked) == (204, ["localhost"])


def test_one_inner_address_among_public_ones_is_enough_to_refuse(receiver: Receiver) -> None:
    async def mixed(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    assert post(receiver.poster(resolve=mixed, allowed_hosts=()), receiver.url).fault == "address_refused"


def test_a_certificate_of_another_name_or_of_nobody_is_refused(receiver: Receiver) -> None:
    other = receiver.url.replace("localhost", "other.example")
    stranger = WebhookPoster(make_trust(None), allowed_hosts=("localhost",))

    assert post(receiver.poster(resolve=on_loopback, allowed_hosts=("other.example",)), other).fault == "tls"
    assert post(stranger, receiver.url).fault == "tls"
    assert receiver.receipts == []


def test_who_does_not_listen_gives_no_answer(receiver: Receiver, tmp_path: Path) -> None:
    with receiver_at(tmp_path) as gone:
        url = gone.url
    poster = receiver.poster()

    assert post(poster, url) == PostAnswer(0, "connection")


@pytest.mark.parametrize("host", ["crm..example.com", "a" * 64 + ".example.com"])
def test_a_name_that_cannot_be_asked_for_gives_no_answer(receiver: Receiver, host: str) -> None:
    target = WebhookTarget(host, 443, "/")

    assert asyncio.run(receiver.poster()(target, HEADERS, b"{}")) == PostAnswer(0, "connection")


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")

    with pytest.raises(WebhookInvalid, match="AUTHORITIES"):
        make_trust(tmp_path / "empty.pem")


@asynccontextmanager
async def raw_server(certificate: Certificate, say: Any) -> Any:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate.cert, certificate.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await say(writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=trust)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def answer_of(folder: Path, say: Any, *, seconds_max: float = 20.0) -> PostAnswer:
    certificate = make_certificate(folder)

    async def scene() -> PostAnswer:
        async with raw_server(certificate, say) as port:
            poster = WebhookPoster(
                make_trust(certificate.cert), allowed_hosts=("localhost",), seconds_max=seconds_max
            )
            return await poster(WebhookTarget("localhost", port, "/"), HEADERS, b"{}")

    return asyncio.run(scene())


def test_an_answer_without_an_end_is_cut_off(tmp_path: Path) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(10**6):
            writer.write(b"x-%d: %s\r\n" % (number, b"a" * 1_000))
            await writer.drain()

    assert answer_of(tmp_path, endless) == PostAnswer(0, "answer_too_large")


def test_one_time_limit_holds_for_all_of_an_answer(tmp_path: Path) -> None:
    async def dripping(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H" if writer.transport.get_write_buffer_size() else b"HTTP/1.1 200 OK\r\nx: ")
            await writer.drain()
            await asyncio.get_running_loop().create_future()

    assert answer_of(tmp_path, dripping, seconds_max=0.3) == PostAnswer(0, "timeout")


def test_what_is_no_http_and_a_closed_connection_are_no_answer(tmp_path: Path) -> None:
    async def chatter(writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n\r\n")
        await writer.drain()
        await asyncio.get_running_loop().create_future()

    async def silence(writer: asyncio.StreamWriter) -> None:
        return

    assert answer_of(tmp_path, chatter, seconds_max=5) == PostAnswer(0, "no_http")
    assert answer_of(tmp_path, silence).fault == "connection"


def test_a_receiver_that_wants_another_protocol_is_no_http(tmp_path: Path) -> None:
    async def upgrading(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        await writer.drain()
        await asyncio.get_running_loop().create_future()

    assert answer_of(tmp_path, upgrading, seconds_max=5) == PostAnswer(0, "no_http")


def test_an_early_answer_is_not_the_answer(tmp_path: Path) -> None:
    async def early(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.get_running_loop().create_future()

    assert answer_of(tmp_path, early).status == 202
