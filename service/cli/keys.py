"""`sameas key`: API keys of the HTTP service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from identity.statement import format_instant
from service.cli.session import open_store_of, os_author, read_settings
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from service.keys import ApiKeys

__all__ = ["create", "key_app", "list_keys", "revoke"]

key_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@key_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="read, write, steward or admin; may be repeated.")],
    source: Annotated[
        list[str] | None, typer.Option(help="Bind the key to this source; may be repeated.")
    ] = None,
    serves: Annotated[
        str | None, typer.Option(help="What asks with it: system:NAME or product:NAME.")
    ] = None,
) -> None:
    """Make an API key and print it; it is shown only here.

    Example: sameas key create "CRM write-back" --scope read --scope write --source crm
    """
    with _open_keys() as keys:
        row, text = keys.create(name, scopes=scope, sources=source or None, author=os_author(), serves=serves)
    typer.echo(f"{row.id}", err=True)
    typer.echo(text)


@key_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all API keys, revoked ones too.

    Example: sameas key list
    """
    with _open_keys() as keys:
        rows = [
            {
                "id": row.id,
                "name": row.name,
                "scopes": row.scopes,
                "sources": row.sources,
                "serves": row.serves,
                "created_at": format_instant(row.created_at),
                "created_by": row.created_by,
                "revoked_at": None if row.revoked_at is None else format_instant(row.revoked_at),
            }
            for row in keys.list_all()
        ]
    if as_json:
        print_document(rows)
    else:
        columns = ("id", "name", "scopes", "sources", "serves", "created_at", "created_by", "revoked_at")
        print_table(columns, [[_joined(row[column]) for column in columns] for row in rows])


@key_app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Refuse an API key from now on; a running service heeds it within a second.

    Example: sameas key revoke k_3f9a1c2b4d5e
    """
    with _open_keys() as keys:
        keys.revoke(key_id)
    typer.echo(f"{key_id} revoked")


@contextmanager
def _open_keys() -> Iterator[ApiKeys]:
    from service.clock import SystemClock
    from service.keys import ApiKeys

    with open_store_of(read_settings()) as store:
        yield ApiKeys(store.engine, SystemClock().now)


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
