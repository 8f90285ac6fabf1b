"""Transactions on a real broker: all or nothing, one producer of a name at a time."""

from __future__ import annotations

import pytest

from streams.errors import KafkaFenced, KafkaRefused
from streams.kafka_options import KafkaAddress
from streams.kafka_transactions import KafkaSession
from streams.messages import OutMessage
from tests.services.kafka import create_topics
from tests.streams.relays import read_all

pytestmark = pytest.mark.slow


class GivenUp(Exception):
    pass


def go_on() -> None:
    pass


def message(topic: str, value: bytes) -> OutMessage:
    return OutMessage(topic, b"key", value, [("ce_id", value)])


def values(bootstrap: str, topic: str) -> list[bytes | None]:
    return [one.value() for one in read_all(bootstrap, topic)[topic]]


def test_readers_see_messages_when_they_are_committed_and_all_at_once(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    create_topics(kafka_bootstrap, [kafka_prefix])
    seen: list[list[bytes | None]] = []
    with KafkaSession(KafkaAddress(kafka_bootstrap), name=kafka_prefix, still=go_on) as session:
        sent = session.send(
            [message(kafka_prefix, b"1"), message(kafka_prefix, b"2")],
            written=lambda: seen.append(values(kafka_bootstrap, kafka_prefix)),
        )
        topics = session.list_topics()

    assert sent == 2
    assert seen == [[]]
    assert values(kafka_bootstrap, kafka_prefix) == [b"1", b"2"]
    assert kafka_prefix in topics


def test_an_older_session_of_the_name_gets_nothing_through(kafka_bootstrap: str, kafka_prefix: str) -> None:
    create_topics(kafka_bootstrap, [kafka_prefix])
    address = KafkaAddress(kafka_bootstrap)
    older = KafkaSession(address, name=kafka_prefix, still=go_on)

    def open_another() -> None:
        with KafkaSession(address, name=kafka_prefix, still=go_on) as younger:
            younger.send([message(kafka_prefix, b"younger")], written=go_on)

    for written in (open_another, go_on):
        with pytest.raises(KafkaFenced):
            older.send([message(kafka_prefix, b"older")], written=written)
    older.close()

    assert values(kafka_bootstrap, kafka_prefix) == [b"younger"]


def test_what_breaks_off_before_the_commit_is_taken_back(kafka_bootstrap: str, kafka_prefix: str) -> None:
    create_topics(kafka_bootstrap, [kafka_prefix])
    address = KafkaAddress(kafka_bootstrap)

    def give_up() -> None:
        raise GivenUp

    with pytest.raises(GivenUp), KafkaSession(address, name=kafka_prefix, still=go_on) as session:
        session.send([message(kafka_prefix, b"lost")], written=give_up)
    with KafkaSession(address, name=kafka_prefix, still=go_on) as session:
        session.send([message(kafka_prefix, b"kept")], written=go_on)

    assert values(kafka_bootstrap, kafka_prefix) == [b"kept"]


def test_a_message_that_the_cluster_does_not_take_refuses_the_whole_transaction(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    create_topics(kafka_bootstrap, [kafka_prefix])
    large = OutMessage(kafka_prefix, b"key", bytes(2 << 20), [])
    address = KafkaAddress(kafka_bootstrap, {"message.max.bytes": str(4 << 20), "compression.type": "none"})

    with (
        pytest.raises(KafkaRefused, match="MSG_SIZE_TOO_LARGE"),
        KafkaSession(address, name=kafka_prefix, still=go_on) as session,
    ):
        session.send([message(kafka_prefix, b"small"), large], written=go_on)

    assert values(kafka_bootstrap, kafka_prefix) == []


def test_who_waits_for_a_broker_can_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def give_up_the_second_time() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise GivenUp

    monkeypatch.setattr("streams.kafka_transactions._WAIT_S", 0.05)
    with pytest.raises(GivenUp):
        KafkaSession(KafkaAddress("127.0.0.1:1"), name="nobody", still=give_up_the_second_time)

    assert len(asked) == 2
