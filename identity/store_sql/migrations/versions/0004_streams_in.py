"""What streams keep: where each partition stands, and what could not be taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0004"
down_revision = "0003"

_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "stream_offset",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "next_offset",
            sa.BigInteger(),
            nullable=False,
            comment="0: nothing taken yet, begin at the earliest",
        ),
        sa.Column("taken_from", sa.BigInteger(), nullable=False),
        sa.Column(
            "taken_to",
            sa.BigInteger(),
            nullable=False,
            comment="what lies in [taken_from, taken_to) was taken once",
        ),
        sa.Column("refreshed_at", sa.BigInteger(), nullable=False),
        sa.Column("consumed", sa.BigInteger(), nullable=False, comment="the sum of what follows"),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), nullable=False),
        sa.Column("stale", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("ignored", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )
    op.create_table(
        "reject",
        sa.Column(
            "id",
            _ID,
            autoincrement=True,
            nullable=False,
            comment="grows per record; given at the insert",
        ),
        sa.Column("source", _BYTES, nullable=False),
        sa.Column(
            "ref_hash",
            sa.BigInteger(),
            nullable=True,
            comment="keyed hash of (source, key); null where no key can be read",
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="topic, file or request"),
        sa.Column("origin_name", sa.Text(), nullable=False),
        sa.Column("origin_part", sa.Integer(), nullable=False, comment="partition; 0 where there is none"),
        sa.Column(
            "origin_place", sa.BigInteger(), nullable=False, comment="offset, or number of the row or line"
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="keyed hash of what was refused"),
        sa.Column("contract_version", sa.Integer(), nullable=False),
        sa.Column(
            "versions_held", sa.Integer(), nullable=False, comment="of the record when this was refused"
        ),
        sa.Column("data_key", sa.LargeBinary(), nullable=True, comment="null once closed"),
        sa.Column("sealed", sa.LargeBinary(), nullable=True, comment="key and message; null once closed"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="open, replayed or discarded"),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "origin", "origin_name", "origin_part", "origin_place", "digest", name="reject_origin_digest"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("reject_ref", "reject", ["ref_hash"], unique=False)
    op.create_index("reject_state", "reject", ["state", "source", "id"], unique=False)
