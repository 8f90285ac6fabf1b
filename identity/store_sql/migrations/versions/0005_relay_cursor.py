"""How far the relay has told the events of the store to Kafka, and which relay that is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table; a store that was there before is told from its first event on."""
    op.create_table(
        "relay_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False, comment="of the last event that was told"),
        sa.Column(
            "seq",
            sa.BigInteger(),
            nullable=False,
            comment="its number; the row is advanced by compare-and-set",
        ),
        sa.Column(
            "holder",
            sa.Text(),
            nullable=True,
            comment="the relay that tells them now; null when it has stopped",
        ),
        sa.Column("beat_at", sa.BigInteger(), nullable=False, comment="when it last showed that it runs"),
        sa.PrimaryKeyConstraint("name"),
    )
