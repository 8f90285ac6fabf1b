"""`sameas coverage`, `sameas wait` and `sameas read-back`, as their users run them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from identity.model import RecordRef
from service.bootstrap import bootstrap_identity
from service.clock import SystemClock
from service.settings import Settings
from streams.delivery import Acknowledgement, Evidence
from streams.ledger import DeliveryLedger
from tests.service.server import COMMAND, environment
from tests.streams.stream import plain
from tests.streams.taking import Taking

pytestmark = pytest.mark.slow


def sameas(data_dir: Path, *arguments: str, status: int = 0, **changes: str) -> str:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, **changes),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    data_dir = tmp_path / "data"
    (tmp_path / "crm.json").write_text('{"domain": "sales", "key": "id"}', encoding="utf-8")
    (tmp_path / "crm.csv").write_text("id,full_name\n1,Ada Byron\n2,Max Muster\n", encoding="utf-8")
    sameas(data_dir, "source", "put", "crm", str(tmp_path / "crm.json"))
    sameas(data_dir, "load", "crm", str(tmp_path / "crm.csv"))
    return data_dir


def test_cids_read_back_close_the_gaps_that_a_product_waits_for(data_dir: Path, tmp_path: Path) -> None:
    database = tmp_path / "crm.db"
    found = json.loads(sameas(data_dir, "lookup", "crm/1", "crm/2", "--json"))["cids"]
    with sqlite3.connect(database) as crm:
        crm.execute("CREATE TABLE customer_cid (source_key text PRIMARY KEY, cid text)")
        crm.execute("INSERT INTO customer_cid VALUES ('1', ?)", (found[0]["cid"],))
    read_back = ("read-back", "crm", "--table", "customer_cid", "--key", "source_key")
    url = f"sqlite:///{database}"

    assert sameas(data_dir, *read_back, SAMEAS_WRITE_BACK_URL=url) == "crm: 1 changed\n"
    sameas(data_dir, "wait", "crm", "--timeout", "0", status=1)
    assert json.loads(sameas(data_dir, "coverage", "crm", "--json"))["share"] == 0.5

    with sqlite3.connect(database) as crm:
        crm.execute("INSERT INTO customer_cid VALUES ('2', ?)", (found[1]["cid"],))
    crm.close()
    sameas(data_dir, *read_back, SAMEAS_WRITE_BACK_URL=url)
    assert sameas(data_dir, "wait", "crm", "--timeout", "0") == "crm: reached\n"
    assert "read_back" in sameas(data_dir, "coverage", "crm")


@pytest.mark.parametrize("version", [None, 70])
def test_what_was_taken_of_a_stream_is_waited_for_up_to_its_frontier(
    data_dir: Path, version: int | None
) -> None:
    wait = ("wait", "crm", "--timeout", "0")
    identity = bootstrap_identity(Settings(data_dir=data_dir))
    try:
        ledger, taking = DeliveryLedger(identity), Taking(identity)
        taking.take(plain("3", {"full_name": "Eva Klein"}, version=version))
        [state] = taking.offsets.list_states()
        assert ledger.follow()
        now = SystemClock().now()
        cids = identity.look_up([RecordRef("crm", key) for key in "123"]).rows
        told = [
            Acknowledgement(RecordRef("crm", key), cid, Evidence.WEBHOOK, now)
            for key, (cid, _) in zip("123", cids, strict=True)
        ]
        with identity.store.write() as tx:
            ledger.raise_frontier_in(tx, "crm", state.reached)
        ledger.acknowledge(told[:2])
        sameas(data_dir, *wait, status=1)
        ledger.acknowledge(told[2:])
        assert sameas(data_dir, *wait) == "crm: reached\n"

        taking.take(plain("3", {"full_name": "Eva Maria Klein"}, version=None if version is None else 71))
        sameas(data_dir, *wait, status=1)
    finally:
        identity.close()


def test_what_cannot_be_waited_for_is_refused(data_dir: Path) -> None:
    sameas(data_dir, "wait", "crm", "--position", "soon", status=1)
    sameas(data_dir, "wait", "nobody", status=1)


def test_reading_back_needs_to_know_where(data_dir: Path) -> None:
    sameas(data_dir, "read-back", "crm", "--table", "customer_cid", status=2)
