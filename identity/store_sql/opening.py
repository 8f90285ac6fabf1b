"""Open a store: engines, pragmas, the store's key, and what must hold before anything is written.

Invariants: a store whose tables are not of this program's revision is never written; an SQLite that may
lose commits in WAL mode (before 3.51.3) is refused; the store's key fits the store or nothing is read.
Elsewhere: creating and upgrading tables (`identity.store_sql.migrate`), one transaction (`transaction`).
"""

from __future__ import annotations

import base64
import os
import select as unread
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

import pysqlite3.dbapi2
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import DisconnectionError

from identity.errors import StoreMigrating, StoreRefused
from identity.store_sql import tables
from identity.store_sql.faults import translating
from identity.store_sql.pg_arrays import register_arrays
from identity.store_sql.postgres import IdBlock, PostgresTransaction
from identity.store_sql.sealing import STORE_KEY_BYTES, Sealer
from identity.store_sql.sqlite import SqliteTransaction
from identity.store_sql.transaction import ProfileCache, SqlTransaction

__all__ = [
    "REVISION",
    "SqlStore",
    "check_revision",
    "check_sqlite_version",
    "miss_a_silent_server",
    "open_engines",
    "open_store",
    "read_revision",
    "store_url",
]

REVISION: Final = "0009"
"""The migration this program's tables stand at."""
SQLITE_VERSION_MIN: Final = (3, 51, 3)
_BUSY_TIMEOUT_MS: Final = 10_000
_LOCK_TIMEOUT_MS: Final = 10_000
_CONNECTIONS_MAX: Final = 16


_MISS_A_SILENT_SERVER: Final[Mapping[str, int]] = MappingProxyType(
    {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 35_000,
    }
)
"""A connection of which only one end is left is found out within 35 s, not after the two hours of most systems."""


class SqlStore:
    """An open store; safe to share between threads, not between processes."""

    def __init__(self, *, readers: Engine, writers: Engine, sealer: Sealer) -> None:
        self.engine = readers
        self.sealer = sealer
        self.is_postgres = readers.dialect.name == "postgresql"
        self._writers = writers
        self._cache = ProfileCache()
        self._ids = IdBlock()

    @contextmanager
    def write(self) -> Iterator[SqlTransaction]:
        """Open a transaction that may write; committed when the block ends, rolled back on an error."""
        with translating(), self._writers.connect() as connection, connection.begin():
            yield self._transaction(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read-only transaction that sees one state of the store throughout."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with translating(), self.engine.connect() as plain:
            connection = plain.execution_options(**options) if self.is_postgres else plain
            with connection.begin():
                yield connection

    @contextmanager
    def read_newest(self) -> Iterator[Connection]:
        """Open a connection for a single statement, which sees the newest commits and costs one round trip."""
        if not self.is_postgres:
            with self.read() as connection:
                yield connection
            return
        with translating(), self.engine.connect() as plain:
            yield plain.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def inspect(self) -> Iterator[SqlTransaction]:
        """Open a read-only transaction with the calls of a write transaction, for search and explain."""
        with self.read() as connection:
            yield self._transaction(connection)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._writers.dispose()

    def _transaction(self, connection: Connection) -> SqlTransaction:
        if self.is_postgres:
            return PostgresTransaction(connection, sealer=self.sealer, cache=self._cache, ids=self._ids)
        return SqliteTransaction(connection, sealer=self.sealer, cache=self._cache)


def store_url(database_url: str | None, data_dir: Path) -> URL:
    """Return the SQLAlchemy URL of the store: the given PostgreSQL, else `sameas.db` in the data directory."""
    if database_url is None:
        return URL.create("sqlite", database=str(data_dir / "sameas.db"))
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        return url
    raise StoreRefused("The store is SQLite or PostgreSQL; the database URL names something else.")


def open_store(url: URL, *, store_key: bytes | None = None) -> SqlStore:
    """Open a migrated store.

    Raises:
        StoreMigrating: its tables are of an older revision, or it has none.
        StoreRefused: a newer revision, an affected SQLite, or another store's key.
        StoreUnreachable: it does not answer.
    """
    readers, writers = open_engines(url)
    try:
        with translating():
            check_revision(readers)
            sealer = Sealer(_agree_on_key(writers, store_key))
            _check_fingerprint(writers, sealer)
    except BaseException:
        readers.dispose()
        writers.dispose()
        raise
    return SqlStore(readers=readers, writers=writers, sealer=sealer)


def open_engines(url: URL) -> tuple[Engine, Engine]:
    """Return an engine for reads and one whose transactions write."""
    if url.get_backend_name() == "sqlite":
        check_sqlite_version(pysqlite3.dbapi2)
        database = url.database
        if database and database != ":memory:":
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        return _sqlite_engine(url, begin="BEGIN"), _sqlite_engine(url, begin="BEGIN IMMEDIATE")
    return _postgres_engine(url), _postgres_engine(url)


def check_sqlite_version(module: ModuleType | Any) -> None:
    """Raise StoreRefused when this SQLite may lose commits in WAL mode."""
    version = tuple(int(part) for part in module.sqlite_version.split("."))
    if version < SQLITE_VERSION_MIN:
        raise StoreRefused(
            f"SQLite {module.sqlite_version} can lose commits in WAL mode (fixed in 3.51.3). "
            "Install pysqlite3 0.6.1 or later, or use PostgreSQL."
        )


def check_revision(engine: Engine) -> None:
    """Raise StoreMigrating or StoreRefused unless the tables stand at this program's revision."""
    found = read_revision(engine)
    if found is None or found < REVISION:
        raise StoreMigrating(
            f"The store's tables stand at revision {found or 'none'}, this program needs {REVISION}: run `sameas migrate`."
        )
    if found > REVISION:
        raise StoreRefused(
            f"The store's tables stand at revision {found}, newer than this program's {REVISION}."
        )


def read_revision(engine: Engine) -> str | None:
    """Return the migration the store's tables stand at; None for a store without tables."""
    with engine.connect() as connection:
        if not engine.dialect.has_table(connection, "alembic_version"):
            return None
        row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
        return None if row is None else str(row[0])


def _sqlite_engine(url: URL, *, begin: str) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite"),
        module=pysqlite3.dbapi2,
        pool_size=_CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "mmap_size=268435456"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def miss_a_silent_server(url: URL) -> dict[str, int]:
    """Return libpq's options by which a connection to a server that fell silent ends, but for those of the URL."""
    return {name: value for name, value in _MISS_A_SILENT_SERVER.items() if name not in url.query}


def _postgres_engine(url: URL) -> Engine:
    # Index plans whatever the statistics of an empty store say: every statement here is a look-up by index.
    # Its plan hangs on no value, so it is made once: planning anew took half of PostgreSQL's time for a
    # single record.
    options = (
        "-c enable_seqscan=off -c jit=off -c plan_cache_mode=force_generic_plan "
        f"-c lock_timeout={_LOCK_TIMEOUT_MS} -c TimeZone=UTC "
        # The server too misses a client that fell silent, and gives its locks back.
        "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    )
    engine = create_engine(
        url,
        pool_size=_CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={
            "application_name": "sameas",
            "options": options,
            **miss_a_silent_server(url),
        },
    )

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: object) -> None:
        register_arrays(dbapi_connection.adapters)

    @event.listens_for(engine, "checkout")
    def _replace_if_ended(dbapi_connection: Any, _record: object, _proxy: object) -> None:
        # Between transactions a server says nothing unless it ends the connection, so that looking for
        # unread bytes tells what a ping would, without its round trip before every transaction.
        poll = unread.poll()
        poll.register(dbapi_connection.fileno(), unread.POLLIN)
        if poll.poll(0):
            raise DisconnectionError

    return engine


def _agree_on_key(engine: Engine, given: bytes | None) -> bytes:
    """Return the store's key: the given one, else the one kept in the store, made at its first opening."""
    if given is not None:
        if len(given) != STORE_KEY_BYTES:
            raise StoreRefused(
                f"The store's key has {STORE_KEY_BYTES} bytes; the one given has {len(given)}."
            )
        return given
    kept = _keep_fact(engine, "store_key", base64.b64encode(os.urandom(STORE_KEY_BYTES)).decode())
    return base64.b64decode(kept)


def _check_fingerprint(engine: Engine, sealer: Sealer) -> None:
    if _keep_fact(engine, "store_key_fingerprint", sealer.fingerprint) != sealer.fingerprint:
        raise StoreRefused("This store was made with another store key; start with that one.")


def _keep_fact(engine: Engine, name: str, value: str) -> str:
    """Write the fact unless there is one already; return the one that stands."""
    fact = tables.store_fact
    find = select(fact.c.value).where(fact.c.name == name)
    with engine.connect() as connection:
        if (found := connection.scalar(find)) is not None:
            return str(found)
    dialect_insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite_dialect.insert
    with engine.begin() as connection:
        connection.execute(dialect_insert(fact).values(name=name, value=value).on_conflict_do_nothing())
        return str(connection.scalar(find))
