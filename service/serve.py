"""Run the HTTP service until it is told to stop.

Invariant: the address is told, and the first request answered, only after the store is open, the admin key
exists and all resolver processes serve.
Elsewhere: the application (`service.app`), the command (`service.cli.serve`).
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

import uvicorn

from service.admin_key import ADMIN_KEY_FILE, ensure_admin_key
from service.app import create_app
from service.bootstrap import open_settled_store
from service.clock import SystemClock
from service.companions import COMPANIONS
from service.doors import ServiceDoors
from service.errors import InternalFault, SettingsInvalid
from service.keys import ApiKeys
from service.settings import Settings
from service.telemetry import configure_logging, log_event

__all__ = ["run_service"]

_GC_THRESHOLD: Final = 20_000


def run_service(settings: Settings, *, tell: Callable[[str], None]) -> None:
    """Serve until a signal; `tell` is given what a person should read (the first admin key, the address)."""
    configure_logging(settings.log_level)
    _check_certificate(settings)
    _check_companions(settings)
    store = open_settled_store(settings)
    try:
        preset = settings.admin_key
        made = ensure_admin_key(
            ApiKeys(store.engine, SystemClock().now),
            settings.data_dir,
            preset=None if preset is None else preset.get_secret_value(),
        )
        if made is not None:
            tell(f"Admin API key (shown once; kept in {settings.data_dir / ADMIN_KEY_FILE}): {made}")
        app = create_app(settings, store)
        with _bind(settings.host, settings.port) as listener:
            address = _address(settings, listener)
            server = _Server(
                uvicorn.Config(
                    app,
                    http="httptools",
                    loop="uvloop",
                    lifespan="on",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    ssl_certfile=settings.tls_cert,
                    ssl_keyfile=settings.tls_key,
                    proxy_headers=settings.trusted_proxy is not None,
                    forwarded_allow_ips=settings.trusted_proxy,
                    timeout_graceful_shutdown=30,
                ),
                doors=app.state.doors,
                on_ready=lambda: tell(f"sameas serves at {address} (API: {address}/docs)"),
            )
            server.run([listener])
            if app.state.start_error is not None:
                raise app.state.start_error
            if not server.started:
                raise InternalFault("the service did not start; its log says more")
    finally:
        store.close()


class _Server(uvicorn.Server):
    """Uvicorn's server, which tells when it serves and lets long polls end before it waits for them."""

    def __init__(self, config: uvicorn.Config, *, doors: ServiceDoors, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._doors = doors
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What stands now stays for good: collections look at what requests leave behind only, and one list
            # of 10,000 keys is no reason for a dozen of them.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD, 20, 100)
            log_event(logging.INFO, "ready", process=os.getpid())
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._doors.begin_closing()
        await super().shutdown(sockets)


def _check_certificate(settings: Settings) -> None:
    """Refuse a certificate that cannot be served with, before anything is opened."""
    if settings.tls_cert is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password of our own, OpenSSL would ask a terminal for that of an encrypted key.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: "")
    except OSError as exc:
        raise SettingsInvalid(
            "SAMEAS_TLS_CERT and SAMEAS_TLS_KEY do not name a certificate chain and its key, without a password, "
            "as PEM files that can be read"
        ) from exc


def _check_companions(settings: Settings) -> None:
    """Refuse companions that are unknown, or that lack settings, before anything is opened."""
    for name in settings.serve_with:
        kind = COMPANIONS.get(name)
        if kind is None:
            known = ", ".join(COMPANIONS)
            raise SettingsInvalid(
                f"{name!r} cannot run beside the service (SAMEAS_SERVE_WITH); these can: {known}"
            )
        kind.check(settings)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2_048)
    except OSError as exc:
        listener.close()
        raise SettingsInvalid(f"cannot listen on {host}:{port}: {exc.strerror}; set SAMEAS_PORT") from exc
    return listener


def _address(settings: Settings, listener: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
