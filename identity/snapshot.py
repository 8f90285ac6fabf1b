"""Read the whole crosswalk for a consumer that then follows the feed of changes.

1. `LookUp.feed_end` gives a cursor: no event that commits later has a place before it.
2. Then the rows are read, a page at a time, each page in a transaction of its own.
3. The consumer keeps of each key the row or event with the greatest `version`, and reads the feed on from the cursor.

Invariant: a row is at least as new as the cursor, and what the rows lack comes after the cursor; so rows and events
put together by `version` give the crosswalk exactly, whatever was written meanwhile. No transaction stays open
while a consumer is slow, which is why the rows need not be of one instant.
Elsewhere: one instant as a Parquet file (`identity.export`), over HTTP (`identity.api.crosswalk`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import and_, select

from identity.model import FOREVER, Cid, Instant, KeyStatus
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore

__all__ = ["CrosswalkKey", "iter_crosswalk_pages", "read_crosswalk_page"]

PAGE_ROWS: Final = 5_000


class CrosswalkKey(NamedTuple):
    """What the crosswalk says of one source key now: the fields of a message of the topic `sameas.crosswalk`."""

    source: str
    key: str
    cid: Cid | None
    status: KeyStatus
    version: int
    known_at: Instant


def iter_crosswalk_pages(
    store: SqlStore, sources: Sequence[str], *, page_rows: int = PAGE_ROWS
) -> Iterator[list[CrosswalkKey]]:
    """Yield the keys of these sources in pages, ordered by (source, key) within each source."""
    for source in sources:
        after = ""
        while page := read_crosswalk_page(store, source, after=after, limit=page_rows):
            yield page
            after = page[-1].key


def read_crosswalk_page(store: SqlStore, source: str, *, after: str, limit: int) -> list[CrosswalkKey]:
    """Return the next `limit` keys of a source behind `after`, withdrawn and renamed ones included, erased ones not."""
    record, history = tables.record, tables.crosswalk_history
    query = (
        select(
            record.c.source,
            record.c.key,
            record.c.cid,
            record.c.status,
            record.c.key_version,
            history.c.system_from,
        )
        .join(
            history,
            and_(
                history.c.rid == record.c.rid, history.c.system_to == FOREVER, history.c.valid_to == FOREVER
            ),
        )
        .where(record.c.source == source, record.c.key > after, record.c.status != KeyStatus.ERASED.value)
        .order_by(record.c.key)
        .limit(limit)
    )
    with store.read() as connection:
        return [CrosswalkKey(*row[:3], KeyStatus(row[3]), *row[4:]) for row in connection.execute(query)]
