"""`sameas write-back` keeps the CID column of a source's own table.

Elsewhere: the agent (`streams.write_back`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.session import MetricsPort, read_settings

__all__ = ["write_back"]


def write_back(
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    table: Annotated[str, typer.Option(help="The source's customer table: schema.table or table.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of the source key; repeated for a composite one. The contract's key if left out."
        ),
    ] = None,
    cid_column: Annotated[str, typer.Option(help="Column for the CID; text or uuid.")] = "cid",
    sweep_hours: Annotated[
        float, typer.Option(min=0.01, help="How often all rows are compared, besides those that changed.")
    ] = 24,
    metrics_port: MetricsPort = None,
) -> None:
    """Write the CIDs of a source into its own table until Ctrl-C; SAMEAS_WRITE_BACK_URL says where it is.

    Example: sameas write-back crm --table public.customer --key id
    """
    from service.programs import run_program
    from service.telemetry import configure_logging
    from service.write_back_running import WriteBackProgram

    settings = read_settings()
    configure_logging(settings.log_level)
    run_program(
        WriteBackProgram(
            settings,
            source,
            table=table,
            key_columns=tuple(key or ()),
            cid_column=cid_column,
            sweep_hours=sweep_hours,
        ),
        metrics_port=metrics_port,
        on_run=lambda: typer.echo(f"sameas writes the CIDs of {source} back"),
    )
