"""`sameas topics`, run in this process on the embedded store and a real broker."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from deploy.local.children import find_free_port
from matching.errors import SameasError
from service.cli import app
from service.errors import SettingsInvalid
from streams.errors import KafkaUnreachable

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMEAS_DATA_DIR", str(tmp_path / "data"))


def sameas(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
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
