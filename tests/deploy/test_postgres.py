"""The private PostgreSQL: fresh, stopped with its owner, and demanded where services are required."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from deploy.local import postgres
from deploy.local.postgres import (
    PostgresUnavailable,
    is_service_required,
    run_private_postgres,
    run_private_postgres_server,
)
from tests.services.postgres import fresh_database, replace_database

__all__: list[str] = []


def test_a_test_gets_an_empty_database_of_its_own(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert row == (0,)


def test_a_database_is_dropped_although_somebody_is_still_connected(postgres_server: str) -> None:
    with fresh_database(postgres_server) as url:
        left_open = psycopg.connect(url)

    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")
    left_open.close()


def test_text_sorts_by_language_unless_a_column_asks_for_bytes(postgres_url: str) -> None:
    ask = "SELECT string_agg(x, '' ORDER BY x COLLATE {}) FROM (VALUES ('a'), ('B'), ('_'), ('b')) AS t(x)"

    with psycopg.connect(postgres_url) as connection:
        by_language = connection.execute(ask.format('"default"').encode()).fetchone()
        by_bytes = connection.execute(ask.format('"C"').encode()).fetchone()

    assert by_language == ("_abB",)
    assert by_bytes == ("B_ab",)


@pytest.mark.slow
@pytest.mark.service
def test_a_private_server_takes_settings_and_ends_with_its_owner() -> None:
    if os.environ.get("SAMEAS_TEST_POSTGRES_URL") and postgres.find_postgres_binaries() is None:
        return  # a named server stands in for the private one: there is nothing to start here

    with (
        run_private_postgres(settings={"max_connections": "17"}) as url,
        psycopg.connect(url) as connection,
    ):
        row = connection.execute("SHOW max_connections").fetchone()

    assert row == ("17",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


@pytest.mark.slow
@pytest.mark.service
def test_a_server_that_is_killed_keeps_its_address_and_what_was_committed() -> None:
    if os.environ.get("SAMEAS_TEST_POSTGRES_URL") and postgres.find_postgres_binaries() is None:
        return  # as above

    with run_private_postgres_server() as server:
        url = server.url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (7)")

        server.kill()
        server.start()

        assert server.url == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_a_machine_without_postgresql_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_postgres_binaries", lambda: None)

    with pytest.raises(PostgresUnavailable, match="ensure"), run_private_postgres():
        pass


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"SAMEAS_REQUIRE_SERVICES": "0"}, False),
        ({"SAMEAS_REQUIRE_SERVICES": "1"}, True),
        ({"CI": "true"}, True),
    ],
)
def test_services_are_required_in_continuous_integration(environment: dict[str, str], expected: bool) -> None:
    assert is_service_required(environment) is expected


def test_the_database_in_a_url_is_replaced_for_any_driver() -> None:
    url = replace_database("postgresql+psycopg://u:p@h:5/postgres?sslmode=require", "x")

    assert url == "postgresql://u:p@h:5/x?sslmode=require"


def test_debian_is_kept_from_starting_a_cluster_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "createcluster.conf"
    config.write_text("# create_main_cluster = true\ncreate_main_cluster = true\nport = 5432\n")
    found = iter([None, Path("/usr/lib/postgresql/15/bin")])
    said: list[tuple[str, bool]] = []
    monkeypatch.setattr(postgres, "_CLUSTER_CONFIG", config)
    monkeypatch.setattr(postgres, "_become_root", list)
    monkeypatch.setattr(postgres, "find_postgres_binaries", lambda: next(found))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(
        postgres,
        "_run_installer",
        lambda command: said.append((command[-1], "\ncreate_main_cluster = false\n" in config.read_text())),
    )
    before = config.read_text()

    postgres.ensure_postgres()

    assert said == [("update", False), ("postgresql-common", False), ("postgresql", True)]
    assert config.read_text() == before


def test_without_root_the_developer_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_postgres_binaries", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "sudo" else name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(PostgresUnavailable, match="sudo apt-get install postgresql"):
        postgres.ensure_postgres()
