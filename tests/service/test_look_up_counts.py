"""Who looks keys up is counted in memory and stored by day."""

from __future__ import annotations

from sqlalchemy import select

from identity.service import Identity
from identity.store_sql import tables
from service.look_up_counts import LookUpCounts
from tests.identity.conftest import identity, kept_database, place

__all__ = ["identity", "kept_database", "place"]

DAY = 86_400_000_000


def stored(identity: Identity) -> list[tuple[str, str, int, int]]:
    table = tables.look_up_day
    with identity.store.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.source, table.c.serves, table.c.day))
        return [(row.source, row.serves, row.day, row.key_count) for row in rows]


def test_counts_add_up_by_source_asker_and_day(identity: Identity) -> None:
    counts = LookUpCounts()
    for serves, count in (("product:churn", 5), ("product:churn", 2), ("", 1)):
        counts.note(serves, "crm", count)
    counts.store(identity.store, counts.take(), now=10 * DAY + 7)
    counts.note("product:churn", "crm", 1)
    counts.store(identity.store, counts.take(), now=10 * DAY + 8)
    counts.note("product:churn", "crm", 1)
    counts.store(identity.store, counts.take(), now=11 * DAY)

    assert stored(identity) == [
        ("crm", "", 10, 1),
        ("crm", "product:churn", 10, 8),
        ("crm", "product:churn", 11, 1),
    ]


def test_sources_that_there_are_not_leave_nothing_behind(identity: Identity) -> None:
    counts = LookUpCounts()
    for number in range(20_000):
        counts.note("", f"none-{number}", 1)
    taken = counts.take()

    counts.store(identity.store, taken, now=DAY)

    assert len(taken) == 10_000
    assert stored(identity) == []
    assert counts.take() == {}
