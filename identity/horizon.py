"""How far into system time the answers are final.

Invariant: no transaction that commits later changes what was believed at or before a horizon once given.
Every transaction shows, while it runs, an instant below which it changes nothing; the horizon is at most
the smallest of these.
Elsewhere: the clock and the ticks (`identity.store_sql`), waiting for a horizon (`identity.look_up`).
"""

from __future__ import annotations

import threading
from typing import Final

from sqlalchemy import text

from identity.model import Instant
from identity.store_sql.faults import translating
from identity.store_sql.opening import SqlStore

__all__ = ["Horizon"]

_FRESH_US: Final = 100_000
_WRITER_PREFIX: Final = "sameas-writer:"


class Horizon:
    """Gives horizons of one store; a recent one is given again for a tenth of a second."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._given: Instant = 0
        self._given_at: Instant = 0

    def recent(self, now: Instant) -> Instant:
        """Return a horizon that is at most a tenth of a second old."""
        if not 0 <= now - self._given_at < _FRESH_US:
            self.advance(now, can_write=False)
        return self._given

    def advance(self, now: Instant, *, can_write: bool = True) -> Instant:
        """Return a horizon as of now; on SQLite it only moves up to `now` when this call may write."""
        reached = (
            self._read_postgres(now)
            if self._store.is_postgres
            else self._read_sqlite(now, can_write=can_write)
        )
        with self._lock:
            self._given = max(self._given, reached)
            self._given_at = now
            return self._given

    def _read_postgres(self, now: Instant) -> Instant:
        with translating(), self._store.engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            pushed = connection.scalar(text("SELECT sameas_push(:now)"), {"now": now})
            running = connection.scalar(
                text(
                    "SELECT min(substr(application_name, :skip)::bigint) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND application_name LIKE :prefix AND state IS DISTINCT FROM 'idle'"
                ),
                {"skip": len(_WRITER_PREFIX) + 1, "prefix": _WRITER_PREFIX + "%"},
            )
        assert pushed is not None
        return int(pushed) if running is None else min(int(pushed), int(running))

    def _read_sqlite(self, now: Instant, *, can_write: bool) -> Instant:
        if can_write:
            with self._store.write() as tx:
                return tx.tick(now)
        with self._store.read() as connection:
            reached = connection.scalar(text("SELECT value FROM id_counter WHERE name = 'clock'"))
        return int(reached or 0)
