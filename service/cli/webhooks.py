"""`sameas webhook` keeps webhooks; `sameas webhooks` sends what changes to them.

Elsewhere: the same over HTTP (`streams.webhook_routes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.session import MetricsPort, open_identity, os_author, read_settings
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from streams.webhook_book import WebhookBook

__all__ = ["add", "list_webhooks", "remove", "resume", "rotate_secret", "test", "webhook_app", "webhooks"]

webhook_app = typer.Typer(no_args_is_help=True, help="Register, list, test and remove webhooks.")

Id = Annotated[str, typer.Argument(metavar="ID")]


@webhook_app.command("add")
def add(
    url: Annotated[str, typer.Argument(help="Where changes are posted to: https://...")],
    source: Annotated[
        list[str] | None, typer.Option(help="Only changes of this source; may be repeated.")
    ] = None,
    begin: Annotated[str, typer.Option("--from", help="now, start, or a cursor of the feed.")] = "now",
) -> None:
    """Register a webhook and print its secret; it is shown only here.

    Example: sameas webhook add https://crm.example.com/cids --source crm --from start
    """
    with _open_book() as book:
        hook, secret = book.add(url, sources=source or None, begin_at=begin, author=os_author())
    typer.echo(hook.id, err=True)
    typer.echo(secret)


@webhook_app.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """List all webhooks and how their receivers do.

    Example: sameas webhook list
    """
    from streams.webhook_routes import webhook_document

    with _open_book() as book:
        rows = [webhook_document(one) for one in book.list_all()]
    if as_json:
        print_document(rows)
        return
    columns = ("id", "url", "sources", "state", "reason", "waiting", "failing_since", "cursor")
    joined = ({**row, "sources": _joined(row["sources"])} for row in rows)
    print_table(columns, [[row[column] for column in columns] for row in joined])


@webhook_app.command("remove")
def remove(webhook_id: Id) -> None:
    """Forget a webhook; nothing more is sent to it.

    Example: sameas webhook remove wh_3f9a1c2b4d5e6f70
    """
    with _open_book() as book:
        book.remove(webhook_id)
    typer.echo(f"{webhook_id} removed")


@webhook_app.command("test")
def test(webhook_id: Id) -> None:
    """Send a signed message that tells nothing, and print the answer.

    Example: sameas webhook test wh_3f9a1c2b4d5e6f70
    """
    from service.clock import SystemClock
    from service.webhook_running import make_poster
    from streams.webhook_courier import send_test

    post = make_poster(read_settings())
    with _open_book() as book:
        answer = asyncio.run(send_test(book.get(webhook_id), book=book, post=post, now=SystemClock().now()))
    typer.echo(f"status {answer.status}" if answer.status else f"no answer: {answer.fault}")
    if not answer.is_taken:
        raise typer.Exit(1)


@webhook_app.command("rotate-secret")
def rotate_secret(webhook_id: Id) -> None:
    """Print a new secret; for a day messages are signed with the one before, too.

    Example: sameas webhook rotate-secret wh_3f9a1c2b4d5e6f70
    """
    with _open_book() as book:
        typer.echo(book.rotate_secret(webhook_id))


@webhook_app.command("resume")
def resume(webhook_id: Id) -> None:
    """Send again to a webhook that was disabled, from where it stands.

    Example: sameas webhook resume wh_3f9a1c2b4d5e6f70
    """
    with _open_book() as book:
        book.resume(webhook_id)
    typer.echo(f"{webhook_id} resumed")


def webhooks(metrics_port: MetricsPort = None) -> None:
    """Send what changes to all webhooks until Ctrl-C; safe to run more than once.

    Example: sameas webhooks --metrics-port 9361
    """
    from service.programs import run_program
    from service.telemetry import configure_logging
    from service.webhook_running import WebhookProgram

    settings = read_settings()
    configure_logging(settings.log_level)
    run_program(
        WebhookProgram(settings),
        metrics_port=metrics_port,
        on_run=lambda: typer.echo("sameas sends to webhooks"),
    )


@contextmanager
def _open_book() -> Iterator[WebhookBook]:
    from service.clock import SystemClock
    from streams.webhook_book import WebhookBook

    with open_identity() as identity:
        yield WebhookBook(identity, now=SystemClock().now)


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "all"
