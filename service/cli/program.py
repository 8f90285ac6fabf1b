"""Put the groups of commands together into the command `sameas`.

Elsewhere: one room for each group of commands; what they share (`service.cli.session`).
"""

from __future__ import annotations

import typer

from service.cli.bulk import evaluate, load
from service.cli.coverage import coverage, read_back, wait
from service.cli.exports import export_app
from service.cli.judging import judge_app
from service.cli.keys import key_app
from service.cli.operate import demo, migrate, serve
from service.cli.reads import explain, lookup, search
from service.cli.rejects import rejects_app
from service.cli.relay import asyncapi, relay
from service.cli.report import report
from service.cli.session import run
from service.cli.sources import source_app
from service.cli.streams import connect_app, topics_app
from service.cli.watch import watch
from service.cli.webhooks import webhook_app, webhooks
from service.cli.worker import worker_app
from service.cli.write_back import write_back

__all__ = ["app", "main"]

app = typer.Typer(
    name="sameas",
    help="Customer identity: records in, one durable customer identifier (CID) out, looked up both ways.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.add_typer(source_app, name="source")
app.command()(load)
app.command()(watch)
app.command()(lookup)
app.command()(search)
app.command()(explain)
app.command()(report)
app.command()(evaluate)
app.add_typer(export_app, name="export")
app.add_typer(topics_app, name="topics")
app.add_typer(connect_app, name="connect")
app.add_typer(worker_app, name="worker")
app.add_typer(rejects_app, name="rejects")
app.command()(relay)
app.command()(coverage)
app.command()(wait)
app.command("read-back")(read_back)
app.command()(asyncapi)
app.add_typer(webhook_app, name="webhook")
app.command()(webhooks)
app.command("write-back")(write_back)
app.add_typer(judge_app, name="judge")
app.add_typer(key_app, name="key")
app.command()(migrate)
app.command()(demo)


def main() -> None:
    """Run the command line."""
    run(app)
