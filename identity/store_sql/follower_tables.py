"""The tables of those who follow the feed of changes.

Invariants: a row names a place in the feed by the two numbers of an event; a webhook's secrets are sealed with a
data key of its own.
Elsewhere: all other tables (`identity.store_sql.tables`), which names these too.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from identity.store_sql.column_types import metadata

__all__ = ["subscriber", "webhook", "webhook_waiting"]

subscriber: Final = Table(
    "subscriber",
    metadata,
    Column("owner", Text, primary_key=True, comment="name of an API key"),
    Column("name", Text, primary_key=True),
    Column("known_at", BigInteger, nullable=False, comment="of the last event that it acknowledged"),
    Column("seq", BigInteger, nullable=False, comment="its number"),
    Column("created_at", BigInteger, nullable=False),
    Column("moved_at", BigInteger, nullable=False, comment="when it last acknowledged"),
)

webhook: Final = Table(
    "webhook",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("sources", Text, comment="JSON list; null: all"),
    Column("data_key", LargeBinary, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("sealed_secret_before", LargeBinary, comment="signs beside it until `before_until`"),
    Column("before_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("state", Text, nullable=False, comment="active or disabled"),
    Column("reason", Text, comment="why it is disabled, or what its last failure was"),
    Column("failing_since", BigInteger, comment="of the first failure since anything was taken"),
    Column("failed_count", Integer, nullable=False, comment="of attempts since then"),
    Column("next_at", BigInteger, nullable=False, comment="nothing is sent before"),
    comment="how far each has come stands in relay_cursor, under webhook: and its id",
)

webhook_waiting: Final = Table(
    "webhook_waiting",
    metadata,
    Column("webhook", Text, primary_key=True),
    Column("known_at", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("ref_hash", BigInteger, nullable=False, comment="keyed hash of (source, key)"),
    Column("failed_count", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    comment="events that wait behind the place because they, or an earlier one of their key, were not taken",
)
Index("webhook_waiting_ref", webhook_waiting.c.webhook, webhook_waiting.c.ref_hash)
