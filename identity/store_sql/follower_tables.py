"""The tables of those who follow the feed of changes.

Invariant: a row names a place in the feed by the two numbers of an event.
Elsewhere: all other tables (`identity.store_sql.tables`), which names these too.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text

from identity.store_sql.column_types import metadata

__all__ = ["subscriber"]

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
