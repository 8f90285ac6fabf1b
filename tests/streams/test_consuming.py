"""Fetching from the real broker: where the store says, as much as there is room for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams import shelf as shelf_room
from streams.consuming import Consuming
from streams.errors import KafkaOptionRefused
from streams.kafka_options import KafkaAddress
from streams.offsets import Partition, Position
from streams.shelf import Shelf
from tests.services.kafka import create_topics
from tests.streams.stream import WAIT_S_MAX, Stream, plain

pytestmark = [pytest.mark.slow, pytest.mark.service]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def consuming(sqlite_stream: Stream, shelf: Shelf) -> Iterator[Consuming]:
    stream = sqlite_stream
    create_topics(stream.bootstrap, [stream.topics.records("crm")], partitions=1)
    stream.send(plain(str(number), {"email": "ann@web.de"}) for number in range(20))
    made = Consuming(
        KafkaAddress(stream.bootstrap),
        group=stream.prefix,
        shelf=shelf,
        tell=lambda level, event, /, **fields: None,
        monotonic_s=time.monotonic,
    )
    made.subscribe([stream.topics.records("crm")])
    yield made
    made.close()


def poll_until(consuming: Consuming, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline
        consuming.poll(0.05)


def locate(shelf: Shelf, at: int) -> None:
    shelf.locate({assignment: Position(at, range(0)) for assignment in shelf.list_unlocated()})


def offsets(shelf: Shelf) -> list[int]:
    return [message.offset for one in shelf.pick(100) for message in one.messages]


def test_nothing_is_fetched_before_the_store_was_asked_and_then_from_where_it_says(
    consuming: Consuming, shelf: Shelf
) -> None:
    poll_until(consuming, lambda: bool(shelf.list_unlocated()))
    for _ in range(5):
        consuming.poll(0.05)
    assert offsets(shelf) == []

    locate(shelf, 12)
    poll_until(consuming, lambda: len(offsets(shelf)) == 8)

    assert offsets(shelf) == list(range(12, 20))


def test_a_misplaced_partition_is_fetched_again_from_where_the_store_says(
    consuming: Consuming, shelf: Shelf
) -> None:
    poll_until(consuming, lambda: bool(shelf.list_unlocated()))
    locate(shelf, 0)
    poll_until(consuming, lambda: len(offsets(shelf)) == 20)

    shelf.misplace([one.partition for one in shelf.pick(1)])
    locate(shelf, 5)
    poll_until(consuming, lambda: len(offsets(shelf)) == 15)

    assert offsets(shelf) == list(range(5, 20))


def test_fetching_pauses_while_the_shelf_is_full_and_polling_goes_on(
    consuming: Consuming, shelf: Shelf, sqlite_stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_room, "MESSAGES_MAX", 10)
    poll_until(consuming, lambda: bool(shelf.list_unlocated()))
    locate(shelf, 0)
    poll_until(consuming, lambda: len(offsets(shelf)) >= 10)
    consuming.poll(0.05)
    kept = offsets(shelf)
    sqlite_stream.send(plain(str(number), {"email": "ann@web.de"}) for number in range(30))
    for _ in range(10):
        consuming.poll(0.05)
    assert offsets(shelf) == kept

    partition = Partition(sqlite_stream.topics.records("crm"), 0)
    shelf.mark_taken(partition, expected=0, next_offset=kept[-1])
    monkeypatch.undo()
    poll_until(consuming, lambda: bool(offsets(shelf)) and offsets(shelf)[-1] == 49)

    assert offsets(shelf) == list(range(kept[-1], 50))


def test_tools_see_in_kafka_how_far_the_messages_are_taken(
    consuming: Consuming, shelf: Shelf, sqlite_stream: Stream
) -> None:
    poll_until(consuming, lambda: bool(shelf.list_unlocated()))
    locate(shelf, 7)
    poll_until(consuming, lambda: bool(offsets(shelf)))
    consuming.close()

    reader = Consumer({"bootstrap.servers": sqlite_stream.bootstrap, "group.id": sqlite_stream.prefix})
    [found] = reader.committed([TopicPartition(sqlite_stream.topics.records("crm"), 0)], timeout=WAIT_S_MAX)
    reader.close()

    assert found.offset == 7


def test_an_option_that_librdkafka_does_not_know_is_refused_by_its_variable() -> None:
    with pytest.raises(KafkaOptionRefused, match="SAMEAS_KAFKA_FETCH_MUCH"):
        Consuming(
            KafkaAddress("127.0.0.1:1", {"fetch.much": "1"}),
            group="g",
            shelf=Shelf(),
            tell=lambda level, event, /, **fields: None,
            monotonic_s=time.monotonic,
        )
