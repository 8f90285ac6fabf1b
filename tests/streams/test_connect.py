"""The printed connectors: what they say, and what they do between a real PostgreSQL and a real Kafka."""

from __future__ import annotations

import orjson
import psycopg
import pytest
from confluent_kafka import Message, Producer

from identity.contract import SourceContract, read_contract
from streams.connect import (
    ASSIGNMENT_KEY_SCHEMA,
    ASSIGNMENT_ROW_SCHEMA,
    Connector,
    copying_sql,
    read_database,
    read_table,
    sink_connector,
    source_connector,
    table_sql,
)
from streams.connect_rest import put_connector
from streams.errors import ConnectorInvalid
from streams.kafka_admin import apply_topics
from streams.kafka_options import KafkaAddress, producer_config
from streams.message import MessageReader
from streams.model import Ignored, Rename, SourceMessage, Statement, Truncation, Withdrawal
from streams.topics import TopicNames, plan_topics
from tests.services.kafka import Connectors, await_true, read_topic

NAMES = TopicNames("sameas")
CRM = read_database("postgresql://cdc:canary%40pw@crm-db:5433/crm?sslmode=verify-full&sslrootcert=ca.pem")
CUSTOMER = read_table("customer")
CIDS = read_table("public.customer_cid")


def contract(name: str = "crm", **changes: object) -> SourceContract:
    document = {
        "domain": "sales",
        "key": "id",
        "mapping": {
            "given_name": "given",
            "birth_date": "born",
            "email": "contact.mail",
            "other_names": "note",
        },
        **changes,
    }
    return read_contract(name, document, version=1)


def source(under: SourceContract | None = None, **changes: str) -> dict[str, str]:
    return dict(source_connector(under or contract(), CRM, CUSTOMER, names=NAMES, **changes).config)  # type: ignore[arg-type]


def sink() -> dict[str, str]:
    return dict(sink_connector("crm", CRM, CIDS, names=NAMES).config)


def test_the_source_connector_leaves_out_nothing_that_debezium_leaves_out_by_itself() -> None:
    config = source()

    assert config["skipped.operations"] == "none"
    assert config["tombstones.on.delete"] == "true"
    assert config["decimal.handling.mode"] == "string"
    assert config["time.precision.mode"] == "isostring"
    assert config["errors.tolerance"] == "none"
    assert int(config["heartbeat.interval.ms"]) > 0


def test_the_source_connector_reaches_the_database_of_the_url() -> None:
    config = source()

    assert {name: text for name, text in config.items() if name.startswith("database.")} == {
        "database.hostname": "crm-db",
        "database.port": "5433",
        "database.user": "cdc",
        "database.password": "canary@pw",
        "database.dbname": "crm",
        "database.sslmode": "verify-full",
        "database.sslrootcert": "ca.pem",
    }


def test_only_columns_that_the_contract_reads_leave_the_database() -> None:
    under = contract(key=["tenant", "id"], alternate_keys={"legacy": "old_no"})

    config = source(under, cid_field="cid")

    assert config["column.include.list"] == (
        r"public\.customer\.(born|cid|contact|contact\.mail|given|id|note|old_no|tenant)"
    )
    assert config["message.key.columns"] == r"public\.customer:tenant,id"


def test_without_a_known_key_column_no_column_is_left_out() -> None:
    under = read_contract("crm", {"domain": "sales"}, version=1)

    assert not {"column.include.list", "message.key.columns"} & source(under).keys()


@pytest.mark.parametrize("name", ["crm", "old-crm", "old_crm", "a" * 63, "-".join("b" * 31)])
def test_a_slot_has_a_legal_name_of_its_own(name: str) -> None:
    slots = {
        source(contract(one))["slot.name"]
        for one in ("crm", "old-crm", "old_crm", "a" * 63, "-".join("b" * 31))
    }

    assert len(slots) == 5
    slot = source(contract(name))["slot.name"]
    assert len(slot) <= 63
    assert set(slot) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_the_sink_connector_upserts_into_its_own_table_and_keeps_what_it_cannot_write() -> None:
    config = sink()

    assert config["topics"] == "sameas.assignments.crm"
    assert config["collection.name.format"] == "public.customer_cid"
    assert (config["insert.mode"], config["delete.enabled"]) == ("upsert", "true")
    assert (config["primary.key.mode"], config["primary.key.fields"]) == ("record_key", "source_key")
    assert config["schema.evolution"] == "none"
    assert config["errors.deadletterqueue.topic.name"] == "sameas.dead-letters.crm"
    assert config["errors.log.include.messages"] == "false"
    assert int(config["consumer.override.metadata.max.age.ms"]) < 60_000
    assert config["connection.url"] == (
        "jdbc:postgresql://crm-db:5433/crm?sslmode=verify-full&sslrootcert=ca.pem"
    )


def test_a_password_is_in_the_configuration_only() -> None:
    connector = source_connector(contract(), CRM, CUSTOMER, names=NAMES)

    assert connector.config["database.password"] == "canary@pw"
    assert "canary" not in f"{connector!r} {CRM!r}"
    assert (
        "database.password"
        not in source_connector(contract(), read_database("postgresql://u@h/d"), CUSTOMER, names=NAMES).config
    )


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:canary@h/d",
        "postgresql://h/d",
        "postgresql://u:canary@h",
        "postgresql://u:canary@h:port/d",
        "canary",
    ],
)
def test_a_url_of_another_kind_or_without_a_part_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConnectorInvalid) as caught:
        read_database(url)

    assert "canary" not in caught.value.detail


@pytest.mark.parametrize("text", ["", "a.b.c", "a b", 'a"; DROP TABLE x', "public.", "9a"])
def test_what_is_no_name_of_a_table_is_refused(text: str) -> None:
    with pytest.raises(ConnectorInvalid):
        read_table(text)


@pytest.mark.parametrize("key", [None, "meta.id", 'id"; DROP'])
def test_a_trigger_needs_the_columns_of_the_key(key: str | None) -> None:
    document = {"domain": "sales"} | ({} if key is None else {"key": key})

    with pytest.raises(ConnectorInvalid, match="key"):
        copying_sql(read_contract("crm", document, version=1), CIDS, CUSTOMER)


# ------------------------------------------------------------------------------------------- on real parts


@pytest.mark.slow
def test_every_change_of_a_table_arrives_and_nothing_that_the_contract_does_not_read(
    kafka_bootstrap: str,
    kafka_connect_url: str,
    kafka_prefix: str,
    connectors: Connectors,
    logical_postgres_url: str,
) -> None:
    names, under = TopicNames(kafka_prefix), contract()
    apply_topics(KafkaAddress(kafka_bootstrap), plan_topics(["crm"], names=names, partitions=2))
    records = names.records("crm")
    with psycopg.connect(logical_postgres_url, autocommit=True) as crm:
        crm.execute(
            "CREATE TABLE customer (id integer PRIMARY KEY, given text NOT NULL, born date, contact jsonb, note text, "
            "salary numeric(9, 2))"
        )
        crm.execute("ALTER TABLE customer ALTER note SET STORAGE EXTERNAL")
        crm.execute(
            "INSERT INTO customer VALUES (1, 'Ada', '1815-12-10', '{\"mail\": \"a@b.org\"}', NULL, 777777.77)"
        )
        printed = source_connector(under, read_database(logical_postgres_url), CUSTOMER, names=names)
        quick = Connector(printed.name, {**printed.config, "heartbeat.interval.ms": "200"})
        assert put_connector(kafka_connect_url, quick)
        connectors.adopt(quick.name)
        read_topic(kafka_bootstrap, records, until=lambda found: len(found) >= 1)

        crm.execute("INSERT INTO customer VALUES (2, 'Bob', NULL, NULL, repeat('n', 9000), 777777.77)")
        crm.execute("UPDATE customer SET given = 'Bobby' WHERE id = 2")
        crm.execute("UPDATE customer SET id = 3 WHERE id = 2")
        crm.execute("DELETE FROM customer WHERE id = 3")
        crm.execute("TRUNCATE customer")
        crm.execute("INSERT INTO customer VALUES (4, 'Last', NULL, NULL, NULL, 777777.77)")
        found = read_topic(
            kafka_bootstrap,
            records,
            until=lambda messages: b"Last" in b"".join(m.value() or b"" for m in messages),
        )

        [[slot_at]] = crm.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
        await_true(
            lambda: (
                crm.execute(
                    "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn > %s",
                    (quick.config["slot.name"], slot_at),
                ).fetchone()
                is not None
            )
        )
        # The table is quiet now, and its log is told to have got further all the same.
        [[quiet_at]] = crm.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchall()

    reader = MessageReader(under)

    def read(message: Message) -> SourceMessage:
        return reader.read(message.key(), message.value(), message.headers())  # type: ignore[arg-type]

    def mark_of(said: SourceMessage) -> int | None:
        return said.version if isinstance(said, Ignored) and said.reason == "log_message" else None

    read_topic(
        kafka_bootstrap,
        records,
        until=lambda messages: any((mark_of(one) or 0) >= quiet_at for one in map(read, messages)),
    )
    said = [one for one in map(read, found) if mark_of(one) is None]
    assert sorted(map(outline, said)) == [
        "ignored tombstone",
        "rename 2 3",
        "rename 2 3 Bobby",
        "statement 1 Ada",
        "statement 2 Bob",
        "statement 2 Bobby, note unavailable",
        "statement 4 Last",
        "truncation",
        "withdrawal 3",
        "withdrawal 3 tombstone",
    ]
    positions = {outline(one): one.version for one in said if isinstance(one, Statement | Truncation)}
    assert (
        (positions["statement 1 Ada"] or 0)
        < (positions["statement 2 Bob"] or 0)
        < (positions["truncation"] or 0)
        < (positions["statement 4 Last"] or 0)
    )
    assert all(b"777777" not in (message.value() or b"") for message in found)


def outline(said: SourceMessage) -> str:
    """Return what a message says, in words that sort."""
    match said:
        case Statement():
            kept = ", note unavailable" if said.unavailable == {"other_names"} else ""
            return f"statement {said.key} {said.attributes['given_name']}{kept}"
        case Rename(then=Statement() as then):
            return f"rename {said.old_key} {said.new_key} {then.attributes['given_name']}"
        case Rename():
            return f"rename {said.old_key} {said.new_key}"
        case Withdrawal():
            return f"withdrawal {said.key}{' tombstone' if said.is_tombstone else ''}"
        case Truncation():
            return "truncation"
        case Ignored():
            return f"ignored {said.reason}"
        case _:
            return f"not taken {said.code}"


@pytest.mark.slow
def test_assignments_reach_the_customer_table_through_their_own(
    kafka_bootstrap: str,
    kafka_connect_url: str,
    kafka_prefix: str,
    connectors: Connectors,
    logical_postgres_url: str,
) -> None:
    names, under = TopicNames(kafka_prefix), contract(key=["tenant", "id"])
    apply_topics(KafkaAddress(kafka_bootstrap), plan_topics(["crm"], names=names, partitions=2))
    with psycopg.connect(logical_postgres_url, autocommit=True) as crm:
        crm.execute(
            "CREATE TABLE customer (tenant text, id integer, given text NOT NULL, cid uuid, touched integer DEFAULT 0, "
            "PRIMARY KEY (tenant, id))"
        )
        crm.execute(
            "INSERT INTO customer (tenant, id, given) VALUES ('a', 1, 'Ada'), ('a', 2, 'Bob'), ('b', 1, 'Eve')"
        )
        for _ in range(2):  # the printed SQL may be run again
            crm.execute(table_sql(CIDS).encode())
            crm.execute(copying_sql(under, CIDS, CUSTOMER).encode())
        printed = sink_connector("crm", read_database(logical_postgres_url), CIDS, names=names)
        assert put_connector(kafka_connect_url, printed)
        connectors.adopt(printed.name)
        cid = "0190163d-8694-739b-aea5-966c26f8ad9{}"

        def cids() -> list[tuple[object, ...]]:
            return crm.execute("SELECT tenant, id, cid::text FROM customer ORDER BY tenant, id").fetchall()

        assign(kafka_bootstrap, names, ('["a","1"]', cid.format(1), 1), ('["b","1"]', cid.format(2), 1))
        await_true(lambda: cids() == [("a", 1, cid.format(1)), ("a", 2, None), ("b", 1, cid.format(2))])
        assign(
            kafka_bootstrap,
            names,
            ('["a","no number"]', cid.format(3), 1),
            ('["a","1"]', cid.format(4), 2),
            ('["a","2"]', cid.format(4), 1),
            ('["b","1"]', None, 2),
        )
        await_true(lambda: cids() == [("a", 1, cid.format(4)), ("a", 2, cid.format(4)), ("b", 1, None)])
        assert crm.execute("SELECT count(*) FROM customer_cid").fetchone() == (4,)
        assert crm.execute(
            "SELECT cid, status, version, assigned_at = '2026-11-24T10:00:00.123456Z' FROM customer_cid "
            'WHERE source_key = \'["a","1"]\''
        ).fetchone() == (cid.format(4), "live", 2, True)

        producer = Producer(producer_config(KafkaAddress(kafka_bootstrap)))
        producer.produce(names.assignments("crm"), b'{"cid": "no schema"}', key=b'{"source_key": "x"}')
        producer.produce(
            names.assignments("crm"),
            None,
            key=connect_json(ASSIGNMENT_KEY_SCHEMA, {"source_key": '["a","1"]'}),
        )
        assert producer.flush(30) == 0
        await_true(lambda: cids() == [("a", 1, None), ("a", 2, cid.format(4)), ("b", 1, None)])
        [dead] = read_topic(kafka_bootstrap, names.dead_letters("crm"), until=lambda found: len(found) >= 1)
        assert dead.value() == b'{"cid": "no schema"}'
        connectors.adopt(printed.name)  # still running
        assert not put_connector(kafka_connect_url, printed)

        crm.execute("DELETE FROM customer WHERE id = 2")
        crm.execute("INSERT INTO customer (tenant, id, given) VALUES ('a', 2, 'Bob'), ('a', 3, 'Cy')")
        assert cids() == [("a", 1, None), ("a", 2, cid.format(4)), ("a", 3, None), ("b", 1, None)]
        crm.execute("UPDATE customer_cid SET status = 'renamed' WHERE source_key = '[\"a\",\"2\"]'")
        crm.execute("DELETE FROM customer WHERE id = 2")
        crm.execute("INSERT INTO customer (tenant, id, given) VALUES ('a', 2, 'Bea')")
        assert cids()[1] == ("a", 2, None), "a key that is given again is another customer's"


def connect_json(schema: object, payload: object) -> bytes:
    return orjson.dumps({"schema": schema, "payload": payload})


def assign(bootstrap: str, names: TopicNames, *rows: tuple[str, str | None, int]) -> None:
    producer = Producer(producer_config(KafkaAddress(bootstrap)))
    for key, cid, version in rows:
        row = {
            "source_key": key,
            "cid": cid,
            "status": "live" if cid else "held",
            "version": version,
            "assigned_at": "2026-11-24T10:00:00.123456Z",
        }
        producer.produce(
            names.assignments("crm"),
            connect_json(ASSIGNMENT_ROW_SCHEMA, row),
            key=connect_json(ASSIGNMENT_KEY_SCHEMA, {"source_key": key}),
        )
    assert producer.flush(30) == 0
