"""`sameas coverage`, `wait` and `read-back`: how far the CIDs have come back to a source.

Elsewhere: what is measured (`streams.coverage`), the same over HTTP (`streams.coverage_routes`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.session import EXIT_REFUSED, open_identity, read_settings
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from identity.service import Identity
    from streams.positions import Position

__all__ = ["coverage", "read_back", "wait"]

_POLL_S = 0.25


def coverage(
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    as_json: AsJson = False,
) -> None:
    """Show how many records of a source have their CID in it, by which evidence, and up to where all have.

    Example: sameas coverage crm --json
    """
    from service.clock import SystemClock
    from streams.coverage import CoverageBook, coverage_document
    from streams.ledger import DeliveryLedger

    with open_identity() as identity:
        DeliveryLedger(identity).follow(batches_max=100)
        document = coverage_document(CoverageBook(identity).measure(source, now=SystemClock().now()))
    if as_json:
        print_document(document)
    else:
        print_table(("what", "value"), [(name, value) for name, value in document.items()])


def wait(
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    position: Annotated[
        str | None,
        typer.Option(
            help="A number, EPOCH:NUMBER, an LSN or a time; if left out, all that was taken by now."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 60.0,
) -> None:
    """Wait until all that a source stated up to a position has its CID; exit 0 when it has, 1 when it has not.

    Example: sameas wait crm --position 16/B374D848 --timeout 30
    """
    from streams.coverage import CoverageBook
    from streams.ledger import DeliveryLedger
    from streams.positions import read_position

    with open_identity() as identity:
        book, ledger = CoverageBook(identity), DeliveryLedger(identity)
        contract = identity.get_source(source)
        wanted = (
            _all_taken(identity, source)
            if position is None
            else read_position(position, epoch=contract.epoch)
        )
        since = book.find_feed_end()
        ends_at = time.monotonic() + timeout
        while True:
            ledger.follow()
            if book.has_reached(source, wanted, since=since):
                typer.echo(f"{source}: reached")
                return
            left = ends_at - time.monotonic()
            if left <= 0:
                typer.echo(f"{source}: not reached", err=True)
                raise typer.Exit(EXIT_REFUSED)
            time.sleep(min(_POLL_S, left))


def read_back(
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    *,
    table: Annotated[str, typer.Option(help="Where its keys and CIDs stand: schema.table or table.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of the source key; repeated for a composite one. The contract's key if left out."
        ),
    ] = None,
    cid_column: Annotated[str, typer.Option(help="Column of the CID; text or uuid.")] = "cid",
    every: Annotated[
        float | None, typer.Option(min=1, help="Again every so many seconds, until SIGTERM or Ctrl-C.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Look at all records, so that CIDs that were lost are found too.")
    ] = False,
) -> None:
    """Read CIDs back from a source's own table, as evidence; SAMEAS_WRITE_BACK_URL says where it is.

    Example: sameas read-back crm --table public.customer_cid --key source_key --every 10
    """
    from service.read_back_running import run_read_back

    run_read_back(
        read_settings(),
        source,
        table=table,
        key_columns=tuple(key or ()),
        cid_column=cid_column,
        every_s=every,
        is_whole=whole,
        tell=typer.echo,
    )


def _all_taken(identity: Identity, source: str) -> Position:
    """Return the position up to which the source was taken by now."""
    from identity.model import FOREVER
    from streams.offsets import OffsetBook
    from streams.positions import Position

    reached = [
        state.reached
        for state in OffsetBook(identity.store).list_states()
        if state.consumed and state.partition.topic.rpartition(".")[2] == source
    ]
    if not reached:
        return Position(at=FOREVER)  # it is not streamed: all that it stated was taken
    epoch, number = max(one[:2] for one in reached)
    return Position((epoch, number)) if number >= 0 else Position(at=max(one.stated_at for one in reached))
