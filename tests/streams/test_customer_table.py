"""Only the CID column of rows that are there is changed, and only where it differs, on whichever database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text

from streams.customer_table import CustomerTable, read_table_name
from streams.errors import WriteBackRefused, WriteBackUnreachable

ONE, TWO = (f"01890a5d-ac96-774b-bcce-b302099a805{n}" for n in (1, 2))


class Crm:
    """A source's own database."""

    def __init__(self, url: str) -> None:
        self.url = url
        driver = {"postgresql": "postgresql+psycopg"}.get(make_url(url).drivername, make_url(url).drivername)
        self.engine: Engine = create_engine(make_url(url).set(drivername=driver))

    def do(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            done = connection.execute(text(sql), values)
            return [tuple(row) for row in done] if done.returns_rows else []

    def table(
        self, *, key: Sequence[str] = ("id",), table: str = "customer", cid: str = "cid"
    ) -> CustomerTable:
        return CustomerTable(self.url, read_table_name(table, key_columns=key, cid_column=cid))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def crm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crm]:
    url = f"sqlite:///{tmp_path / 'crm.db'}"
    crm = Crm(request.getfixturevalue("postgres_url") if request.param == "postgresql" else url)
    yield crm
    crm.engine.dispose()


@pytest.fixture
def opened() -> Iterator[list[CustomerTable]]:
    tables: list[CustomerTable] = []
    yield tables
    for one in tables:
        one.close()


def test_a_cid_is_written_where_another_or_none_stands_and_nothing_else_changes(
    crm: Crm, opened: list[CustomerTable]
) -> None:
    crm.do("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, cid TEXT)")
    crm.do(
        "INSERT INTO customer VALUES (1, 'a', NULL), (2, 'b', 'old'), (3, 'c', :cid), (4, 'd', 'kept')",
        cid=ONE,
    )
    table = crm.table()
    opened.append(table)

    done = table.write({"1": ONE, "2": TWO, "3": ONE, "5": TWO, "x": ONE, "01": ONE})

    assert done == (2, {"5", "x", "01"})
    assert crm.do("SELECT * FROM customer ORDER BY id") == [
        (1, "a", ONE),
        (2, "b", TWO),
        (3, "c", ONE),
        (4, "d", "kept"),
    ]
    assert table.read(["1", "4", "5", "x"]) == {"1": ONE, "4": "kept"}


def test_what_stands_already_is_not_written_again(crm: Crm, opened: list[CustomerTable]) -> None:
    crm.do("CREATE TABLE customer (id TEXT PRIMARY KEY, cid TEXT)")
    crm.do("INSERT INTO customer VALUES ('a', NULL)")
    table = crm.table()
    opened.append(table)
    table.write({"a": ONE})
    statements: list[str] = []
    event.listen(table._engine, "before_cursor_execute", lambda *told: statements.append(told[2]))

    assert table.write({"a": ONE}) == (0, set())

    assert statements
    assert not any(one.startswith("UPDATE") for one in statements)


def test_a_composite_key_is_the_list_of_its_parts(crm: Crm, opened: list[CustomerTable]) -> None:
    crm.do("CREATE TABLE customer (region TEXT, number INTEGER, cid TEXT, PRIMARY KEY (region, number))")
    crm.do("INSERT INTO customer VALUES ('de', 1, NULL), ('de', 2, NULL), ('at', 1, NULL)")
    table = crm.table(key=("region", "number"))
    opened.append(table)

    done = table.write({'["de","1"]': ONE, '["at",1]': TWO, '["de"]': ONE, "de": ONE, '["ch","1"]': ONE})

    assert done == (2, {'["de"]', "de", '["ch","1"]'})
    assert crm.do("SELECT region, number, cid FROM customer WHERE cid IS NOT NULL ORDER BY cid") == [
        ("de", 1, ONE),
        ("at", 1, TWO),
    ]


def test_more_keys_than_one_statement_takes(crm: Crm, opened: list[CustomerTable]) -> None:
    crm.do("CREATE TABLE customer (id INTEGER PRIMARY KEY, cid TEXT)")
    for start in range(0, 1_200, 400):
        crm.do("INSERT INTO customer VALUES " + ",".join(f"({n}, NULL)" for n in range(start, start + 400)))
    table = crm.table()
    opened.append(table)
    cids = {str(n): str(uuid.UUID(int=n)) for n in range(1_201)}

    assert table.write(cids) == (1_200, {"1200"})
    assert table.read(list(cids)) == {key: cid for key, cid in cids.items() if key != "1200"}


@pytest.mark.service
def test_columns_of_uuids_and_of_a_fixed_width_are_compared_as_texts(
    postgres_url: str, opened: list[CustomerTable]
) -> None:
    crm = Crm(postgres_url)
    crm.do("CREATE SCHEMA sales")
    crm.do('CREATE TABLE sales."Kunde" ("Nr" CHAR(10) PRIMARY KEY, "Cid" UUID)')
    crm.do("INSERT INTO sales.\"Kunde\" VALUES ('k1', NULL), ('k2', :cid)", cid=ONE)
    table = crm.table(table="sales.Kunde", key=("Nr",), cid="Cid")
    opened.append(table)

    assert table.write({"k1": TWO, "k2": ONE}) == (1, set())
    assert table.read(["k1", "k2"]) == {"k1": TWO, "k2": ONE}
    crm.engine.dispose()


@pytest.mark.service
def test_a_connection_to_a_server_that_fell_silent_ends(
    postgres_url: str, opened: list[CustomerTable]
) -> None:
    crm = Crm(postgres_url)
    crm.do("CREATE TABLE customer (id TEXT PRIMARY KEY, cid TEXT)")
    told: list[dict[str, str]] = []

    with listening_for_connections(told):
        opened.append(crm.table())

    assert told
    assert all(one["tcp_user_timeout"] == "35000" and one["connect_timeout"] == "10" for one in told)
    crm.engine.dispose()


@contextmanager
def listening_for_connections(told: list[dict[str, str]]) -> Iterator[None]:
    """Note what libpq was told of each connection that any engine opens."""

    def note(connection: Any, _record: object) -> None:
        told.append(connection.info.get_parameters())

    event.listen(Engine, "connect", note)
    try:
        yield
    finally:
        event.remove(Engine, "connect", note)


def test_a_table_or_column_that_is_not_there_is_refused(crm: Crm) -> None:
    crm.do("CREATE TABLE customer (id TEXT PRIMARY KEY)")

    with pytest.raises(WriteBackRefused, match="no column cid"):
        crm.table()
    with pytest.raises(WriteBackRefused, match="no such table"):
        crm.table(table="nothing")
    for name in ("", ".customer"):
        with pytest.raises(WriteBackRefused, match=r"schema\.table"):
            read_table_name(name, key_columns=("id",), cid_column="cid")


def test_what_the_database_refuses_is_refused_without_a_value(crm: Crm, opened: list[CustomerTable]) -> None:
    crm.do("CREATE TABLE customer (id TEXT PRIMARY KEY, cid TEXT CHECK (cid <> 'canary'))")
    crm.do("INSERT INTO customer VALUES ('canarykey', NULL)")
    table = crm.table()
    opened.append(table)

    with pytest.raises(WriteBackRefused) as caught:
        table.write({"canarykey": "canary"})

    assert "canary" not in caught.value.detail
    assert crm.do("SELECT cid FROM customer") == [(None,)]


def test_a_database_that_does_not_answer_is_unreachable_and_its_password_is_not_told() -> None:
    name = read_table_name("customer", key_columns=("id",), cid_column="cid")

    with pytest.raises(WriteBackUnreachable) as caught:
        CustomerTable("postgresql://cid:canary@127.0.0.1:1/crm", name)
    assert "canary" not in caught.value.detail
    for url in ("", "nothing", "nodialect://x/y"):
        with pytest.raises(WriteBackRefused, match="SAMEAS_WRITE_BACK_URL"):
            CustomerTable(url, name)
