"""The private Kafka: fresh, durable over a kill, stopped with its owner; Connect and a source of changes beside it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import orjson
import psycopg
import pytest
from confluent_kafka import Producer

from deploy.local import kafka
from deploy.local.kafka import KafkaUnavailable, run_private_broker, run_private_connect
from tests.services.kafka import Connectors, create_topics, read_topic
from tests.services.postgres import drop_replication_slots, fresh_database

__all__: list[str] = []


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value, key=value)
    assert producer.flush(30) == 0


@pytest.mark.slow
@pytest.mark.service
def test_what_a_killed_broker_acknowledged_is_there_when_it_comes_back(tmp_path: Path) -> None:
    with run_private_broker(tmp_path) as broker:
        create_topics(broker.bootstrap, ["kept"])
        values = [str(number).encode() for number in range(1_000)]
        produce(broker.bootstrap, "kept", values)

        broker.kill()
        broker.start()

        found = read_topic(broker.bootstrap, "kept", until=lambda messages: len(messages) >= 1_000)
    assert sorted(message.value() or b"" for message in found) == sorted(values)


@pytest.mark.slow
def test_a_topic_that_nobody_created_is_not_made_by_writing_to_it(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    refused: list[bool] = []
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "message.timeout.ms": 1_000})

    producer.produce(kafka_prefix, b"x", on_delivery=lambda error, _: refused.append(error is not None))

    assert producer.flush(30) == 0
    assert refused == [True]


@pytest.mark.slow
def test_debezium_tells_a_row_that_was_inserted(
    kafka_bootstrap: str, kafka_prefix: str, connectors: Connectors, logical_postgres_url: str
) -> None:
    topic = f"{kafka_prefix}.public.customer"
    create_topics(kafka_bootstrap, [topic])
    with psycopg.connect(logical_postgres_url, autocommit=True) as crm:
        crm.execute("CREATE TABLE customer (id integer PRIMARY KEY, name text)")
        connectors.put(kafka_prefix, debezium_config(logical_postgres_url, kafka_prefix))
        crm.execute("INSERT INTO customer VALUES (1, 'Ada')")

        [message] = read_topic(kafka_bootstrap, topic, until=lambda messages: len(messages) >= 1)

    assert orjson.loads(message.value() or b"null")["after"] == {"id": 1, "name": "Ada"}


@pytest.mark.slow
@pytest.mark.service
def test_a_database_goes_although_its_slot_was_left_behind(postgres_server: str) -> None:
    with fresh_database(postgres_server) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")

        drop_replication_slots(url)

        assert connection.execute("SELECT slot_name FROM pg_replication_slots").fetchall() == []


@pytest.mark.slow
@pytest.mark.service
def test_the_command_line_prints_an_address_and_stops_what_it_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def interrupt() -> None:
        seen.append(capsys.readouterr().out.strip())
        socket.create_connection(("127.0.0.1", int(seen[0].rpartition(":")[2])), timeout=5).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(signal, "pause", interrupt)
    before = signal.getsignal(signal.SIGTERM)

    try:
        code = kafka.main(["run"])
    finally:
        signal.signal(signal.SIGTERM, before)

    assert code == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(seen[0].rpartition(":")[2])), timeout=5)


def test_without_artefacts_the_developer_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "find_artefacts", lambda: None)

    with pytest.raises(KafkaUnavailable, match="ensure"), run_private_broker():
        pass
    with pytest.raises(KafkaUnavailable, match="ensure"), run_private_connect("127.0.0.1:1"):
        pass


@pytest.mark.parametrize(("required", "code"), [("1", 1), ("0", 0)])
def test_a_kafka_that_cannot_be_had_fails_only_where_it_is_required(
    required: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> Path:
        raise KafkaUnavailable("Maven Central is out of reach")

    monkeypatch.setattr(kafka, "ensure_kafka", refuse)
    monkeypatch.setenv("SAMEAS_REQUIRE_SERVICES", required)
    monkeypatch.delenv("CI", raising=False)

    assert kafka.main(["ensure"]) == code
    assert "Maven Central is out of reach" in capsys.readouterr().err


def debezium_config(database_url: str, prefix: str) -> dict[str, str]:
    options = psycopg.conninfo.conninfo_to_dict(database_url)
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": str(options["host"]),
        "database.port": str(options["port"]),
        "database.user": str(options["user"]),
        "database.password": str(options["password"]),
        "database.dbname": str(options["dbname"]),
        "topic.prefix": prefix,
        "table.include.list": "public.customer",
        "plugin.name": "pgoutput",
        "slot.name": prefix,
        "publication.name": prefix,
        "publication.autocreate.mode": "filtered",
        "poll.interval.ms": "20",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
    }
