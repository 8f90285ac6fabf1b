"""`sameas relay` tells Kafka what changes in the store; `sameas asyncapi` says what it tells.

Elsewhere: the relay (`streams.relay`), which topics there are (`service.cli.streams`).
"""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from service.cli.session import read_settings

__all__ = ["asyncapi", "relay"]


def relay(
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Loopback port of /metrics; none if left out.")
    ] = None,
) -> None:
    """Tell Kafka every change of the crosswalk until Ctrl-C; safe to run more than once.

    Example: sameas relay --metrics-port 9360
    """
    import prometheus_client

    from service.bootstrap import bootstrap_identity
    from service.clock import SystemClock
    from service.errors import SettingsInvalid
    from service.relay_notes import LoggedRelay
    from service.relaying import build_relay
    from service.telemetry import configure_logging

    settings, clock = read_settings(), SystemClock()
    settings.kafka  # noqa: B018 - refuses before the store is opened
    configure_logging(settings.log_level)
    notes = LoggedRelay(clock.now)
    if metrics_port is not None:
        try:
            prometheus_client.start_http_server(metrics_port, "127.0.0.1", notes.registry)
        except OSError as exc:
            raise SettingsInvalid(f"cannot listen on port {metrics_port}: {exc.strerror}") from exc
    identity = bootstrap_identity(settings)
    try:
        running = build_relay(settings, identity, notes=notes, now=clock.now)
        # It runs beside this thread, so that a signal never finds its own lock taken.
        with ThreadPoolExecutor(1) as pool:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: running.stop())
            ended = pool.submit(running.run)
            typer.echo(f"sameas relays to {settings.kafka.bootstrap}")
            ended.result()
    finally:
        identity.close()


def asyncapi() -> None:
    """Print the AsyncAPI document of the topics and their messages.

    Example: sameas asyncapi > asyncapi.json
    """
    from importlib.metadata import version

    from streams.asyncapi import draw_asyncapi
    from streams.schema_files import render_document
    from streams.topics import TopicNames

    names = TopicNames(read_settings().topic_prefix)
    typer.echo(render_document(draw_asyncapi(names, version=version("sameas"))), nl=False)
