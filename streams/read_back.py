"""Read CIDs back from a source's own database, as evidence that they have arrived.

For tables that something else writes (a sink, a trigger, the source itself); what `streams.write_back` writes it reads
back by itself. One pass looks at the records that wait for evidence; a whole pass looks at all, and so finds CIDs
that were lost.

Invariant: only reads. A record without a row says nothing.
Elsewhere: the table (`streams.customer_table`), what follows (`streams.ledger`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Select, select, text

from identity.model import Cid, Instant, RecordRef
from identity.service import Identity
from identity.statement import is_cid_text
from identity.store_sql import tables
from streams.customer_table import CustomerTable
from streams.delivery import Acknowledgement, Evidence
from streams.ledger import DeliveryLedger

__all__ = ["ReadBack"]

_BATCH: Final = 500


class ReadBack:
    """Reads one source's CIDs back."""

    def __init__(
        self, identity: Identity, source: str, table: CustomerTable, *, now: Callable[[], Instant]
    ) -> None:
        self._identity = identity
        self._ledger = DeliveryLedger(identity)
        self._source = source
        self._table = table
        self._now = now

    def read_waiting(self) -> int:
        """Look at the records that wait for evidence; return how many rows of the ledger that changed.

        Cost: for 500 of them a few statements here, and one in the source's database.
        """
        return self._read("delivery.is_open")

    def read_all(self) -> int:
        """Look at all records of the source; likewise. Cost: the same, and a walk through the ledger."""
        return self._read("delivery.is_live")

    def _read(self, condition: str) -> int:
        delivery, record = tables.delivery, tables.record
        query: Select[tuple[int, str]] = (
            select(delivery.c.rid, record.c.key)
            .join(record, record.c.rid == delivery.c.rid)
            .where(delivery.c.source == self._source, text(condition))
            .order_by(delivery.c.rid)
            .limit(_BATCH)
        )
        changed, last = 0, 0
        while True:
            with self._identity.store.read() as connection:
                rows = connection.execute(query.where(delivery.c.rid > last)).all()
            if not rows:
                return changed
            last = rows[-1].rid
            found, now = self._table.read([row.key for row in rows]), self._now()
            changed += self._ledger.acknowledge(
                [
                    Acknowledgement(RecordRef(self._source, key), _as_cid(cid), Evidence.READ_BACK, now)
                    for key, cid in found.items()
                ]
            )


def _as_cid(stated: str | None) -> Cid | None:
    """Return what stands in the column; what is no CID counts as none."""
    cid = (stated or "").lower()
    return Cid(cid) if is_cid_text(cid) else None
