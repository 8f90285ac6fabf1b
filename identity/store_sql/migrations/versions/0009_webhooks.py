"""Webhooks, and events that wait because a receiver did not take them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=True, comment="JSON list; null: all"),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column(
            "sealed_secret_before",
            sa.LargeBinary(),
            nullable=True,
            comment="signs beside it until `before_until`",
        ),
        sa.Column("before_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="active or disabled"),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="why it is disabled, or what its last failure was"
        ),
        sa.Column(
            "failing_since",
            sa.BigInteger(),
            nullable=True,
            comment="of the first failure since anything was taken",
        ),
        sa.Column("failed_count", sa.Integer(), nullable=False, comment="of attempts since then"),
        sa.Column("next_at", sa.BigInteger(), nullable=False, comment="nothing is sent before"),
        sa.PrimaryKeyConstraint("id"),
        comment="how far each has come stands in relay_cursor, under webhook: and its id",
    )
    op.create_table(
        "webhook_waiting",
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ref_hash", sa.BigInteger(), nullable=False, comment="keyed hash of (source, key)"),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", "known_at", "seq"),
        comment="events that wait behind the place because they, or an earlier one of their key, were not taken",
    )
    op.create_index("webhook_waiting_ref", "webhook_waiting", ["webhook", "ref_hash"], unique=False)
