"""CIDs read back from a source's own table, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from identity.service import Identity
from streams.customer_table import CustomerTable, read_table_name
from streams.delivery import Evidence
from streams.ledger import DeliveryLedger
from streams.read_back import ReadBack
from tests.identity.stores import find_cid, stated, tell
from tests.streams.test_ledger import read_rows


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def source_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'source.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def source(source_url: str) -> Iterator[Engine]:
    engine = create_engine(source_url)
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE customer (id integer PRIMARY KEY, name text NOT NULL, cid text)")
        )
    yield engine
    engine.dispose()


def write(source: Engine, key: int, cid: str | None) -> None:
    with source.begin() as connection:
        connection.execute(text("DELETE FROM customer WHERE id = :id"), {"id": key})
        connection.execute(text("INSERT INTO customer VALUES (:id, 'x', :cid)"), {"id": key, "cid": cid})


@pytest.fixture
def reader(sqlite_identity: Identity, source: Engine, source_url: str) -> Iterator[ReadBack]:
    tell(
        sqlite_identity,
        *(stated(str(n), email=(f"x{n}",)) for n in (1, 2, 3)),
        stated("no-number", email=("n",)),
    )
    DeliveryLedger(sqlite_identity).follow()
    name = read_table_name("customer", key_columns=("id",), cid_column="cid")
    table = CustomerTable(source_url, name)
    yield ReadBack(sqlite_identity, "crm", table, now=lambda: 2 * 10**15)
    table.close()


def covered(identity: Identity) -> list[str]:
    return sorted(key for key, row in read_rows(identity).items() if row.is_covered)


def test_a_row_that_bears_the_cid_of_its_record_is_evidence(
    sqlite_identity: Identity, source: Engine, reader: ReadBack
) -> None:
    write(source, 1, find_cid(sqlite_identity, "1"))
    write(source, 2, None)
    write(source, 3, "0190163d-8694-739b-aea5-966c26f8ad91")

    assert reader.read_waiting() == 2

    assert covered(sqlite_identity) == ["1"]
    assert read_rows(sqlite_identity)["1"].evidence == Evidence.READ_BACK
    assert reader.read_waiting() == 0


def test_a_whole_pass_finds_what_was_lost(
    sqlite_identity: Identity, source: Engine, reader: ReadBack
) -> None:
    write(source, 1, find_cid(sqlite_identity, "1"))
    reader.read_waiting()
    write(source, 1, None)

    assert reader.read_waiting() == 0
    assert reader.read_all() == 1
    assert covered(sqlite_identity) == []


def test_more_records_than_one_statement_takes_are_read_in_parts(
    sqlite_identity: Identity, source: Engine, reader: ReadBack
) -> None:
    keys = [str(n) for n in range(10, 1_110)]
    for start in range(0, len(keys), 400):
        tell(sqlite_identity, *(stated(key, email=(f"x{key}",)) for key in keys[start : start + 400]))
    assert DeliveryLedger(sqlite_identity).follow(batches_max=3)
    rows = [{"id": int(key), "cid": find_cid(sqlite_identity, key)} for key in keys]
    with source.begin() as connection:
        connection.execute(text("INSERT INTO customer VALUES (:id, 'x', :cid)"), rows)

    assert reader.read_waiting() == 1_100
    assert reader.read_all() == 0
