"""Say which Kafka topics there are, and how each keeps its messages.

    <prefix>.records.<source>       in: what a source states; personal data
    <prefix>.rejects.<source>       out: what could not be taken, and why
    <prefix>.assignments.<source>   out, compacted: one row for each key of the source, for a sink
    <prefix>.dead-letters.<source>  what the source's sink could not write
    <prefix>.crosswalk              out, compacted: the CID of every key
    <prefix>.cids                   out, compacted: the status of every CID
    <prefix>.customers              out: the changes, in order for each CID

Invariant: pure. A topic that takes records is never compacted: compaction would drop versions that
history needs, and a broker refuses there what has no key, such as Debezium's truncation. A compacted topic
is compacted within a bounded time, so that what was erased leaves it.
Elsewhere: creating them (`streams.kafka_admin`), their messages (`streams.message`, the outbox).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = [
    "PARTITIONS_DEFAULT",
    "PREFIX_DEFAULT",
    "TopicDifference",
    "TopicFound",
    "TopicNames",
    "TopicPlan",
    "compare_topic",
    "plan_topics",
]

PREFIX_DEFAULT: Final = "sameas"
PARTITIONS_DEFAULT: Final = 12
"""Divides by 2, 3, 4 and 6 workers. Adding partitions later would part the messages of a key."""

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The names of all topics; the prefix keeps two installations on one cluster apart."""

    prefix: str = PREFIX_DEFAULT

    @property
    def crosswalk(self) -> str:
        """The current CID of every key."""
        return f"{self.prefix}.crosswalk"

    @property
    def cids(self) -> str:
        """The status and successors of every CID ever issued."""
        return f"{self.prefix}.cids"

    @property
    def customers(self) -> str:
        """Every change, in order for each CID."""
        return f"{self.prefix}.customers"

    def records(self, source: str) -> str:
        """What the source states."""
        return f"{self.prefix}.records.{source}"

    def rejects(self, source: str) -> str:
        """What of it could not be taken."""
        return f"{self.prefix}.rejects.{source}"

    def assignments(self, source: str) -> str:
        """The CID of each of the source's keys, as rows for a sink."""
        return f"{self.prefix}.assignments.{source}"

    def sink(self, source: str) -> str:
        """The name of the connector that writes the source's assignments into its database."""
        return f"{self.prefix}-sink-{source}"

    def dead_letters(self, source: str) -> str:
        """What the source's sink could not write."""
        return f"{self.prefix}.dead-letters.{source}"


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it is created."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic as a cluster has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One thing that a cluster has otherwise than planned."""

    what: str
    planned: str
    found: str


def plan_topics(
    sources: Iterable[str], *, names: TopicNames = TopicNames(), partitions: int = PARTITIONS_DEFAULT
) -> list[TopicPlan]:
    """Return the topics of these sources and those that all share, in a fixed order."""
    planned = [
        TopicPlan(names.crosswalk, partitions, _compacted()),
        TopicPlan(names.cids, partitions, _compacted()),
        TopicPlan(names.customers, partitions, _kept_for(days=30)),
    ]
    for source in sorted(sources):
        planned += [
            TopicPlan(names.records(source), partitions, _kept_for(days=7)),
            TopicPlan(names.assignments(source), partitions, _compacted()),
            TopicPlan(names.rejects(source), partitions, _kept_for(days=30)),
            TopicPlan(names.dead_letters(source), 1, _kept_for(days=30)),
        ]
    return planned


def compare_topic(plan: TopicPlan, found: TopicFound) -> list[TopicDifference]:
    """Return what the cluster has otherwise than planned; a setting that was not planned is nobody's business."""
    differences = []
    if found.partitions != plan.partitions:
        differences.append(TopicDifference("partitions", str(plan.partitions), str(found.partitions)))
    for name, value in plan.config.items():
        held = found.config.get(name, "")
        if set(held.split(",")) != set(value.split(",")):  # a cleanup policy is a set of words
            differences.append(TopicDifference(name, value, held))
    return differences


def _compacted() -> dict[str, str]:
    """Keep the last message of each key.

    A reader that was away for less than a week sees every deletion. What a newer message replaced is gone
    within a day or two: the segment being written is closed each day, and only closed ones are compacted.
    """
    return {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(7 * _DAY_MS),
        "max.compaction.lag.ms": str(_DAY_MS),
        "segment.ms": str(_DAY_MS),
    }


def _kept_for(*, days: int) -> dict[str, str]:
    """Keep every message for so many days, then none; whole segments go, so they are closed each day."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(days * _DAY_MS),
        "retention.bytes": "-1",
        "segment.ms": str(_DAY_MS),
    }
