"""Count who looks keys up: for which system or product, of which source, on which day.

Invariant: counting is one addition in memory; nothing is written where a key is looked up. What was counted since the
last flush is lost when the process is killed: the counts tell who asks, not how often to the last one.
Elsewhere: what they tell (`streams.coverage`), who asks (`identity.api.caller`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore

__all__ = ["LookUpCounts"]

_ENTRIES_MAX: Final = 10_000
"""Anybody may ask for sources that there are not; more names than this are not remembered."""
_DAY_US: Final = 86_400 * 1_000_000


class LookUpCounts:
    """The counts of one process; noted on the event loop, flushed from a thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def note(self, serves: str, source: str, count: int) -> None:
        """Count so many keys of a source that were looked up."""
        name = (source, serves)
        known = self._counts.get(name)
        if known is not None or len(self._counts) < _ENTRIES_MAX:
            self._counts[name] = (known or 0) + count

    def take(self) -> dict[tuple[str, str], int]:
        """Return what was counted since the last call."""
        taken, self._counts = self._counts, {}
        return taken

    @staticmethod
    def store(store: SqlStore, counts: Mapping[tuple[str, str], int], *, now: Instant) -> None:
        """Add counts to those of the day; sources that there are not are left out."""
        if not counts:
            return
        table, known = tables.look_up_day, tables.source
        insert = postgresql.insert if store.is_postgres else sqlite_dialect.insert
        with store.write() as tx:
            names = set(
                tx.connection.scalars(
                    select(known.c.name).where(known.c.name.in_({source for source, _ in counts}))
                )
            )
            for (source, serves), count in sorted(counts.items()):
                if source in names:
                    query = insert(table).values(
                        source=source, serves=serves, day=now // _DAY_US, key_count=count
                    )
                    tx.connection.execute(
                        query.on_conflict_do_update(
                            index_elements=["source", "serves", "day"],
                            set_={"key_count": table.c.key_count + count},
                        )
                    )
