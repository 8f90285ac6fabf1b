"""Fixtures of identity's tests: where a store is, and an identity open on it, on both kinds of store.

Invariant: a test that asks for `place` or `identity` runs on SQLite and on PostgreSQL.
Elsewhere: what they are made of (`tests.identity.stores`), the PostgreSQL server (`tests/conftest.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.service import Identity
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import store_url
from tests.identity.stores import Place, empty_database
from tests.services.postgres import fresh_database

__all__: list[str] = []

STORES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.service))


@pytest.fixture(scope="session")
def kept_database(postgres_server: str) -> Iterator[str]:
    """URL of a PostgreSQL database that the tests of identity use one after the other."""
    with fresh_database(postgres_server) as url:
        migrate_store(store_url(url, Path()))
        yield url


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where an empty store is."""
    database_url: str | None = None
    if request.param == "postgresql":
        database_url = request.getfixturevalue("kept_database")
        empty_database(database_url)
    place = Place(database_url, tmp_path)
    yield place
    place.close()


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Place]:
    """Where an empty store on SQLite is."""
    place = Place(None, tmp_path)
    yield place
    place.close()


@pytest.fixture
def identity(place: Place) -> Identity:
    """An identity open on an empty store."""
    return place.open_identity()


@pytest.fixture
def sqlite_identity(sqlite_place: Place) -> Identity:
    """An identity open on an empty store on SQLite, for rules that no store can change."""
    return sqlite_place.open_identity()
