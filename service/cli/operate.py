"""`sameas serve`, `migrate` and `demo`: run the service, prepare its store, show it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.session import read_settings

__all__ = ["demo", "migrate", "serve"]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (SAMEAS_HOST).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port (SAMEAS_PORT, 8360).")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Data directory (SAMEAS_DATA_DIR).")] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            "--with", metavar="NAMES", help="What runs beside it: worker,relay,webhooks (SAMEAS_SERVE_WITH)."
        ),
    ] = None,
) -> None:
    """Run the HTTP service until Ctrl-C.

    Example: sameas serve --port 8360 --with worker,relay
    """
    from service.serve import run_service

    settings = read_settings(host=host, port=port, data_dir=data_dir, serve_with=beside)
    run_service(settings, tell=typer.echo)


def migrate() -> None:
    """Bring the store's tables to this program's revision; takes the store alone while it runs.

    Example: SAMEAS_DATABASE_URL=postgresql://sameas@db/sameas sameas migrate
    """
    from identity.store_sql.migrate import migrate_store
    from service.bootstrap import prepare_data_dir, url_of

    settings = read_settings()
    prepare_data_dir(settings)
    before, after = migrate_store(url_of(settings))
    typer.echo(f"store at revision {after}" + ("" if before == after else f" (was {before or 'empty'})"))


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the summary.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 8360 or a free one.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the store is made; a temporary folder.")
    ] = None,
    records: Annotated[int | None, typer.Option(min=100, help="How many records.")] = None,
) -> None:
    """Load three made-up systems, show what became one customer, and keep serving.

    Example: sameas demo --once
    """
    from service.demo.run import RECORD_COUNT, run_demo

    code = run_demo(is_once=once, port=port, data_dir=data_dir, record_count=records or RECORD_COUNT)
    raise typer.Exit(code)
