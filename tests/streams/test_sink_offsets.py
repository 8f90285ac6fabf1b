"""What a sink has committed past is acknowledged, on a real broker, with a group as Kafka Connect names it."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, TopicPartition

from identity.model import RecordRef
from identity.service import Identity
from streams.delivery import Delivery, Evidence, Sent
from streams.kafka_options import KafkaAddress
from streams.kafka_places import KafkaPlaces
from streams.ledger import DeliveryLedger
from streams.sink_offsets import SinkOffsets
from streams.topics import TopicNames
from tests.identity.stores import stated, tell
from tests.streams.relays import create_topics, tell_all
from tests.streams.test_ledger import read_rows


@pytest.fixture
def names(kafka_prefix: str) -> TopicNames:
    return TopicNames(kafka_prefix)


@pytest.fixture
def sinks(identity: Identity, kafka_bootstrap: str, kafka_prefix: str, names: TopicNames) -> SinkOffsets:
    create_topics(kafka_bootstrap, kafka_prefix)
    tell(identity, *(stated(str(n), email=(f"x{n}",)) for n in range(6)))
    DeliveryLedger(identity).follow()
    tell_all(identity, kafka_bootstrap, kafka_prefix)
    places = KafkaPlaces(KafkaAddress(kafka_bootstrap))
    return SinkOffsets(identity, places, names, now=lambda: 3 * 10**15)


def commit(bootstrap: str, names: TopicNames, part: int, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"connect-{names.sink('crm')}"})
    consumer.commit(offsets=[TopicPartition(names.assignments("crm"), part, offset)], asynchronous=False)
    consumer.close()


def test_a_relay_notes_where_each_assignment_lies_and_that_alone_is_no_evidence(
    identity: Identity, sinks: SinkOffsets
) -> None:
    rows = read_rows(identity)

    assert all(row.sent_version == 1 and row.sent_part is not None for row in rows.values())
    assert len({(row.sent_part, row.sent_offset) for row in rows.values()}) == 6
    assert sinks.look() == 0
    assert all(row.is_open for row in read_rows(identity).values())


def test_what_the_sink_has_committed_past_is_acknowledged_and_nothing_else(
    identity: Identity, sinks: SinkOffsets, kafka_bootstrap: str, names: TopicNames
) -> None:
    row = next(row for row in read_rows(identity).values() if row.sent_offset is not None)
    assert row.sent_part is not None
    assert row.sent_offset is not None
    commit(kafka_bootstrap, names, row.sent_part, row.sent_offset)
    sinks.look()
    assert read_rows_by_rid(identity)[row.rid].is_open

    commit(kafka_bootstrap, names, row.sent_part, row.sent_offset + 1)
    sinks.look()

    found = read_rows_by_rid(identity)
    assert (found[row.rid].is_covered, found[row.rid].evidence) == (True, Evidence.SINK_OFFSET)
    assert {rid for rid, one in found.items() if one.is_covered} == {
        rid
        for rid, one in found.items()
        if one.sent_part == row.sent_part and (one.sent_offset or 0) <= row.sent_offset
    }


def test_of_a_later_change_than_the_ledger_knows_the_offset_acknowledges_nothing(
    identity: Identity, sinks: SinkOffsets, kafka_bootstrap: str, names: TopicNames
) -> None:
    with identity.store.write() as tx:
        DeliveryLedger(identity).note_sent_in(tx, [Sent(RecordRef("crm", "1"), 2, at=3, part=0, offset=99)])
    commit(kafka_bootstrap, names, 0, 100)

    sinks.look()

    assert read_rows(identity)["1"].is_open


def read_rows_by_rid(identity: Identity) -> dict[int, Delivery]:
    return {row.rid: row for row in read_rows(identity).values()}
