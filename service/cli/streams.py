"""`sameas topics`: what Kafka needs before streams can run.

Elsewhere: which topics there are (`streams.topics`), Kafka's settings (`docs/settings.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from service.cli.session import open_store_of, read_settings
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from streams.kafka_admin import TopicReport

__all__ = ["apply_topics", "topics_app"]

topics_app = typer.Typer(no_args_is_help=True, help="Create the Kafka topics of every source.")


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
