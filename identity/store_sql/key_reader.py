"""Read the current CID of one key as fast as the driver can, from an asyncio program.

Invariant: an answer shows every commit that had returned when it was asked for (autocommit reads, no cache).
asyncpg on PostgreSQL, because SQLAlchemy's async engine gave a quarter of its rate for one-key reads
(`docs/decisions/0005-hot-paths-use-the-driver.md`); SQLite is read in the calling thread, which costs less than a hop.
Elsewhere: many keys (`identity.store_sql.column_reader`), everything else that is read (`identity.look_up`).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import asyncpg
import pysqlite3.dbapi2 as sqlite
from sqlalchemy import URL

from identity.errors import StoreBusy, StoreMigrating, StoreUnreachable
from identity.model import Cid, KeyStatus, RecordRef
from identity.store_sql.faults import translating

__all__ = ["KeyReader", "PostgresKeyReader", "SqliteKeyReader", "make_key_reader"]

_CONNECTIONS_MAX: Final = 8
_ONE: Final = "SELECT cid, status FROM record WHERE source = $1 AND key = $2"
_ONE_SQLITE: Final = "SELECT cid, status FROM record WHERE source = ? AND key = ?"
_UNKNOWN: Final = (None, KeyStatus.UNKNOWN)
_STATUS: Final = {status.value: status for status in KeyStatus}


class KeyReader(Protocol):
    """Reads the current CID and status of a key."""

    async def start(self) -> None:
        """Open connections."""

    async def close(self) -> None:
        """Close them."""

    async def find_current(self, ref: RecordRef) -> tuple[Cid | None, KeyStatus]:
        """Return CID and status of the record; None and unknown for one never stated.

        Raises:
            StoreUnreachable: the store does not answer.
        """


class PostgresKeyReader:
    """Reads through an asyncpg pool."""

    def __init__(self, url: URL) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def start(self) -> None:
        """Open the pool."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=2,
            max_size=_CONNECTIONS_MAX,
            command_timeout=10,
            reset=_leave_as_is,
            server_settings={"application_name": "sameas-reader", "enable_seqscan": "off", "jit": "off"},
        )

    async def close(self) -> None:
        """Close the pool."""
        if self._pool is not None:
            await self._pool.close()

    async def find_current(self, ref: RecordRef) -> tuple[Cid | None, KeyStatus]:
        """See `KeyReader.find_current`."""
        assert self._pool is not None
        try:
            row = await self._pool.fetchrow(_ONE, ref.source, ref.key)
        except asyncpg.UndefinedTableError as exc:
            raise StoreMigrating("The store's tables do not fit this program; run `sameas migrate`.") from exc
        except (asyncpg.LockNotAvailableError, TimeoutError) as exc:
            raise StoreBusy("The store did not answer in time; try again.") from exc
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as exc:
            raise StoreUnreachable("The store does not answer; try again.") from exc
        return _UNKNOWN if row is None else (row[0], _STATUS[row[1]])


class SqliteKeyReader:
    """Reads through one connection in autocommit; each read sees the newest commit."""

    def __init__(self, url: URL) -> None:
        self._path = url.database
        self._connection: Any = None

    async def start(self) -> None:
        """Open the connection."""
        with translating():
            self._connection = sqlite.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=10
            )
            self._connection.execute("PRAGMA mmap_size=268435456")

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    async def find_current(self, ref: RecordRef) -> tuple[Cid | None, KeyStatus]:
        """See `KeyReader.find_current`."""
        with translating():
            row = self._connection.execute(_ONE_SQLITE, ref).fetchone()
        return _UNKNOWN if row is None else (row[0], _STATUS[row[1]])


async def _leave_as_is(_connection: object) -> None:
    """Reset nothing: one SELECT in autocommit leaves nothing behind, and a reset is a second round trip."""


def make_key_reader(url: URL) -> KeyReader:
    """Return the reader for this store; not yet started."""
    return PostgresKeyReader(url) if url.get_backend_name() == "postgresql" else SqliteKeyReader(url)
