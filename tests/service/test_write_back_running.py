"""`sameas write-back` as its users run it."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from identity.errors import StoreBusy
from service.errors import SettingsInvalid
from service.settings import Settings
from service.telemetry import configure_logging
from service.write_back_running import LoggedWriteBack, WriteBackProgram
from streams.errors import WriteBackRefused
from tests.promises.world import Clock
from tests.service.server import COMMAND, environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def sameas(data_dir: Path, *arguments: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def program_of(settings: Settings) -> WriteBackProgram:
    return WriteBackProgram(
        settings, "crm", table="customer", key_columns=(), cid_column="cid", sweep_hours=1
    )


def make_crm(tmp_path: Path) -> tuple[Path, str]:
    """Return the data directory of a store with one record, and the URL of its source's database."""
    data_dir, file = tmp_path / "data", tmp_path / "people.csv"
    file.write_text("id,mail\n7,ada@mail.de\n")
    sameas(data_dir, "source", "put", "crm", "--domain", "sales", "--key", "id")
    sameas(data_dir, "load", "crm", str(file), "--map=email=mail")
    with closing(sqlite3.connect(tmp_path / "crm.db")) as crm, crm:
        crm.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, cid TEXT)")
        crm.execute("INSERT INTO customer VALUES (7, NULL)")
    return data_dir, f"sqlite:///{tmp_path / 'crm.db'}"


def test_a_cid_appears_in_the_customer_table_and_the_command_ends_in_order(tmp_path: Path) -> None:
    data_dir, url = make_crm(tmp_path)
    with subprocess.Popen(
        [*COMMAND, "write-back", "crm", "--table", "customer"],
        env=environment(data_dir, SAMEAS_WRITE_BACK_URL=url),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            with closing(sqlite3.connect(tmp_path / "crm.db")) as crm:
                ends_at = time.monotonic() + 60
                while (cid := crm.execute("SELECT cid FROM customer").fetchone()[0]) is None:
                    assert time.monotonic() < ends_at
                    assert running.poll() is None, running.communicate()
        finally:
            running.send_signal(signal.SIGTERM)
            said = "".join(running.communicate(timeout=30))

    assert running.returncode == 0
    assert len(cid) == 36
    assert "writes the CIDs of crm back" in said
    assert url not in said


def test_without_a_database_or_by_another_way_back_it_does_not_run(tmp_path: Path) -> None:
    data_dir, url = make_crm(tmp_path)
    with pytest.raises(SettingsInvalid, match="SAMEAS_WRITE_BACK_URL"):
        program_of(Settings(data_dir=data_dir))
    contract = tmp_path / "crm.json"
    contract.write_text(json.dumps({"domain": "sales", "key": "id", "write_back": "topic"}))
    sameas(data_dir, "source", "put", "crm", str(contract))

    with pytest.raises(WriteBackRefused, match="topic"):
        program_of(Settings(data_dir=data_dir, write_back_url=url))  # type: ignore[arg-type]


def test_what_is_tried_again_is_logged_once_a_minute_and_rows_are_counted() -> None:
    log = io.StringIO()
    configure_logging("info", log)
    notes = LoggedWriteBack(Clock())

    for _ in range(3):
        notes.failed(StoreBusy("busy"))
    notes.wrote(written=2, same=3, missing=4)

    value = notes.registry.get_sample_value
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == ["write_back_tries_again"]
    assert value("sameas_write_back_failures_total", {"code": "store_busy"}) == 3
    counts = [
        value("sameas_write_back_rows_total", {"result": one}) for one in ("written", "same", "missing")
    ]
    assert counts == [2, 3, 4]
