"""Fixtures of the tests of streams: an identity on both kinds of store, and a stream on the real broker.

Invariant: a test that asks for `place`, `identity` or `stream` runs on SQLite and on PostgreSQL.
Elsewhere: what they are made of (`tests.identity.stores`, `tests.streams.stream`).
"""

from __future__ import annotations

import pytest

from tests.identity.conftest import identity, kept_database, place, sqlite_identity, sqlite_place
from tests.identity.stores import Place
from tests.streams.stream import Stream

__all__ = ["identity", "kept_database", "place", "sqlite_identity", "sqlite_place", "sqlite_stream", "stream"]


@pytest.fixture
def stream(place: Place, kafka_bootstrap: str, kafka_prefix: str) -> Stream:
    """A store and topics of the test's own."""
    return Stream(kafka_bootstrap, kafka_prefix, place)


@pytest.fixture
def sqlite_stream(sqlite_place: Place, kafka_bootstrap: str, kafka_prefix: str) -> Stream:
    """A store on SQLite and topics of the test's own, for what no store can change."""
    return Stream(kafka_bootstrap, kafka_prefix, sqlite_place)
