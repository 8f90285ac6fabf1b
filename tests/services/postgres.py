"""Empty PostgreSQL databases for tests, each used once.

Invariant: a database made here is dropped when its `with` block ends, whoever is still connected to it.
Its default collation is a linguistic one on purpose (`en-US` puts `_ a b B` where bytes put `B _ a b`):
a store that leaves the order of keys to the server fails here, not at a customer's.
Elsewhere: starting the server (`deploy.local.postgres`), the fixtures (`tests/conftest.py`).
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg

__all__ = ["fresh_database", "replace_database"]


def replace_database(server_url: str, name: str) -> str:
    """Return the URL of another database of the same server, for any PostgreSQL driver."""
    parts = urlsplit(server_url)
    return urlunsplit(("postgresql", parts.netloc, f"/{name}", parts.query, ""))


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server, yield its URL, drop it at the end. Cost: about 0.1 s."""
    name = f"sameas_test_{secrets.token_hex(8)}"
    with psycopg.connect(
        replace_database(server_url, _maintenance_name(server_url)), autocommit=True
    ) as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {_collation(admin)}".encode()
        )
    try:
        yield replace_database(server_url, name)
    finally:
        with psycopg.connect(
            replace_database(server_url, _maintenance_name(server_url)), autocommit=True
        ) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def _maintenance_name(server_url: str) -> str:
    return urlsplit(server_url).path.strip("/") or "postgres"


def _collation(admin: psycopg.Connection[tuple[object, ...]]) -> str:
    """Return the words that ask for a linguistic order, nothing where the server is built without ICU."""
    has_icu = admin.execute("SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')").fetchone()
    return "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'" if has_icu and has_icu[0] else ""
