"""`sameas watch`: load the files that a legacy system drops into a folder.

Elsewhere: the program (`service.watching`), one file by hand (`service.cli.bulk`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.session import MetricsPort, read_settings

__all__ = ["watch"]


def watch(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A registered source.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files are dropped.")],
    *,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Each file is all the source has: withdraw the rest.")
    ] = False,
    withdraw_max: Annotated[
        float, typer.Option(min=0, max=1, help="Share that a snapshot may withdraw.")
    ] = 0.05,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks into the folder.")] = 5.0,
    stable: Annotated[
        float, typer.Option(min=0, help="Seconds that a file without a .done marker has to stay the same.")
    ] = 10.0,
    markers_only: Annotated[
        bool, typer.Option("--markers-only", help="Take no file without a .done marker.")
    ] = False,
    metrics_port: MetricsPort = None,
) -> None:
    """Load each file dropped into DIR once, by the source's contract, until SIGTERM or Ctrl-C.

    Example: sameas watch erp /srv/drops/erp --snapshot
    """
    from service.bootstrap import bootstrap_identity
    from service.programs import run_program
    from service.telemetry import configure_logging
    from service.watching import WatchPlan, WatchProgram

    settings = read_settings()
    configure_logging(settings.log_level)
    plan = WatchPlan(source, folder, snapshot, withdraw_max, every, stable, markers_only)
    run_program(
        WatchProgram(bootstrap_identity(settings), plan),
        metrics_port=metrics_port,
        on_run=lambda: typer.echo(f"sameas watches {folder} for {source}"),
    )
