"""A TCP proxy on the loopback address whose connections can be cut half-open.

A connection that is cut carries nothing any more, in either direction, and neither end is told. After a while its
client is reset, as by a server that came back and knows nothing of it; the server's end stays for longer: it believes in
a client that is gone, and holds what that had locked.

Invariant: connections that are made after a cut work at once. All threads end with the `with` block.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from types import TracebackType
from typing import Self

__all__ = ["CuttingProxy"]

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Listens on a free port; `upstream_port` may be set later, before the first connection."""

    def __init__(self, upstream_port: int = 0) -> None:
        self.upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._is_closing = False
        self._timers: list[threading.Timer] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        """Where clients connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for timer in self._timers:
            timer.cancel()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.reset_client()
            pair.reset_server()

    def cut(self, *, share: float, chance: random.Random, client_s: float, server_s: float) -> int:
        """Cut a share of the open connections; return how many.

        Args:
            client_s, server_s: after how long each end is reset.
        """
        with self._lock:
            chosen = [pair for pair in self._pairs if not pair.is_cut and chance.random() < share]
        for pair in chosen:
            pair.is_cut = True
            for after_s, reset in ((client_s, pair.reset_client), (server_s, pair.reset_server)):
                timer = threading.Timer(after_s, reset)
                timer.daemon = True
                timer.start()
                self._timers.append(timer)
        return len(chosen)

    def _accept(self) -> None:
        while not self._is_closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(pair, source, sink), daemon=True).start()

    def _pump(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if not pair.is_cut:
                    sink.sendall(data)
        if not pair.is_cut:
            pair.reset_client()
            pair.reset_server()
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    """Both ends of one connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client = client
        self._server = server
        self.is_cut = False

    def reset_client(self) -> None:
        """End the client's end, by force."""
        _reset(self._client)

    def reset_server(self) -> None:
        """End the server's end, by force."""
        _reset(self._server)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        end.close()
