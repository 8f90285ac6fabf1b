"""`sameas topics` and `sameas connect`: what Kafka and Kafka Connect need before streams can run.

Elsewhere: which topics there are (`streams.topics`), what connectors are told (`streams.connect`), Kafka's settings
(`docs/settings.md`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.session import open_store_of, read_settings
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from identity.contract import SourceContract
    from service.settings import Settings
    from streams.connect import Connector, Database
    from streams.kafka_admin import TopicReport

__all__ = ["apply_topics", "connect_app", "connect_sink", "connect_source", "topics_app"]

topics_app = typer.Typer(no_args_is_help=True, help="Create the Kafka topics of every source.")
connect_app = typer.Typer(no_args_is_help=True, help="Write the Kafka connectors of a source.")

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of the source.")]
DatabaseUrl = Annotated[
    str,
    typer.Option("--database", metavar="URL", help="postgresql://user:password@host/name; - reads it here."),
]
ConnectUrl = Annotated[
    str | None,
    typer.Option(
        "--post", metavar="URL", help="Post it to Kafka Connect, http://host:8083, instead of printing it."
    ),
]


@topics_app.callback()
def _topics() -> None:
    """Create the Kafka topics of every source."""


@topics_app.command("apply")
def apply_topics(as_json: AsJson = False) -> None:
    """Create the topics that are missing; of those that are there report what differs, and change nothing.

    Example: sameas topics apply
    """
    from service.bootstrap import build_identity
    from streams.kafka_admin import apply_topics as apply
    from streams.topics import TopicNames, plan_topics

    settings = read_settings()
    address = settings.kafka
    with open_store_of(settings) as store:
        entries = build_identity(store).contracts.read_current()
    plans = plan_topics(
        [name for name, entry in entries.items() if not entry.is_retired],
        names=TopicNames(settings.topic_prefix),
        partitions=settings.topic_partitions,
    )
    reports = apply(address, plans, replicas=settings.topic_replicas)
    if as_json:
        print_document([_document(report) for report in reports])
    else:
        print_table(
            ("topic", "", "partitions", "cleanup", "differs from the plan"),
            [
                (
                    report.plan.name,
                    report.state.value,
                    report.plan.partitions,
                    report.plan.config["cleanup.policy"],
                    "; ".join(f"{one.what} is {one.found}, not {one.planned}" for one in report.differences),
                )
                for report in reports
            ],
        )


@connect_app.command("source")
def connect_source(
    name: Source,
    database: DatabaseUrl,
    table: Annotated[str, typer.Option(help="The table of the source's customers: schema.table.")],
    cid_column: Annotated[
        str | None, typer.Option(help="Its column that holds the CID, told back as evidence that it arrived.")
    ] = None,
    post: ConnectUrl = None,
) -> None:
    """Print the connector that tells every change of a table to the source's records topic (Debezium).

    Example: sameas connect source crm --database postgresql://cdc@crm-db/crm --table public.customer
    """
    from streams.connect import read_table, source_connector
    from streams.topics import TopicNames

    settings, contract = _contract_of(name)
    connector = source_connector(
        contract,
        _database(database),
        read_table(table),
        names=TopicNames(settings.topic_prefix),
        partitions=settings.topic_partitions,
        cid_field=cid_column or contract.cid_field,
    )
    _print_or_post(connector, post)


@connect_app.command("sink")
def connect_sink(  # noqa: PLR0917 - Typer's options are parameters; nobody calls this by position
    name: Source,
    database: DatabaseUrl,
    table: Annotated[str, typer.Option(help="The table of CIDs, made for it alone: schema.table.")],
    trigger: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", help="Print SQL instead: the table of CIDs, copied to this customer table."
        ),
    ] = None,
    cid_column: Annotated[str, typer.Option(help="The customer table's column for the CID.")] = "cid",
    sql: Annotated[bool, typer.Option("--sql", help="Print SQL instead: the table of CIDs.")] = False,
    post: ConnectUrl = None,
) -> None:
    """Print the connector that writes the source's CIDs into a table of its own database (JDBC sink).

    Example: sameas connect sink crm --database postgresql://cid@crm-db/crm --table public.customer_cid
    """
    from streams.connect import copying_sql, read_table, sink_connector, table_sql
    from streams.topics import TopicNames

    settings, contract = _contract_of(name)
    cids = read_table(table)
    if trigger is not None:
        copying = copying_sql(contract, cids, read_table(trigger), cid_column=cid_column)
        sys.stdout.write(f"{table_sql(cids)}\n{copying}")
    elif sql:
        sys.stdout.write(table_sql(cids))
    else:
        names = TopicNames(settings.topic_prefix)
        _print_or_post(sink_connector(name, _database(database), cids, names=names), post)


def _contract_of(source: str) -> tuple[Settings, SourceContract]:
    from service.bootstrap import build_identity

    settings = read_settings()
    with open_store_of(settings) as store:
        return settings, build_identity(store).get_source(source)


def _database(url: str) -> Database:
    """Return the database of the URL; one read from standard input stays out of the list of processes."""
    from streams.connect import read_database

    return read_database(sys.stdin.readline() if url == "-" else url)


def _print_or_post(connector: Connector, url: str | None) -> None:
    from streams.connect_rest import put_connector

    if url is None:
        print_document({"name": connector.name, "config": dict(connector.config)})
    else:
        is_new = put_connector(url, connector)
        typer.echo(f"{connector.name}: {'created' if is_new else 'changed'}")


def _document(report: TopicReport) -> dict[str, object]:
    return {
        "topic": report.plan.name,
        "state": report.state.value,
        "partitions": report.plan.partitions,
        "config": dict(report.plan.config),
        "differences": [
            {"what": one.what, "planned": one.planned, "found": one.found} for one in report.differences
        ],
    }
