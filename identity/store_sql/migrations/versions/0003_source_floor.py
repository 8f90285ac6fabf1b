"""Truncations: below which version what a source states is stale."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; no row changes."""
    comment = "versions below it are older than a truncation"
    op.add_column("source", sa.Column("floor_version", sa.BigInteger(), nullable=True, comment=comment))
