"""The tables of the delivery ledger: how CIDs come back to their sources, and who asks for them.

Invariant: no column holds a key of a record or anything else that is personal; `rid` names the record.
Elsewhere: all other tables, with the rules of all (`identity.store_sql.tables`), what the rows mean
(`streams.delivery`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text, text

from identity.store_sql.column_types import ID, UTF8, metadata

__all__ = ["delivery", "delivery_tally", "look_up_day"]

delivery: Final = Table(
    "delivery",
    metadata,
    Column("rid", ID, primary_key=True, autoincrement=False),
    Column("source", UTF8, nullable=False),
    Column("cid", UTF8, comment="the CID to be delivered, as of key_version"),
    Column("key_version", Integer, nullable=False, comment="of the last change looked at; 0: none yet"),
    Column("is_live", Boolean, nullable=False, comment="the record is accepted, and not withdrawn"),
    Column("assigned_at", BigInteger, comment="when the record got that CID"),
    Column("sent_version", Integer, nullable=False, comment="of the last change sent; 0: none yet"),
    Column("sent_at", BigInteger),
    Column("sent_part", Integer, comment="partition of the assignments topic"),
    Column("sent_offset", BigInteger),
    Column("acked_cid", UTF8, comment="the CID that the source is known to have"),
    Column("acked_at", BigInteger),
    Column(
        "evidence", SmallInteger, comment="of acked_cid: 1 cid_seen, 2 read_back, 3 webhook, 4 sink_offset"
    ),
    Column(
        "gap_epoch", Integer, nullable=False, comment="of the oldest version that lacks its CID; 0 if none"
    ),
    Column("gap_number", BigInteger, nullable=False, comment="its number; -1 where it has none"),
    Column("gap_at", BigInteger, nullable=False, comment="its effective_at, else when it became known"),
    Column("is_open", Boolean, nullable=False, comment="live, and acked_cid is not cid"),
    comment="the delivery ledger: whether each record's CID has come back to its source",
)
_IS_OPEN: Final = text("is_open")
_IS_COVERED: Final = text("is_live AND NOT is_open")
_IS_OUTDATED: Final = text("is_open AND acked_cid IS NOT NULL")
_IS_ACKED: Final = text("acked_at IS NOT NULL")
Index(
    "delivery_gap",
    delivery.c.source,
    delivery.c.gap_epoch,
    delivery.c.gap_number,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
Index(
    "delivery_gap_at", delivery.c.source, delivery.c.gap_at, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
)
Index(
    "delivery_assigned",
    delivery.c.source,
    delivery.c.assigned_at,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
Index(
    "delivery_sent",
    delivery.c.source,
    delivery.c.sent_part,
    delivery.c.sent_offset,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
Index("delivery_outdated", delivery.c.source, sqlite_where=_IS_OUTDATED, postgresql_where=_IS_OUTDATED)
Index(
    "delivery_evidence",
    delivery.c.source,
    delivery.c.evidence,
    sqlite_where=_IS_COVERED,
    postgresql_where=_IS_COVERED,
)
Index(
    "delivery_acked",
    delivery.c.source,
    delivery.c.acked_at,
    sqlite_where=_IS_ACKED,
    postgresql_where=_IS_ACKED,
)

delivery_tally: Final = Table(
    "delivery_tally",
    metadata,
    Column("source", UTF8, primary_key=True),
    Column("records", BigInteger, nullable=False, comment="live ones in the ledger"),
    Column("covered", BigInteger, nullable=False, comment="those whose CID now is acknowledged"),
    Column("frontier_epoch", Integer, nullable=False),
    Column(
        "frontier_number", BigInteger, nullable=False, comment="all that is older was taken; -1: not known"
    ),
    Column("frontier_at", BigInteger, nullable=False, comment="the same, as a time; 0: not known"),
)

look_up_day: Final = Table(
    "look_up_day",
    metadata,
    Column("source", UTF8, primary_key=True, comment="whose keys were asked for"),
    Column("serves", Text, primary_key=True, comment="who asked: system:NAME, product:NAME or empty"),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="days since 1970, UTC"),
    Column("key_count", BigInteger, nullable=False),
)
