"""`sameas report`: what the rules leave to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from service.cli.session import open_identity
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from identity.model_fit import ModelFit
    from identity.oversized import Oversized

__all__ = ["report"]


def report(as_json: AsJson = False) -> None:
    """Report whether the scoring model is out of date, and which records stand apart because of what.

    The values shown are personal data.

    Example: sameas report --json
    """
    from identity.api.render import report_document

    with open_identity() as identity:
        found = identity.report()
    if as_json:
        print_document(report_document(found))
        return
    _tell_model(found.model)
    _tell_oversized(found.oversized)


def _tell_model(model: ModelFit) -> None:
    typer.echo(f"scoring model {model.version}: {'out of date' if model.is_out_of_date else 'fits'}")
    if model.is_outgrown:
        typer.echo(f"  it assumes {model.population} customers, and there are more than twice as many")
    else:
        typer.echo(f"  it assumes {model.population} customers, and there are {model.customers}")
    if model.sources_new:
        typer.echo(f"  it has never seen {', '.join(model.sources_new)}")


def _tell_oversized(oversized: Oversized) -> None:
    typer.echo(f"{oversized.record_count} records stand apart because too much is linked to them")
    rows = [
        (len(group.pids), one.rule, one.value, len(one.pids))
        for group in oversized.groups
        for one in group.values
    ]
    if rows:
        print_table(("profiles", "rule", "value", "held by"), rows)
    if not oversized.is_complete:
        typer.echo("only the first of them are grouped")
