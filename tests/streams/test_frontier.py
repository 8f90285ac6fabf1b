"""Up to where all was taken: no partition left out, no snapshot cut short, no refused message passed over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer

from identity.service import Identity
from streams.coverage import CoverageBook
from streams.fate import Tally
from streams.frontier import FrontierFinder, SourceRounds
from streams.kafka_options import KafkaAddress
from streams.kafka_places import Extent, KafkaPlaces
from streams.offsets import Partition, PartitionState, Reached
from streams.refused import RejectBook
from streams.topics import TopicNames
from tests.identity.stores import Place, empty_database
from tests.services.kafka import create_topics
from tests.streams.stream import Told, envelope
from tests.streams.taking import TABLE, Taking

A, B = Partition("t.records.crm", 0), Partition("t.records.crm", 1)


def states(**taken: tuple[int, int]) -> dict[Partition, PartitionState]:
    """Return partitions a and b by (next offset, greatest number)."""
    return {
        partition: PartitionState(partition, offset, offset, Tally(), 0, Reached(0, number, number * 10))
        for partition, (offset, number) in zip((A, B), taken.values(), strict=True)
    }


def ends(a: int, b: int) -> Mapping[Partition, Extent]:
    return {A: Extent(0, a), B: Extent(0, b)}


def test_a_quiet_source_is_taken_up_to_its_greatest_version() -> None:
    rounds = SourceRounds()
    seen = states(a=(4, 40), b=(2, 25))

    assert [rounds.look(seen, ends(4, 2)) for _ in range(3)] == [None, None, Reached(0, 40, 400)]


def test_a_partition_that_lags_holds_the_frontier_until_it_was_taken() -> None:
    rounds = SourceRounds()
    lagging = states(a=(4, 40), b=(1, 10))
    for _ in range(4):
        assert rounds.look(lagging, ends(4, 3)) is None

    assert rounds.look(states(a=(4, 40), b=(3, 30)), ends(4, 3)) == Reached(0, 39, 399)


def test_a_busy_source_gets_on_though_it_is_never_taken_to_its_end() -> None:
    rounds = SourceRounds()

    found = [rounds.look(states(a=(n, n * 10), b=(n, n * 10)), ends(n + 1, n + 1)) for n in range(1, 8)]

    assert [one.number for one in found if one is not None] == [9, 19, 29, 39, 49]


def test_while_rows_of_one_position_still_come_the_position_itself_is_not_given_out() -> None:
    rounds = SourceRounds()  # a snapshot: all its rows have the position 40
    found = [rounds.look(states(a=(n, 40), b=(n, 40)), ends(n, n)) for n in range(1, 8)]

    assert {one.number for one in found if one is not None} == {39}


def test_a_partition_that_keeps_nothing_holds_nothing_up() -> None:
    rounds = SourceRounds()
    seen = states(a=(4, 40), b=(0, -1))
    extents = {A: Extent(0, 4), B: Extent(7, 7)}

    assert [rounds.look(seen, extents) for _ in range(3)][-1] == Reached(0, 40, 400)


def test_a_partition_without_an_answer_is_not_taken_for_one_that_was_taken() -> None:
    rounds = SourceRounds()
    seen = states(a=(4, 40), b=(1, 10))
    known = ends(4, 3)
    for extents in ({}, {A: known[A]}):
        assert [rounds.look(seen, extents) for _ in range(4)] == [None] * 4

    assert [rounds.look(seen, one) for one in (known, known, {A: known[A]}, known, {}, known)] == [None] * 6


@pytest.fixture
def taking(identity: Identity, kafka_bootstrap: str, kafka_prefix: str) -> Taking:
    identity.put_source("crm", TABLE, author="test")
    taking = Taking(identity, topics=TopicNames(kafka_prefix))
    create_topics(kafka_bootstrap, [taking.topics.records("crm")], partitions=1)
    return taking


def send(taking: Taking, bootstrap: str, *told: Told) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for one in told:
        producer.produce(taking.topics.records("crm"), one.value, one.key, 0)
    assert producer.flush(30) == 0


def finder(taking: Taking, bootstrap: str) -> FrontierFinder:
    return FrontierFinder(taking.identity, KafkaPlaces(KafkaAddress(bootstrap)), taking.topics)


def number_of(taking: Taking) -> int | None:
    mark = CoverageBook(taking.identity).measure("crm", now=1).watermark
    return None if mark.version is None else mark.version[1]


def test_what_lies_on_the_topic_and_was_not_taken_holds_the_frontier(
    taking: Taking, kafka_bootstrap: str
) -> None:
    rows = [envelope("c", {"id": str(n), "mail": None}, n * 10) for n in (1, 2)]
    send(taking, kafka_bootstrap, *rows)
    taking.take(rows[0])
    look = finder(taking, kafka_bootstrap)
    for _ in range(4):
        look.look()
    assert number_of(taking) is None

    taking.take(rows[1])
    for _ in range(4):
        look.look()

    with taking.identity.store.read() as connection:
        [frontier] = connection.exec_driver_sql("SELECT frontier_number FROM delivery_tally").scalars()
    assert frontier == 20


def test_a_message_that_was_refused_holds_the_frontier_until_it_is_mended_or_discarded(
    taking: Taking, kafka_bootstrap: str
) -> None:
    rows = [Told(b'{"id":"1"}', b"{"), envelope("c", {"id": "2", "mail": None}, 20)]
    send(taking, kafka_bootstrap, *rows)
    taking.take(*rows)
    look = finder(taking, kafka_bootstrap)
    for _ in range(4):
        look.look()
    query = "SELECT max(frontier_number) FROM delivery_tally"
    with taking.identity.store.read() as connection:
        assert connection.exec_driver_sql(query).scalar() in (None, -1)

    [reject] = taking.list_open()
    RejectBook(taking.identity.store).discard(reject.id, by="os:ann", now=1)
    for _ in range(4):
        look.look()

    with taking.identity.store.read() as connection:
        assert connection.exec_driver_sql(query).scalar() == 20


@pytest.mark.service
def test_the_frontier_waits_while_an_older_transaction_holds_the_end_of_the_feed_back(
    kept_database: str, tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    empty_database(kept_database)
    place = Place(kept_database, tmp_path)
    try:
        identity, other = place.open_identity(), place.open_store()
        identity.put_source("crm", TABLE, author="test")
        taking = Taking(identity, topics=TopicNames(kafka_prefix))
        create_topics(kafka_bootstrap, [taking.topics.records("crm")], partitions=1)
        row = envelope("c", {"id": "1", "mail": None}, 20)
        send(taking, kafka_bootstrap, row)
        look = finder(taking, kafka_bootstrap)
        with other.write() as tx:
            tx.tick(taking.clock())
            taking.take(row)
            for _ in range(4):
                look.look()
            assert frontier_of(identity) is None

        look.look()

        assert frontier_of(identity) == 20
    finally:
        place.close()


def frontier_of(identity: Identity) -> int | None:
    with identity.store.read() as connection:
        found = connection.exec_driver_sql("SELECT max(frontier_number) FROM delivery_tally").scalar()
    return None if found in (None, -1) else int(found)
