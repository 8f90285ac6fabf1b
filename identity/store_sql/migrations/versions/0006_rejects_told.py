"""Which rejects the relay has told to Kafka; those that were there before are still to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0006"
down_revision = "0005"

_IS_UNTOLD = sa.text("told_at IS NULL")


def upgrade() -> None:
    """Add the column, and an index of the rejects that it is null for."""
    op.add_column(
        "reject",
        sa.Column(
            "told_at", sa.BigInteger(), nullable=True, comment="when the relay told it to Kafka; null before"
        ),
    )
    op.create_index(
        "reject_untold",
        "reject",
        ["id"],
        unique=False,
        sqlite_where=_IS_UNTOLD,
        postgresql_where=_IS_UNTOLD,
    )
