"""Take a sink's committed offsets as evidence: it has committed past a row, so it has written it.

The weakest evidence: a sink that puts what it cannot write on another topic commits past it too.

Elsewhere: the other evidence (`streams.take`, `streams.read_back`), the sink itself (`streams.connect`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import select, text

from identity.model import Cid, Instant, RecordRef
from identity.service import Identity
from identity.store_sql import tables
from streams.delivery import Acknowledgement, Evidence
from streams.kafka_places import KafkaPlaces
from streams.ledger import DeliveryLedger
from streams.offsets import Partition
from streams.topics import TopicNames

__all__ = ["SinkOffsets"]

_GROUP: Final = "connect-{}"
"""How Kafka Connect names the group of a sink connector."""
_BATCH: Final = 1_000


class SinkOffsets:
    """Reads the committed offsets of the sinks of all sources of one store."""

    def __init__(
        self, identity: Identity, places: KafkaPlaces, names: TopicNames, *, now: Callable[[], Instant]
    ) -> None:
        self._identity = identity
        self._ledger = DeliveryLedger(identity)
        self._places = places
        self._names = names
        self._now = now

    def look(self) -> int:
        """Acknowledge what sinks have committed past; return how many rows that changed.

        Asks Kafka only about sources that wait for something that was sent.
        """
        return sum(self._look_at(source) for source in self._list_waiting())

    def _look_at(self, source: str) -> int:
        topic = self._names.assignments(source)
        committed = self._places.find_committed(_GROUP.format(self._names.sink(source)), topic)
        return sum(self._acknowledge(source, partition, offset) for partition, offset in committed.items())

    def _acknowledge(self, source: str, partition: Partition, committed: int) -> int:
        delivery, record = tables.delivery, tables.record
        query = (
            select(record.c.key, delivery.c.cid, delivery.c.assigned_at)
            .join(record, record.c.rid == delivery.c.rid)
            .where(
                delivery.c.source == source,
                delivery.c.sent_part == partition.number,
                delivery.c.sent_offset < committed,
                delivery.c.sent_version == delivery.c.key_version,
                delivery.c.cid.is_not(None),
                text("delivery.is_open"),
            )
            .limit(_BATCH)
        )
        changed = 0
        while True:
            with self._identity.store.read() as connection:
                rows = connection.execute(query).all()
            told = [
                Acknowledgement(
                    RecordRef(source, key), Cid(cid), Evidence.SINK_OFFSET, self._now(), assigned_at
                )
                for key, cid, assigned_at in rows
            ]
            done = self._ledger.acknowledge(told)
            changed += done
            if len(rows) < _BATCH or not done:
                return changed

    def _list_waiting(self) -> list[str]:
        delivery = tables.delivery
        waiting = []
        with self._identity.store.read() as connection:
            for source in self._identity.contracts.read_current():
                query = select(delivery.c.rid).where(
                    delivery.c.source == source, delivery.c.sent_part.is_not(None), text("is_open")
                )
                if connection.execute(query.limit(1)).first() is not None:
                    waiting.append(source)
        return waiting
