"""`sameas topics` and `sameas connect`, run in this process on the embedded store and a real broker."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from deploy.local.children import find_free_port
from identity.errors import SourceUnknown
from matching.errors import SameasError
from service.cli import app
from service.errors import SettingsInvalid
from streams.errors import ConnectUnreachable, KafkaUnreachable

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMEAS_DATA_DIR", str(tmp_path / "data"))


def sameas(*arguments: str, typed: str | None = None) -> str:
    done = CliRunner().invoke(app, arguments, input=typed)
    if isinstance(done.exception, SameasError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_topics_of_every_source_in_use_are_created_and_then_there(
    kafka_bootstrap: str, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMEAS_KAFKA_BOOTSTRAP", kafka_bootstrap)
    monkeypatch.setenv("SAMEAS_TOPIC_PREFIX", kafka_prefix)
    monkeypatch.setenv("SAMEAS_TOPIC_PARTITIONS", "2")
    sameas("source", "put", "crm", "--domain", "sales")
    sameas("source", "put", "old_shop", "--domain", "sales")
    sameas("source", "retire", "old_shop", "--yes")

    first = orjson.loads(sameas("topics", "apply", "--json"))
    second = sameas("topics", "apply")

    assert {one["state"] for one in first} == {"created"}
    assert f"{kafka_prefix}.records.crm" in {one["topic"] for one in first}
    assert not any("old_shop" in one["topic"] for one in first)
    assert second.count(" there ") == len(first) == 7


def test_what_differs_is_told(
    kafka_bootstrap: str, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMEAS_KAFKA_BOOTSTRAP", kafka_bootstrap)
    monkeypatch.setenv("SAMEAS_TOPIC_PREFIX", kafka_prefix)
    monkeypatch.setenv("SAMEAS_TOPIC_PARTITIONS", "2")
    sameas("topics", "apply")
    monkeypatch.setenv("SAMEAS_TOPIC_PARTITIONS", "3")

    report = orjson.loads(sameas("topics", "apply", "--json"))

    assert {one["state"] for one in report} == {"differs"}
    assert report[0]["differences"] == [{"what": "partitions", "planned": "3", "found": "2"}]
    assert "partitions is 2, not 3" in sameas("topics", "apply")


def test_without_an_address_or_without_a_broker_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsInvalid, match="SAMEAS_KAFKA_BOOTSTRAP"):
        sameas("topics", "apply")

    monkeypatch.setenv("SAMEAS_KAFKA_BOOTSTRAP", f"127.0.0.1:{find_free_port()}")
    monkeypatch.setattr("streams.kafka_admin.ANSWER_S_MAX", 0.5)
    with pytest.raises(KafkaUnreachable, match="SAMEAS_KAFKA_BOOTSTRAP"):
        sameas("topics", "apply")


def test_the_connectors_of_a_source_are_printed_ready_to_post() -> None:
    sameas("source", "put", "crm", "--domain", "sales", "--key", "id", "--map", "given_name=given")
    where = ("--database", "postgresql://u:p@crm-db/crm")

    source = orjson.loads(sameas("connect", "source", "crm", *where, "--table", "customer"))
    sink = orjson.loads(sameas("connect", "sink", "crm", *where, "--table", "customer_cid"))

    assert source.keys() == sink.keys() == {"name", "config"}
    assert source["name"] == "sameas-source-crm"
    assert source["config"]["transforms.records.replacement"] == "sameas.records.crm"
    assert source["config"]["message.key.columns"].endswith(":id")
    assert source["config"]["topic.creation.records.partitions"] == "12"
    assert sink["name"] == "sameas-sink-crm"
    assert sink["config"]["topics"] == "sameas.assignments.crm"


def test_a_url_read_from_standard_input_keeps_its_password_out_of_the_list_of_processes() -> None:
    sameas("source", "put", "crm", "--domain", "sales", "--key", "id")

    printed = sameas(
        "connect", "sink", "crm", "--database", "-", "--table", "x", typed="postgresql://u:secret@h/crm\n"
    )

    assert orjson.loads(printed)["config"]["connection.password"] == "secret"


def test_the_sql_of_the_table_of_cids_is_printed_with_or_without_the_trigger() -> None:
    sameas("source", "put", "crm", "--domain", "sales", "--key", "id")
    asked = ("connect", "sink", "crm", "--database", "postgresql://u@h/d", "--table", "customer_cid")

    table, both = sameas(*asked, "--sql"), sameas(*asked, "--trigger", "customer", "--cid-column", "mdm_id")

    assert table.startswith('CREATE TABLE IF NOT EXISTS "public"."customer_cid"')
    assert both.startswith(table)
    assert 'ON "public"."customer_cid"' in both
    assert 'UPDATE "public"."customer" SET "mdm_id"' in both


def test_a_connector_of_an_unknown_source_or_for_a_connect_that_is_away_is_refused() -> None:
    where = ("--database", "postgresql://u@h/d", "--table", "customer")
    with pytest.raises(SourceUnknown):
        sameas("connect", "source", "crm", *where)

    sameas("source", "put", "crm", "--domain", "sales", "--key", "id")
    with pytest.raises(ConnectUnreachable):
        sameas("connect", "source", "crm", *where, "--post", f"http://127.0.0.1:{find_free_port()}")
