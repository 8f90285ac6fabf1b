"""Types of columns that every store understands alike, and the collection that all tables belong to.

Elsewhere: the tables (`identity.store_sql.tables`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData, Text

__all__ = ["ID", "UTF8", "metadata"]

metadata: Final = MetaData()

UTF8: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that every store compares and orders as UTF-8 bytes (SQLite's BINARY is that already)."""
ID: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit id; SQLite keys a table's own tree by it only when the type is spelled INTEGER."""
