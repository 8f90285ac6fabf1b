"""`sameas rejects`: list, show, replay and discard what could not be taken.

Elsewhere: what is kept of it (`streams.refused`), replaying (`streams.replay`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.session import open_identity, open_store_of, os_author, parse_ref, read_settings
from service.cli.show import AsJson, print_document, print_table
from service.errors import FileInaccessible
from streams.errors import RejectUnmendable

if TYPE_CHECKING:
    from streams.refused import Reject, RejectBook, RejectFilter

__all__ = ["discard", "list_rejects", "rejects_app", "replay", "show"]

rejects_app = typer.Typer(no_args_is_help=True, help="What could not be taken: list, show, replay, discard.")

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Rejects by their ids.")]
Source = Annotated[str | None, typer.Option(help="Of this source.")]
Key = Annotated[str | None, typer.Option(metavar="SOURCE/KEY", help="Of this record.")]
Code = Annotated[str | None, typer.Option(help="Refused for this reason.")]


@rejects_app.command("list")
def list_rejects(
    source: Source = None,
    key: Key = None,
    code: Code = None,
    state: Annotated[str, typer.Option(help="open, replayed, discarded or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List rejects in the order in which they were refused; nothing that a source stated is printed.

    Example: sameas rejects list --source crm --code attributes_invalid
    """
    from streams.refused import RejectBook, RejectState

    if state not in ("all", *RejectState):
        raise typer.BadParameter(f"a state is one of {', '.join(RejectState)}, all")
    wanted = _filter(None, source, key, code, state=None if state == "all" else state)
    with open_store_of(read_settings()) as store:
        found = RejectBook(store).list_rejects(wanted, limit=limit)
    if as_json:
        print_document([_document(one) for one in found])
    else:
        print_table(
            ("id", "source", "state", "code", "origin", "detail"),
            [(one.id, one.source, one.state.value, one.code, _origin(one), one.detail) for one in found],
        )


@rejects_app.command("show")
def show(
    reject_id: Annotated[int, typer.Argument(metavar="ID")],
) -> None:
    """Print one reject with its key and message, as JSON: personal data.

    Example: sameas rejects show 17
    """
    from streams.refused import RejectBook, RejectState

    with open_store_of(read_settings()) as store:
        book = RejectBook(store)
        document = _document(book.get(reject_id))
        if document["state"] == RejectState.OPEN.value:
            message = book.open_message(reject_id)
            document |= {"key": message.key, "message": _readable(message.fetched.value)}
    print_document(document)


@rejects_app.command("replay")
def replay(
    ids: Ids = None,
    source: Source = None,
    key: Key = None,
    code: Code = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    file: Annotated[
        Path | None, typer.Option(help="A mended body (JSON) for the one reject named; - reads it here.")
    ] = None,
) -> None:
    """Take messages again under the contracts now in force; those about one record in their order.

    Example: sameas rejects replay --source crm --code attributes_invalid
    """
    from matching.errors import SameasError
    from service.clock import SystemClock
    from streams.refused import RejectBook
    from streams.replay import Replayer

    if not (ids or source or key or code or every):
        raise typer.BadParameter("name rejects by id, --source, --key or --code, or give --all")
    if file is not None and (ids is None or len(ids) != 1):
        raise typer.BadParameter("--file mends one reject: name it by its id")
    body = None if file is None else _read_body(file)
    is_all_taken = True
    with open_identity() as identity:
        found = _chosen(RejectBook(identity.store), ids, _filter(ids, source, key, code))
        replayer = Replayer(identity, author=os_author(), clock=SystemClock().now)
        for reject in found:
            try:
                done = replayer.replay(reject, body=body)
            except SameasError as exc:
                if exc.retryable or len(found) == 1:
                    raise
                outcome = f"{exc.code}: {exc.detail}"
                is_all_taken = False
            else:
                outcome = (
                    done.fate.value
                    if done.fate is not None
                    else f"refused again, {done.refusal.code}: {done.refusal.detail}"
                    if done.refusal is not None
                    else ""
                )
                is_all_taken &= done.fate is not None
            typer.echo(f"{reject.id}: {outcome}")
    if not is_all_taken:
        raise typer.Exit(1)


@rejects_app.command("discard")
def discard(
    ids: Ids = None,
    source: Source = None,
    key: Key = None,
    code: Code = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give rejects up: they stay listed with who did it, their messages are forgotten.

    Example: sameas rejects discard 17 18
    """
    from service.clock import SystemClock
    from streams.refused import RejectBook

    if not (ids or source or key or code or every):
        raise typer.BadParameter("name rejects by id, --source, --key or --code, or give --all")
    with open_store_of(read_settings()) as store:
        book = RejectBook(store)
        found = _chosen(book, ids, _filter(ids, source, key, code))
        if not yes:
            typer.confirm(f"Discard {len(found)} reject{'s' if len(found) != 1 else ''}?", abort=True)
        now = SystemClock().now()
        for reject in found:
            book.discard(reject.id, by=os_author(), now=now)
    typer.echo(f"{len(found)} discarded")


def _filter(
    ids: list[int] | None,
    source: str | None,
    key: str | None,
    code: str | None,
    *,
    state: str | None = "open",
) -> RejectFilter:
    from streams.refused import RejectFilter, RejectState

    return RejectFilter(
        state=None if state is None else RejectState(state),
        source=source,
        ref=None if key is None else parse_ref(key),
        code=code,
        ids=ids or None,
    )


def _chosen(book: RejectBook, ids: list[int] | None, wanted: RejectFilter) -> list[Reject]:
    """Return the open rejects that were meant; one named by its id has to be there and open."""
    if ids and wanted.ref is None and wanted.source is None and wanted.code is None:
        for one in ids:
            book.require_open(one)
    return book.list_rejects(wanted)


def _read_body(file: Path) -> dict[str, object]:
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as exc:
        raise FileInaccessible(f"{file} cannot be read: {exc.strerror}") from exc
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise RejectUnmendable(f"{file} is not JSON: {exc.msg} at line {exc.lineno}") from None
    if not isinstance(body, dict):
        raise RejectUnmendable(f"{file} is not a JSON object")
    return body


def _readable(value: bytes | None) -> object:
    """Return a message's value as the JSON that it is, else as text."""
    if value is None:
        return None
    try:
        found: object = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value.decode("utf-8", "replace")
    return found


def _origin(reject: Reject) -> str:
    part = f"[{reject.origin_part}] " if reject.origin == "topic" else ""
    return f"{reject.origin_name} {part}{reject.origin_place}"


def _document(reject: Reject) -> dict[str, object]:
    from identity.statement import format_instant

    return {
        "id": reject.id,
        "source": reject.source,
        "state": reject.state.value,
        "code": reject.code,
        "detail": reject.detail,
        "origin": {
            "kind": reject.origin,
            "name": reject.origin_name,
            "partition": reject.origin_part,
            "offset": reject.origin_place,
        },
        "contract_version": reject.contract_version,
        "created_at": format_instant(reject.created_at),
        "closed_at": None if reject.closed_at is None else format_instant(reject.closed_at),
        "closed_by": reject.closed_by,
    }
