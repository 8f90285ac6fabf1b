"""`sameas lookup`, `search` and `explain`: what is known."""

from __future__ import annotations

from typing import Annotated

import typer

from identity.statement import format_instant, parse_instant
from service.cli.session import open_identity, parse_pair, parse_ref
from service.cli.show import AsJson, print_document, print_table

__all__ = ["explain", "lookup", "search"]

Moment = Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339, such as 2026-11-23T09:30:00Z.")]


def lookup(
    records: Annotated[list[str] | None, typer.Argument(metavar="SOURCE/KEY...", help="Records.")] = None,
    cid: Annotated[str | None, typer.Option(help="Show what this CID stands for instead.")] = None,
    valid_at: Moment = None,
    known_at: Moment = None,
    as_json: AsJson = False,
) -> None:
    """Look up the CIDs of records, or the records of a CID.

    Example: sameas lookup crm/71 erp/90 --known-at 2026-11-01T00:00:00Z
    """
    if (cid is None) == (not records):
        raise typer.BadParameter("name records (SOURCE/KEY), or one CID with --cid")
    with open_identity() as identity:
        if cid is not None:
            view = identity.get_cid(cid)
            document = {
                "cid": view.cid,
                "status": view.status.value,
                "successors": view.successors,
                "records": [f"{ref.source}/{ref.key}" for ref in view.records],
            }
            if as_json:
                print_document(document)
            else:
                print_table(("", ""), [(name, _joined(value)) for name, value in document.items()])
            return
        refs = [parse_ref(text) for text in records or ()]
        found = identity.look_up(
            refs,
            valid_at=parse_instant(valid_at, "--valid-at"),
            known_at=parse_instant(known_at, "--known-at"),
        )
    rows = [
        (ref.source, ref.key, at, status.value) for ref, (at, status) in zip(refs, found.rows, strict=True)
    ]
    if as_json:
        cids = [dict(zip(("source", "key", "cid", "status"), row, strict=True)) for row in rows]
        print_document({"cids": cids, "horizon": format_instant(found.horizon)})
    else:
        print_table(("source", "key", "cid", "status"), rows)


def search(
    attributes: Annotated[list[str], typer.Argument(metavar="ATTRIBUTE=VALUE...", help="What is known.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Customers at most.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find customers by their attributes; stores nothing.

    Example: sameas search given_name=Ada family_name=Byron email=ada@example.org
    """
    stated: dict[str, object] = {}
    for text in attributes:
        name, value = parse_pair(text)
        place = stated
        *parents, last = name.split(".")
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise typer.BadParameter(f"{parent} is stated twice, as a value and as an object")
            place = inner
        place[last] = value
    with open_identity() as identity:
        hits = identity.search(stated, limit=limit, sources=None)
    if as_json:
        print_document(
            [
                {
                    "cid": hit.cid,
                    "probability": hit.probability,
                    "weight": hit.weight,
                    "records": [{"source": ref.source, "key": ref.key} for ref in hit.records],
                }
                for hit in hits
            ]
        )
    else:
        print_table(
            ("cid", "probability", "weight", "records"),
            [
                (
                    hit.cid,
                    f"{hit.probability:.4f}",
                    f"{hit.weight:+.1f}",
                    _joined([f"{ref.source}/{ref.key}" for ref in hit.records]),
                )
                for hit in hits
            ],
        )


def explain(
    left: Annotated[str, typer.Argument(metavar="SOURCE/KEY")],
    right: Annotated[str, typer.Argument(metavar="SOURCE/KEY")],
    known_at: Moment = None,
) -> None:
    """Explain why two records are together or apart, as JSON.

    Example: sameas explain crm/71 erp/90
    """
    with open_identity() as identity:
        print_document(
            identity.explain(
                parse_ref(left), parse_ref(right), known_at=parse_instant(known_at, "--known-at")
            )
        )


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
