"""A CRM in PostgreSQL whose rows get their CIDs while nobody asks for them, and the products that join on them.

What happens:
1. The CRM has a table of customers. Debezium tells its changes, `sameas` answers with CIDs, the JDBC sink and a
   trigger put them into the table. No line of the CRM's own code is changed.
2. Billing states its accounts over HTTP and stores the CID that it is answered.
3. Both publish their data product, with the CID in it. The CRM's is gated: it is published up to a position of which
   `sameas wait` says that all before it has its CID, or not at all.
4. A consumer joins them. It asks nobody.

Invariant: public doors only: the command line, SQL, Connect's REST interface.
Elsewhere: the servers it runs on (`examples.write_back.__main__`), what every example stands on (`examples.rig`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import httpx
import psycopg
import pyarrow as pa
from pyarrow import parquet

from examples.rig import CommandFailed, Sameas, promise, show, wait_until

__all__ = ["Servers", "play"]

CRM: Final[Mapping[str, object]] = {
    "domain": "sales",
    "kind": "crm",
    "key": "id",
    "region": "GB",
    "approach": 3,
    "mapping": {"given_name": "given", "family_name": "family", "email": "email", "birth_date": "born"},
    "cid_field": "cid",
    "cid_within_s": 60,
    "coverage_min": 1.0,
}
BILLING: Final[Mapping[str, object]] = {"domain": "finance", "kind": "billing", "region": "GB", "approach": 3}

TABLE: Final = """
CREATE TABLE customer (
    id bigint PRIMARY KEY, given text NOT NULL, family text NOT NULL, email text, born date, segment text NOT NULL
)
"""
FIRST: Final = """
INSERT INTO customer VALUES
    (1, 'Ada', 'Byron', 'ada.byron@mail.example.org', '1985-12-10', 'private'),
    (2, 'Charles', 'Babbage', 'charles.babbage@mail.example.org', '1971-12-26', 'private')
"""
WHILE_ALL_RUNS: Final = """
INSERT INTO customer VALUES (5, 'Grace', 'Hopper', 'grace.hopper@mail.example.org', '1976-12-09', 'private')
"""
WHILE_NOTHING_RUNS: Final = """
INSERT INTO customer VALUES (6, 'Joan', 'Clarke', 'joan.clarke@mail.example.org', '1987-06-24', 'private')
"""
LATER: Final = """
INSERT INTO customer VALUES
    (3, 'Mary', 'Somerville', 'mary.somerville@mail.example.org', '1980-12-26', 'business'),
    (4, 'Ada', 'Byron', 'ada.byron@mail.example.org', '1985-12-10', 'private')
"""
ACCOUNTS: Final = {
    "B-77": {"full_name": "Ada Byron", "email": "ada.byron@mail.example.org", "birth_date": "1985-12-10"},
    "B-78": {
        "full_name": "Mary Somerville",
        "email": "mary.somerville@mail.example.org",
        "birth_date": "1980-12-26",
    },
}
COVERAGE: Final = ("records", "with_current_cid", "share", "lag_ms", "evidence", "met", "approach")
OWED: Final = {"B-77": 120, "B-78": 35}
JOIN: Final = """
SELECT segment, count(*) AS customers, sum(owed) AS owed
FROM (SELECT DISTINCT cid, segment FROM crm) JOIN billing USING (cid) GROUP BY segment ORDER BY segment
"""


class Servers(NamedTuple):
    """What runs already: the CRM's database, one for the store, Kafka, Kafka Connect."""

    crm_url: str
    store_url: str
    bootstrap: str
    connect_url: str


def play(
    servers: Servers,
    home: Path,
    *,
    topic_prefix: str = "sameas",
    posted: Callable[[str], object] = str,
) -> None:
    """Run the example; raises PromiseBroken where it does not show what it says.

    Args:
        posted: is told the name of each connector that Connect has then.
    """
    sameas = Sameas(
        home / "sameas",
        database_url=servers.store_url,
        kafka_bootstrap=servers.bootstrap,
        topic_prefix=topic_prefix,
        topic_partitions="2",
    )
    with psycopg.connect(servers.crm_url, autocommit=True) as crm:
        show("1. The CRM is connected: not a line of it changes.")
        crm.execute(TABLE)
        crm.execute(FIRST)
        for connector in _connect(sameas, servers, home, crm):
            posted(connector)
        with sameas.serving("--with", "worker,relay") as service:
            wait_until(lambda: _without_cid(crm) == 0, "the CRM's rows have their CIDs")
            promise("the rows that were there have their CIDs beside them", holds=_without_cid(crm) == 0)
            crm.execute(LATER)
            wait_until(lambda: _without_cid(crm) == 0, "new rows have their CIDs")
            cids = _cids(crm)
            promise("so have new ones; two rows of one person have one CID", holds=cids[1] == cids[4])
            promise("and other people have others", holds=len(set(cids.values())) == 3)
            crm.execute("UPDATE customer SET id = 20 WHERE id = 2")
            wait_until(lambda: _cids(crm).get(20) == cids[2], "a row whose key changes keeps its CID")
            promise("a row whose key changes keeps its CID", holds=_cids(crm).get(20) == cids[2])

            show("2. Billing stores the CID that it is answered as it writes.")
            accounts = _open_accounts(sameas, service)
            promise("its customer B-77 is the CRM's 1 and 4", holds=accounts["B-77"] == cids[1])

            show("3. The CRM's product is published up to the watermark, and no further.")
            crm.execute(WHILE_ALL_RUNS)
            product = home / "crm.parquet"
            promise("a row that has just come is waited for", holds=_publish(sameas, crm, product))
            published = parquet.read_table(product)
            promise(
                f"all {published.num_rows} rows of it have their CID",
                holds=published.num_rows == 5 and published.column("cid").null_count == 0,
            )
            coverage = service.get("/v1/sources/crm/coverage").raise_for_status().json()
            show(f"     coverage: {json.dumps({name: coverage[name] for name in COVERAGE})}")
            promise(
                "governance sees approach 3 in use, by the CIDs that the CRM's own changes bear",
                holds=(coverage["share"], coverage["met"], coverage["evidence"]) == (1.0, True, "cid_seen")
                and coverage["approach"] == {"declared": 3, "observed": 3},
            )
        crm.execute(WHILE_NOTHING_RUNS)
        promise(
            "with sameas down, a new row has no CID: the product is not published",
            holds=not _publish(sameas, crm, product, wait_s=2),
        )
        promise("and the last one stands, whole", holds=parquet.read_table(product) == published)

        show("4. A consumer joins the products on the CID, while sameas is down.")
        joined = _join({"crm": product, "billing": _publish_accounts(accounts, home)})
        for segment, customers, owed in joined:
            show(f"     {segment:9} {customers} customer  {owed:>4} owed")
        promise(
            "the join is on the CID alone: 0 look-ups",
            holds=joined == [("business", 1, 35), ("private", 1, 120)],
            found=joined,
        )


def _connect(sameas: Sameas, servers: Servers, home: Path, crm: psycopg.Connection[Any]) -> list[str]:
    """Do what an operator does once for each source, and return the names of its connectors."""
    contract = home / "crm.json"
    contract.write_text(json.dumps(CRM), encoding="utf-8")
    sameas("migrate")
    sameas("source", "put", "crm", str(contract))
    sameas("topics", "apply")
    out = ("connect", "sink", "crm", "--database", "-", "--table", "public.customer_cid")
    crm.execute(sameas(*out, "--trigger", "public.customer", given=servers.crm_url).encode())
    told = ("connect", "source", "crm", "--database", "-", "--table", "public.customer")
    answers = [sameas(*one, "--post", servers.connect_url, given=servers.crm_url) for one in (out, told)]
    return [answer.partition(":")[0] for answer in answers]


def _without_cid(crm: psycopg.Connection[Any]) -> int:
    row = crm.execute("SELECT count(*) FROM customer WHERE cid IS NULL").fetchone()
    assert row is not None
    return int(row[0])


def _cids(crm: psycopg.Connection[Any]) -> dict[int, str]:
    return dict(crm.execute("SELECT id, cid FROM customer").fetchall())


def _open_accounts(sameas: Sameas, service: httpx.Client) -> dict[str, str]:
    """State each account as billing does while it writes it, and return the CIDs that it stores beside its keys."""
    answered = service.put("/v1/sources/billing", json=BILLING)
    answered.raise_for_status()
    key = sameas.make_api_key("billing", scopes=["write"], source="billing")
    cids = {}
    for account, attributes in ACCOUNTS.items():
        answer = service.put(
            f"/v1/sources/billing/records/{account}",
            json={"attributes": attributes},
            headers={"Authorization": f"Bearer {key}"},
        )
        answer.raise_for_status()
        cids[account] = str(answer.json()["cid"])
    return cids


def _publish(sameas: Sameas, crm: psycopg.Connection[Any], product: Path, *, wait_s: int = 60) -> bool:
    """Write the CRM's product, a query of its own table, once all that is in it has its CID; False when it has not."""
    # The rows first, then the position: what was read lies before it.
    cut = [row[0] for row in crm.execute("SELECT id FROM customer")]
    [(position,)] = crm.execute("SELECT pg_current_wal_lsn()::text").fetchall()
    try:
        sameas("wait", "crm", "--position", position, "--timeout", str(wait_s))
    except CommandFailed as exc:
        if "not reached" not in str(exc):
            raise
        return False
    rows = crm.execute("SELECT cid, segment FROM customer WHERE id = ANY(%s)", (cut,)).fetchall()
    _write(product, cid=[row[0] for row in rows], segment=[row[1] for row in rows])
    return True


def _publish_accounts(accounts: Mapping[str, str], home: Path) -> Path:
    product = home / "billing.parquet"
    _write(product, cid=list(accounts.values()), owed=[OWED[account] for account in accounts])
    return product


def _write(product: Path, **columns: list[Any]) -> None:
    parquet.write_table(pa.table(columns), product)


def _join(products: Mapping[str, Path]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as consumer:
        for name, path in products.items():
            consumer.read_parquet(str(path)).create_view(name)
        return consumer.execute(JOIN).fetchall()
