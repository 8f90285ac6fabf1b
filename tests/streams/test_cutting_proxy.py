"""The proxy passes bytes on, and cuts so that neither end is told before its time."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.streams.cutting_proxy import CuttingProxy


class Echo:
    """A server that answers what it is told, and notes when a client's connection ends."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard: list[bytes] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(100):
                    self.heard.append(data)
                    connection.sendall(data)
            except OSError:
                pass
        self.ended.set()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    thread = threading.Thread(target=echo.run, daemon=True)
    thread.start()
    yield echo
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    thread.join()


def test_what_is_cut_is_silent_then_reset_and_new_connections_work(echo: Echo) -> None:
    with ExitStack() as opened:
        proxy = opened.enter_context(CuttingProxy(echo.listener.getsockname()[1]))
        client = opened.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=30))
        client.sendall(b"one")
        assert client.recv(100) == b"one"

        assert proxy.cut(share=1.0, chance=random.Random(1), client_s=0.2, server_s=0.4) == 1
        client.sendall(b"two")
        other = opened.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=30))
        other.sendall(b"three")

        assert other.recv(100) == b"three"
        with pytest.raises(ConnectionResetError):
            client.recv(100)
        assert echo.ended.wait(30)
        assert echo.heard == [b"one", b"three"]


def test_an_end_that_closes_closes_the_other(echo: Echo) -> None:
    with CuttingProxy(echo.listener.getsockname()[1]) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as client:
            client.sendall(b"one")
            assert client.recv(100) == b"one"

        assert echo.ended.wait(30)
