"""Reading back again and again: it ends by a signal, and waits for a database that is away."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from identity.errors import StoreBusy
from service.read_back_running import run_read_back
from service.settings import Settings
from streams.ledger import DeliveryLedger
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


def test_a_store_that_is_busy_is_waited_for_between_two_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "crm.db"
    with sqlite3.connect(database) as crm:
        crm.execute("CREATE TABLE customer (id text PRIMARY KEY, cid text)")
    crm.close()
    (tmp_path / "crm.json").write_text('{"domain": "sales", "key": "id"}', encoding="utf-8")
    env = environment(tmp_path / "data")
    subprocess.run([*COMMAND, "source", "put", "crm", str(tmp_path / "crm.json")], env=env, check=True)
    settings = Settings(data_dir=tmp_path / "data", write_back_url=SecretStr(f"sqlite:///{database}"))
    busy = iter((True, False))

    def follow(*_: object, **__: object) -> bool:
        if next(busy):
            raise StoreBusy("Others write.")
        return True

    monkeypatch.setattr(DeliveryLedger, "follow", follow)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            signal.raise_signal(signal.SIGTERM)

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        run_read_back(
            settings,
            "crm",
            table="customer",
            key_columns=("id",),
            cid_column="cid",
            every_s=0.01,
            is_whole=False,
            tell=tell,
        )
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)

    assert lines[0].startswith("store_busy")
    assert lines[1] == "crm: 0 changed"
