"""The loop on real parts: a row changes in an operational database, and its CID stands beside it.

PostgreSQL -> Debezium -> Kafka -> `sameas worker` -> store -> `sameas relay` -> Kafka -> JDBC sink -> trigger -> `cid`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.services.kafka import WAIT_S_MAX, Connectors, await_true

pytestmark = [pytest.mark.slow, pytest.mark.service]

COMMAND = (sys.executable, "-c", "from service.cli import main; raise SystemExit(main())")
CONTRACT = {
    "domain": "sales",
    "kind": "crm",
    "key": "id",
    "region": "GB",
    "approach": 3,
    "cid_field": "cid",
    "cid_within_s": 60,
    "coverage_min": 1,
    "mapping": {"given_name": "given", "family_name": "family", "email": "email", "birth_date": "born"},
}
Row = tuple[object, ...]


class Sameas:
    """The command line on one store."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("SAMEAS_")}
        self._environment = {**kept, **environment}

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """Run a command until the block ends; then it stops by itself, in order."""
        process = subprocess.Popen([*COMMAND, *arguments], env=self._environment, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(WAIT_S_MAX) == 0


@pytest.fixture
def sameas(postgres_url: str, kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path) -> Sameas:
    run = Sameas(
        {
            "SAMEAS_DATABASE_URL": postgres_url,
            "SAMEAS_DATA_DIR": str(tmp_path / "data"),
            "SAMEAS_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "SAMEAS_TOPIC_PREFIX": kafka_prefix,
            "SAMEAS_TOPIC_PARTITIONS": "2",
        }
    )
    run("migrate")
    return run


def test_the_cid_comes_back_to_the_row_through_inserts_updates_deletes_key_changes_and_truncation(
    sameas: Sameas,
    kafka_connect_url: str,
    connectors: Connectors,
    logical_postgres_url: str,
    postgres_url: str,
    tmp_path: Path,
) -> None:
    contract = tmp_path / "crm.json"
    contract.write_text(json.dumps(CONTRACT), encoding="utf-8")
    with ExitStack() as opened:
        crm = opened.enter_context(psycopg.connect(logical_postgres_url, autocommit=True))
        crm.execute(
            "CREATE TABLE customer (id text PRIMARY KEY, given text NOT NULL, family text, email text, born date, "
            "cid uuid)"
        )
        crm.execute("INSERT INTO customer VALUES ('1', 'Ada', 'Byron', 'ada@byron.org', '1815-12-10')")
        sameas("source", "put", "crm", str(contract))
        sameas("topics", "apply")
        table, out = "public.customer", "public.customer_cid"
        trigger = sameas(
            "connect",
            "sink",
            "crm",
            "--database",
            "-",
            "--table",
            out,
            "--trigger",
            table,
            given=logical_postgres_url,
        )
        crm.execute(trigger.encode())
        for side, name in (("source", table), ("sink", out)):
            told = json.loads(
                sameas("connect", side, "crm", "--database", "-", "--table", name, given=logical_postgres_url)
            )
            connectors.put(told["name"], told["config"])
        opened.enter_context(sameas.running("worker"))
        opened.enter_context(sameas.running("relay"))

        def rows() -> list[Row]:
            return crm.execute("SELECT id, cid::text FROM customer ORDER BY id").fetchall()

        def cid_of(key: str) -> object:
            return next((cid for name, cid in rows() if name == key), None)

        await_true(lambda: cid_of("1") is not None, "a row of the snapshot has its CID")
        ada = cid_of("1")
        crm.execute(
            "INSERT INTO customer VALUES ('2', 'Ada', 'Byron', 'ada@byron.org', '1815-12-10'), "
            "('3', 'Charles', 'Babbage', 'charles@engine.org', '1791-12-26')"
        )
        await_true(lambda: cid_of("2") == ada and cid_of("3") not in (None, ada), "inserts have their CIDs")
        babbage = cid_of("3")

        crm.execute("UPDATE customer SET email = 'cb@engine.org' WHERE id = '3'")
        crm.execute("UPDATE customer SET id = '30' WHERE id = '3'")
        await_true(lambda: cid_of("30") == babbage, "a changed key keeps its CID")
        crm.execute("DELETE FROM customer WHERE id = '2'")
        await_true(
            lambda: lookup(sameas, "crm/2", "crm/3") == [(ada, "withdrawn"), (babbage, "renamed")],
            "what went is told apart",
        )
        crm.execute("TRUNCATE customer")
        crm.execute("INSERT INTO customer VALUES ('30', 'Charles', 'Babbage', 'cb@engine.org', '1791-12-26')")
        await_true(
            lambda: lookup(sameas, "crm/1", "crm/30") == [(ada, "withdrawn"), (babbage, "live")],
            "a truncation withdraws what it emptied",
        )
        await_true(lambda: rows() == [("30", babbage)], "a customer that comes again has its CID again")

        told = "SELECT source_key, cid, status FROM customer_cid ORDER BY source_key"
        await_true(
            lambda: (
                crm.execute(told).fetchall()
                == [
                    ("1", ada, "withdrawn"),
                    ("2", ada, "withdrawn"),
                    ("3", babbage, "renamed"),
                    ("30", babbage, "live"),
                ]
            ),
            "at rest the sink's table is the crosswalk",
        )

        # What a product does before it publishes: it reads up to here, and waits until all of that has its CID.
        [(read_up_to,)] = crm.execute("SELECT pg_current_wal_lsn()::text").fetchall()
        sameas("wait", "crm", "--position", str(read_up_to), "--timeout", str(WAIT_S_MAX))
        coverage = json.loads(sameas("coverage", "crm", "--json"))
        assert coverage["watermark"]["version"] >= as_number(str(read_up_to))
        assert (coverage["records"], coverage["with_current_cid"], coverage["share"]) == (1, 1, 1.0)
        assert (coverage["evidence"], coverage["met"]) == ("cid_seen", True)
        assert coverage["approach"] == {"declared": 3, "observed": 3}

        # The CID that came back says nothing new: what it was stated by is told once.
        told_before = count_events(postgres_url)
        crm.execute("UPDATE customer SET cid = NULL WHERE id = '30'")
        await_true(
            lambda: json.loads(sameas("coverage", "crm", "--json"))["share"] == 0.0, "a lost CID is a gap"
        )
        crm.execute("UPDATE customer_cid SET version = version WHERE source_key = '30'")
        await_true(
            lambda: json.loads(sameas("coverage", "crm", "--json"))["share"] == 1.0, "and closes again"
        )
        assert count_events(postgres_url) == told_before


def count_events(url: str) -> int:
    """Return how many changes of the crosswalk there were."""
    with psycopg.connect(url) as store:
        [(count,)] = store.execute("SELECT count(*) FROM event").fetchall()
    return int(count)


def as_number(lsn: str) -> int:
    """Return PostgreSQL's LSN as a number."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def lookup(sameas: Sameas, *names: str) -> list[Row]:
    """Return (CID, status) of each key, by `sameas lookup`."""
    return [(one["cid"], one["status"]) for one in json.loads(sameas("lookup", *names, "--json"))["cids"]]
