"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

from identity.store_sql.key_reader import KeyReader, make_key_reader
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import SqlStore, open_store, store_url

__all__ = ["KeyReader", "SqlStore", "make_key_reader", "migrate_store", "open_store", "store_url"]
