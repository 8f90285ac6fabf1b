"""Reading back again and again: it ends by a signal, and waits for a database that is away."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.service.server import COMMAND, environment

pytestmark = pytest.mark.slow


def test_it_reads_until_it_is_told_to_stop(tmp_path: Path) -> None:
    data_dir, database = tmp_path / "data", tmp_path / "crm.db"
    (tmp_path / "crm.json").write_text('{"domain": "sales", "key": "id"}', encoding="utf-8")
    with sqlite3.connect(database) as crm:
        crm.execute("CREATE TABLE customer (id text PRIMARY KEY, cid text)")
    crm.close()
    env = environment(data_dir, SAMEAS_WRITE_BACK_URL=f"sqlite:///{database}")
    subprocess.run([*COMMAND, "source", "put", "crm", str(tmp_path / "crm.json")], env=env, check=True)

    reading = subprocess.Popen(
        [*COMMAND, "read-back", "crm", "--table", "customer", "--every", "1"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reading.stdout is not None
    lines = [reading.stdout.readline(), reading.stdout.readline()]
    reading.send_signal(signal.SIGTERM)

    assert reading.wait(60) == 0
    reading.stdout.close()
    assert lines == ["crm: 0 changed\n"] * 2
