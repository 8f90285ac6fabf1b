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

__all__ = ["drop_replication_slots", "fresh_database", "has_logical_decoding", "replace_database"]


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


def has_logical_decoding(server_url: str) -> bool:
    """Tell whether the server's log can be decoded to changes of rows (`wal_level=logical`)."""
    with psycopg.connect(replace_database(server_url, _maintenance_name(server_url))) as connection:
        row = connection.execute("SHOW wal_level").fetchone()
    return row == ("logical",)


def drop_replication_slots(url: str) -> None:
    """Drop the slots of the URL's database, ending whoever reads from them; a slot keeps a database from going."""
    with psycopg.connect(url, autocommit=True) as connection:
        while slots := connection.execute(
            "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = current_database()"
        ).fetchall():
            for name, reader in slots:
                if reader is not None:
                    connection.execute("SELECT pg_terminate_backend(%s, 1000)", (reader,))
                with contextlib.suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                    connection.execute("SELECT pg_drop_replication_slot(%s)", (name,))


def _maintenance_name(server_url: str) -> str:
    return urlsplit(server_url).path.strip("/") or "postgres"


def _collation(admin: psycopg.Connection[tuple[object, ...]]) -> str:
    """Return the words that ask for a linguistic order, nothing where the server is built without ICU."""
    has_icu = admin.execute("SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')").fetchone()
    return "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'" if has_icu and has_icu[0] else ""
