"""What a cluster says of partitions and groups, asked on a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.errors import KafkaUnreachable
from streams.kafka_options import KafkaAddress
from streams.kafka_places import Extent, KafkaPlaces
from streams.offsets import Partition
from tests.services.kafka import create_topics


def test_partitions_are_as_long_as_what_was_sent_and_topics_that_are_not_there_are_left_out(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    topic = f"{kafka_prefix}.records.crm"
    create_topics(kafka_bootstrap, [topic], partitions=2)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for _ in range(3):
        producer.produce(topic, b"x", partition=1)
    assert producer.flush(30) == 0

    found = KafkaPlaces(KafkaAddress(kafka_bootstrap)).find_extents([topic, f"{kafka_prefix}.none"])

    assert found == {Partition(topic, 0): Extent(0, 0), Partition(topic, 1): Extent(0, 3)}


def test_a_group_says_what_it_has_committed_and_one_that_never_was_says_nothing(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    topic, group = f"{kafka_prefix}.assignments.crm", f"{kafka_prefix}.group"
    create_topics(kafka_bootstrap, [topic], partitions=2)
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False)
    consumer.close()
    places = KafkaPlaces(KafkaAddress(kafka_bootstrap))

    assert places.find_committed(group, topic) == {Partition(topic, 1): 7}
    assert places.find_committed(f"{kafka_prefix}.other", topic) == {}


def test_a_cluster_that_does_not_answer_is_said_so() -> None:
    with pytest.raises(KafkaUnreachable):
        KafkaPlaces(KafkaAddress("127.0.0.1:1")).find_extents(["t"])
