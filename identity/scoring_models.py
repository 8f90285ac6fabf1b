"""Keep scoring models: which version is active in this store.

Invariant: a document once stored never changes, and the active one changes only by a decision, so a newer
program keeps the partition of an older one.
Elsewhere: the document (`matching.scoring_model`).
"""

from __future__ import annotations

from sqlalchemy import insert, select

from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from matching.scoring_model import ScoringModel, default_scoring_model, load_scoring_model

__all__ = ["read_active_model", "store_model"]


def read_active_model(store: SqlStore, *, now: Instant) -> ScoringModel:
    """Return the store's active scoring model; a new store begins with the default."""
    table = tables.scoring_model
    find = select(table.c.document).where(table.c.is_active)
    with store.read() as connection:
        document = connection.scalar(find)
    if document is None:
        store_model(store, default_scoring_model(), now=now)
        with store.read() as connection:
            document = connection.scalar(find)
    assert document is not None
    return load_scoring_model(bytes(document))


def store_model(store: SqlStore, model: ScoringModel, *, now: Instant) -> None:
    """Store a model as the active one, unless the store has one."""
    table = tables.scoring_model
    with store.write() as tx:
        tx.lock_whole()
        if tx.connection.scalar(select(table.c.version).where(table.c.is_active)) is None:
            tx.connection.execute(
                insert(table).values(
                    version=model.version, document=model.document, created_at=now, is_active=True
                )
            )
