"""`sameas export`: the crosswalk and the CIDs as Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.session import open_store_of, read_settings

__all__ = ["cids", "crosswalk", "export_app"]

export_app = typer.Typer(no_args_is_help=True, help="Write the crosswalk, or all CIDs, to a Parquet file.")

OutFile = Annotated[Path, typer.Argument(metavar="OUT.parquet", help="The file to write.")]


@export_app.command("crosswalk")
def crosswalk(
    out: OutFile,
    history: Annotated[
        bool, typer.Option("--history", help="Every row there ever was, both clocks.")
    ] = False,
) -> None:
    """Write source, key, cid, system_from and version of every live key, and say from where to follow changes.

    Example: sameas export crosswalk crosswalk.parquet
    """
    from identity.export import export_crosswalk, export_history
    from service.bootstrap import build_identity

    with open_store_of(read_settings()) as store:
        if history:
            typer.echo(f"{export_history(store, out)} rows written to {out}")
            return
        cursor = build_identity(store).feed_end()
        count = export_crosswalk(store, out, cursor=cursor)
    typer.echo(f"{count} rows written to {out}")
    typer.echo(f"changes since then: GET /v1/changes?after={cursor}")


@export_app.command("cids")
def cids(out: OutFile) -> None:
    """Write every CID ever issued with its status and the CIDs it stands for now.

    Example: sameas export cids cids.parquet
    """
    from identity.export import export_cids

    with open_store_of(read_settings()) as store:
        count = export_cids(store, out)
    typer.echo(f"{count} rows written to {out}")
