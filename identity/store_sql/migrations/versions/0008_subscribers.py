"""How far each subscriber has come in the feed of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "subscriber",
        sa.Column("owner", sa.Text(), nullable=False, comment="name of an API key"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "known_at", sa.BigInteger(), nullable=False, comment="of the last event that it acknowledged"
        ),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="its number"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False, comment="when it last acknowledged"),
        sa.PrimaryKeyConstraint("owner", "name"),
    )
