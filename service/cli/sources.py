"""`sameas source`: register, show and retire sources."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from identity.errors import ContractRefused
from service.cli.session import open_identity, os_author, parse_pair
from service.cli.show import AsJson, print_document, print_table
from service.errors import FileInaccessible

__all__ = ["get_source", "list_sources", "put_source", "retire_source", "source_app"]

source_app = typer.Typer(no_args_is_help=True, help="Register, show and retire sources.")

Name = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of the source: a-z, 0-9, _ and -.")]


@source_app.command("put")
def put_source(  # noqa: PLR0917 - Typer's options are parameters; nobody calls this by position
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="The contract as a JSON file; - reads it here.")] = None,
    domain: Annotated[str | None, typer.Option(help="Domain that owns the source.")] = None,
    kind: Annotated[str | None, typer.Option(help="crm, erp, shop, ...")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for the source.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Path of the key; several make a composite.")] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="ATTRIBUTE=PATH, may be repeated.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Country of phones and addresses, such as DE.")] = None,
    approach: Annotated[int | None, typer.Option(min=1, max=4, help="How the CID gets back, 1 to 4.")] = None,
    key_personal: Annotated[bool, typer.Option("--key-personal", help="Keys are personal data.")] = False,
    one_per_customer: Annotated[
        bool, typer.Option("--one-per-customer", help="The source has one record a customer.")
    ] = False,
) -> None:
    """Register a source, or give it the next version of its contract.

    Example: sameas source put crm --domain sales --key id --map email=contact.mail --region DE
    """
    document = {} if file is None else _read_document(file)
    stated: dict[str, object] = {
        "domain": domain,
        "kind": kind,
        "owner": owner,
        "key": key[0] if key and len(key) == 1 else key,
        "mapping": dict(map(parse_pair, mapping)) if mapping else None,
        "region": region,
        "approach": approach,
        "key_personal": key_personal or None,
        "one_per_customer": one_per_customer or None,
    }
    document |= {field: value for field, value in stated.items() if value is not None}
    with open_identity() as identity:
        contract, is_created = identity.put_source(name, document, author=os_author())
    typer.echo(f"{contract.name}: version {contract.version} {'registered' if is_created else 'in force'}")


@source_app.command("get")
def get_source(name: Name) -> None:
    """Print the contract in force of a source, as JSON.

    Example: sameas source get crm
    """
    with open_identity() as identity:
        print_document(dict(identity.get_source(name).document))


@source_app.command("list")
def list_sources(as_json: AsJson = False) -> None:
    """List all sources.

    Example: sameas source list
    """
    with open_identity() as identity:
        contracts = identity.list_sources()
    if as_json:
        print_document([{"source": contract.name, **contract.document} for contract in contracts])
    else:
        print_table(
            ("source", "domain", "kind", "owner", "version"),
            [(one.name, one.domain, one.kind, one.owner, one.version) for one in contracts],
        )


@source_app.command("retire")
def retire_source(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Withdraw all records of a source and take no more statements from it.

    Example: sameas source retire old_shop --yes
    """
    if not yes:
        typer.confirm(f"Withdraw all records of {name}?", abort=True)
    with open_identity() as identity:
        count = identity.retire_source(name, author=os_author())
    typer.echo(f"{name}: retired, {count} records withdrawn")


def _read_document(file: Path) -> dict[str, object]:
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as exc:
        raise FileInaccessible(f"{file} cannot be read: {exc.strerror}") from exc
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise ContractRefused(f"{file} is not JSON: {exc.msg} at line {exc.lineno}") from exc
    if not isinstance(document, dict):
        raise ContractRefused(f"{file} is not a JSON object")
    return document
