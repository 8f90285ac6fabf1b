"""Translate what the drivers raise into errors of identity, and say what can be tried again.

Invariant: no driver error leaves the store untranslated; no message quotes a driver's text, because
that can hold values.
Elsewhere: the retry loop (`identity.resolve`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import pysqlite3.dbapi2 as sqlite
import sqlalchemy.exc

from identity.errors import InvariantBroken, StoreBusy, StoreFull, StoreMigrating, StoreUnreachable

__all__ = ["LockTableFull", "TransactionConflict", "translating"]

_CONFLICT_STATES: Final = frozenset(("40001", "40P01", "23505"))
_LOCK_TABLE_FULL: Final = "53200"
_LOCK_TIMEOUT: Final = "55P03"
_DISK_FULL: Final = "53100"
_UNDEFINED_TABLE: Final = frozenset(("42P01", "42703", "42883"))


class TransactionConflict(StoreBusy):
    """A deadlock or serialisation failure: the whole transaction can be run again."""


class LockTableFull(StoreBusy):
    """PostgreSQL's lock table is exhausted: the batch can be run again in halves."""


@contextmanager
def translating() -> Iterator[None]:
    """Run a block of store calls; driver errors leave it as errors of identity."""
    try:
        yield
    except psycopg.Error as exc:
        raise _from_postgres(exc) from exc
    except sqlite.Error as exc:
        raise _from_sqlite(exc) from exc
    except sqlalchemy.exc.DBAPIError as exc:
        original = exc.orig
        if isinstance(original, psycopg.Error):
            raise _from_postgres(original) from exc
        if isinstance(original, sqlite.Error):
            raise _from_sqlite(original) from exc
        raise StoreUnreachable("The store does not answer; try again.") from exc
    except sqlalchemy.exc.TimeoutError as exc:
        raise StoreBusy("All connections to the store are taken; try again.") from exc


def _from_postgres(exc: psycopg.Error) -> Exception:
    state = exc.sqlstate or ""
    if state in _CONFLICT_STATES:
        return TransactionConflict("Two transactions crossed; the transaction can be run again.")
    if state == _LOCK_TABLE_FULL:
        return LockTableFull(
            "PostgreSQL's lock table is full; raise max_locks_per_transaction or send smaller batches."
        )
    if state == _LOCK_TIMEOUT:
        return StoreBusy("A lock of the store was not to be had in time; try again.")
    if state == _DISK_FULL:
        return StoreFull("The store's disk is full; free some space and try again.")
    if state in _UNDEFINED_TABLE:
        return StoreMigrating("The store's tables do not fit this program; run `sameas migrate`.")
    if state.startswith(("08", "57")) or isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnreachable("The store does not answer; try again.")
    return InvariantBroken(f"PostgreSQL refused a statement (SQLSTATE {state}); nothing was committed.")


def _from_sqlite(exc: sqlite.Error) -> Exception:
    code = getattr(exc, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite.SQLITE_BUSY, sqlite.SQLITE_LOCKED) if primary is not None else "locked" in str(exc):
        return StoreBusy("The store's write lock was not to be had in time; try again.")
    if primary == 13 or "disk is full" in str(exc):
        return StoreFull("The store's disk is full; free some space and try again.")
    if "no such table" in str(exc) or "no such column" in str(exc):
        return StoreMigrating("The store's tables do not fit this program; run `sameas migrate`.")
    if isinstance(exc, sqlite.IntegrityError):
        return InvariantBroken("SQLite refused a row that breaks a constraint; nothing was committed.")
    name = getattr(exc, "sqlite_errorname", None) or type(exc).__name__
    return StoreUnreachable(
        f"The store's file cannot be read or written ({name}); see its directory's rights and space."
    )
