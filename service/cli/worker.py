"""`sameas worker`: take records topics, show how far that is, say where to go on.

Elsewhere: the work (`streams.worker`), what could not be taken (`service.cli.rejects`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.session import MetricsPort, open_store_of, read_settings
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from streams.offsets import PartitionState

__all__ = ["reposition", "show_status", "work", "worker_app"]

worker_app = typer.Typer(
    help="Take what sources state from their records topics.", invoke_without_command=True
)


@worker_app.callback()
def work(context: typer.Context, metrics_port: MetricsPort = None) -> None:
    """Take the records topics of all sources until SIGTERM or Ctrl-C; any number of workers share them.

    Example: sameas worker --metrics-port 9361
    """
    if context.invoked_subcommand is None:
        from service.programs import run_program
        from service.telemetry import configure_logging
        from service.worker import WorkerProgram

        settings = read_settings()
        configure_logging(settings.log_level)
        program = WorkerProgram(settings)
        topics, bootstrap = program.plan.topics.records("*"), program.plan.address.bootstrap
        run_program(
            program,
            metrics_port=metrics_port,
            on_run=lambda: typer.echo(f"sameas worker takes {topics} from {bootstrap}"),
        )


@worker_app.command("status")
def show_status(as_json: AsJson = False) -> None:
    """Show where each partition stands and what became of its messages; asks the store, not Kafka.

    Example: sameas worker status --json
    """
    from streams.offsets import OffsetBook

    with open_store_of(read_settings()) as store:
        states = OffsetBook(store).list_states()
    if as_json:
        print_document([_document(state) for state in states])
    else:
        fates = list(states[0].tally) if states else []
        print_table(
            ("topic", "partition", "next offset", "consumed", *(fate.value for fate in fates)),
            [
                (*one.partition, one.next_offset, one.consumed, *(one.tally[fate] for fate in fates))
                for one in states
            ],
        )


@worker_app.command("reposition")
def reposition(
    topic: Annotated[str, typer.Argument(help="A records topic, such as sameas.records.crm.")],
    earliest: Annotated[bool, typer.Option("--earliest", help="Go on with the earliest message.")] = False,
    offset: Annotated[int | None, typer.Option(min=1, help="Go on with the message at this offset.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="This partition only.")] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="The topic was made anew: its offsets mean other messages now.")
    ] = False,
) -> None:
    """Say where workers go on; they notice by themselves, and what comes again changes nothing.

    Example: sameas worker reposition sameas.records.crm --earliest
    """
    from streams.offsets import BEGINNING, OffsetBook

    if earliest == (offset is not None):
        raise typer.BadParameter("give either --earliest or --offset")
    with open_store_of(read_settings()) as store:
        count = OffsetBook(store).reposition(
            topic, partition=partition, next_offset=BEGINNING if offset is None else offset, is_anew=anew
        )
    typer.echo(f"{topic}: {count} partition{'s' if count != 1 else ''} repositioned")


def _document(state: PartitionState) -> dict[str, object]:
    from identity.statement import format_instant

    return {
        "topic": state.partition.topic,
        "partition": state.partition.number,
        "next_offset": state.next_offset,
        "consumed": state.consumed,
        **{fate.value: state.tally[fate] for fate in state.tally},
        "refreshed_at": format_instant(state.refreshed_at),
    }
