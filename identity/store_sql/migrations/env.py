"""Alembic's entry: runs migrations on the connection that `identity.store_sql.migrate` hands over."""

from __future__ import annotations

from alembic import context

from identity.store_sql import tables

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
