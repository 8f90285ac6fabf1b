"""CIDs read back from a source's own table, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from identity.service import Identity
from streams.delivery import Evidence
from streams.errors import ReadBackRefused, SourceDatabaseUnreachable
from streams.ledger import DeliveryLedger
from streams.read_back import ReadBack, open_cid_table
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
    table = open_cid_table(source_url, "customer", key_column="id", cid_column="cid")
    yield ReadBack(sqlite_identity, "crm", table, now=lambda: 2 * 10**15)
    table.engine.dispose()


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


def test_a_whole_pass_reads_every_row_once_in_parts(
    sqlite_identity: Identity, source: Engine, reader: ReadBack
) -> None:
    keys = [str(n) for n in range(10, 1_110)]
    for start in range(0, len(keys), 400):
        tell(sqlite_identity, *(stated(key, email=(f"x{key}",)) for key in keys[start : start + 400]))
    assert DeliveryLedger(sqlite_identity).follow(batches_max=3)
    rows = [{"id": int(key), "cid": find_cid(sqlite_identity, key)} for key in keys]
    with source.begin() as connection:
        connection.execute(text("INSERT INTO customer VALUES (:id, 'x', :cid)"), rows)

    assert reader.read_all() == 1_100


@pytest.mark.parametrize(
    ("table", "key_column"), [("nowhere", "id"), ("customer", "nothing"), ("other.customer", "id")]
)
@pytest.mark.usefixtures("source")
def test_a_table_or_column_that_is_not_there_is_refused(source_url: str, table: str, key_column: str) -> None:
    with pytest.raises((ReadBackRefused, SourceDatabaseUnreachable)) as refused:
        open_cid_table(source_url, table, key_column=key_column, cid_column="cid")

    assert source_url not in refused.value.detail


def test_a_url_that_cannot_be_read_is_refused_without_being_repeated() -> None:
    with pytest.raises(ReadBackRefused) as refused:
        open_cid_table("what://secret", "t", key_column="a", cid_column="b")

    assert "secret" not in refused.value.detail


def test_a_database_that_does_not_answer_is_tried_again_later() -> None:
    with pytest.raises(SourceDatabaseUnreachable) as away:
        open_cid_table("postgresql+psycopg://u:secret@127.0.0.1:1/d", "t", key_column="a", cid_column="b")

    assert away.value.retryable
    assert "secret" not in away.value.detail
