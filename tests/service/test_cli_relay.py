"""`sameas relay` and `sameas asyncapi`, run as their users do."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from deploy.local.children import find_free_port
from streams.schema_files import ASYNCAPI_FILE
from tests.service.server import COMMAND, environment
from tests.services.kafka import read_topic

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def sameas(data_dir: Path, *arguments: str, status: int = 0, **changes: str) -> tuple[str, str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, **changes),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_records_of_a_file_are_told_until_the_relay_is_ended(
    tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    data_dir, file, port = tmp_path / "data", tmp_path / "people.csv", find_free_port()
    file.write_text("id,mail\ncanary,ada@mail.de\n")
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")
    sameas(data_dir, "load", "crm", str(file), "--map=email=mail")
    kafka = {
        "SAMEAS_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "SAMEAS_TOPIC_PREFIX": kafka_prefix,
        "SAMEAS_TOPIC_PARTITIONS": "2",
    }
    sameas(data_dir, "topics", "apply", status=0, **kafka)

    with subprocess.Popen(
        [*COMMAND, "relay", f"--metrics-port={port}"],
        env=environment(data_dir, **kafka),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            [row] = read_topic(kafka_bootstrap, f"{kafka_prefix}.crosswalk", until=bool)
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        finally:
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=60)

    assert running.returncode == 0, err
    assert json.loads(row.value() or b"")["key"] == "canary"
    assert out == f"sameas relays to {kafka_bootstrap}\n"
    assert "sameas_relay_leading 1.0" in metrics
    assert [json.loads(line)["event"] for line in err.splitlines() if '"relay_' in line] == [
        "relay_leads",
        "relay_sent",
        "relay_leads_no_more",
    ]
    assert "canary" not in err + metrics


def test_without_an_address_of_kafka_nothing_runs(tmp_path: Path) -> None:
    _, err = sameas(tmp_path / "data", "relay", status=2)

    assert "SAMEAS_KAFKA_BOOTSTRAP" in err
    assert not (tmp_path / "data").exists()


def test_the_document_of_the_topics_is_printed_with_the_prefix_of_the_installation(tmp_path: Path) -> None:
    printed, _ = sameas(tmp_path, "asyncapi")
    other, _ = sameas(tmp_path, "asyncapi", SAMEAS_TOPIC_PREFIX="west")

    assert printed == ASYNCAPI_FILE.read_text("utf-8")
    assert json.loads(other)["channels"]["crosswalk"]["address"] == "west.crosswalk"
