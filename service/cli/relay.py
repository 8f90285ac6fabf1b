"""`sameas relay` tells Kafka what changes in the store; `sameas asyncapi` says what it tells.

Elsewhere: the relay (`streams.relay`), which topics there are (`service.cli.streams`).
"""

from __future__ import annotations

import typer

from service.cli.session import MetricsPort, read_settings

__all__ = ["asyncapi", "relay"]


def relay(
    metrics_port: MetricsPort = None,
) -> None:
    """Tell Kafka every change of the crosswalk until Ctrl-C; safe to run more than once.

    Example: sameas relay --metrics-port 9360
    """
    from service.programs import run_program
    from service.relaying import RelayProgram
    from service.telemetry import configure_logging

    settings = read_settings()
    configure_logging(settings.log_level)
    run_program(
        RelayProgram(settings),
        metrics_port=metrics_port,
        on_run=lambda: typer.echo(f"sameas relays to {settings.kafka.bootstrap}"),
    )


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
