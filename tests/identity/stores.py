"""Identities to test with: on SQLite and on PostgreSQL, under the small scoring model.

Under that model (`tests.promises.small_model`) a shared e-mail links two records, a shared city alone links
weakly, a shared website alone does not link.
Invariant: a store that a test gets is empty but for the three contracts of `tests.promises.world`; clock and
CIDs begin anew.
Elsewhere: the fixtures that hand these out (`tests/identity/conftest.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import URL

from identity.model import Cid, Instant, KeyStatus, RecordAnswer, RecordCommand, RecordRef, SameAs
from identity.service import Identity
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import SqlStore, open_store, store_url
from identity.store_sql.tables import metadata
from matching.standardise import clean_attributes
from tests.promises.small_model import attributes_of, oracle_record, weigh
from tests.promises.world import Clock, make_identity

__all__ = ["STORE_KEY", "Place", "bits_between", "empty_database", "find_cid", "stated", "tell", "withdrawn"]

STORE_KEY = b"k" * 32


@dataclass
class Place:
    """Where a test's store is; whatever is opened there is closed with it."""

    database_url: str | None
    directory: Path
    opened: list[Identity | SqlStore] = field(default_factory=list)

    @property
    def url(self) -> URL:
        """The store's SQLAlchemy URL."""
        return store_url(self.database_url, self.directory)

    def open_identity(self, *, clock: Clock | None = None, first_cid: int = 0) -> Identity:
        """Open an identity; a second one stands for a second process, and needs other CIDs."""
        identity = make_identity(self.database_url, self.directory, clock=clock, first_cid=first_cid)
        self.opened.append(identity)
        return identity

    def open_store(self, *, store_key: bytes | None = STORE_KEY) -> SqlStore:
        """Open the store alone, migrated."""
        migrate_store(self.url)
        store = open_store(self.url, store_key=store_key)
        self.opened.append(store)
        return store

    def close(self) -> None:
        """Close everything that was opened here."""
        while self.opened:
            self.opened.pop().close()


def empty_database(database_url: str) -> None:
    """Make a migrated PostgreSQL database as it was when new. Cost: a tenth of making one."""
    deletes = [f"DELETE FROM {table}" for table in metadata.tables]
    restarts = [f"ALTER SEQUENCE {name} RESTART" for name in ("sameas_ids", "sameas_clock")]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("; ".join(deletes + restarts).encode())


def stated(
    key: str,
    source: str = "crm",
    *,
    version: int | None = None,
    effective_at: Instant | None = None,
    same_as: SameAs | None = None,
    alternate_keys: Mapping[str, str] | None = None,
    **statement: object,
) -> RecordCommand:
    """Return the command that states a record; `statement` as in `tests.promises.small_model`."""
    return RecordCommand(
        RecordRef(source, key),
        clean_attributes(attributes_of(statement)),
        version=version,
        effective_at=effective_at,
        alternate_keys=dict(alternate_keys or {}),
        same_as=same_as,
        author="test",
    )


def withdrawn(key: str, source: str = "crm", *, version: int | None = None) -> RecordCommand:
    """Return the command that withdraws a record."""
    return RecordCommand(RecordRef(source, key), None, version=version, author="test")


def tell(identity: Identity, *commands: RecordCommand) -> list[RecordAnswer]:
    """Resolve the commands as one call; every one is answered."""
    answers = []
    for answer in identity.resolve(commands):
        assert isinstance(answer, RecordAnswer), answer
        answers.append(answer)
    return answers


def bits_between(one: Mapping[str, object], other: Mapping[str, object]) -> float:
    """Return the weight of two statements in bits, reckoned by hand from the small model."""
    return weigh(oracle_record("crm", "1", one), oracle_record("crm", "2", other)) / 1000


def find_cid(identity: Identity, key: str, source: str = "crm") -> Cid:
    """Return the CID of a live record."""
    [(cid, status)] = identity.look_up([RecordRef(source, key)]).rows
    assert status is KeyStatus.LIVE
    assert cid is not None
    return cid
