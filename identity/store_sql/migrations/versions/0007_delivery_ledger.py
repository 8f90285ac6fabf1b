"""The delivery ledger, positions of partitions, and who looks keys up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0007"
down_revision = "0006"

_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXES = {
    "delivery_gap": (["source", "gap_epoch", "gap_number"], "is_open"),
    "delivery_gap_at": (["source", "gap_at"], "is_open"),
    "delivery_assigned": (["source", "assigned_at"], "is_open"),
    "delivery_sent": (["source", "sent_part", "sent_offset"], "is_open"),
    "delivery_outdated": (["source"], "is_open AND acked_cid IS NOT NULL"),
    "delivery_evidence": (["source", "evidence"], "is_live AND NOT is_open"),
    "delivery_acked": (["source", "acked_at"], "acked_at IS NOT NULL"),
}


def upgrade() -> None:
    """Create the tables, and the columns that the others lack; what there is keeps what it says."""
    op.create_table(
        "delivery",
        sa.Column("rid", _ID, autoincrement=False, nullable=False),
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("cid", _BYTES, nullable=True, comment="the CID to be delivered, as of key_version"),
        sa.Column(
            "key_version", sa.Integer(), nullable=False, comment="of the last change looked at; 0: none yet"
        ),
        sa.Column(
            "is_live", sa.Boolean(), nullable=False, comment="the record is accepted, and not withdrawn"
        ),
        sa.Column("assigned_at", sa.BigInteger(), nullable=True, comment="when the record got that CID"),
        sa.Column(
            "sent_version", sa.Integer(), nullable=False, comment="of the last change sent; 0: none yet"
        ),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_part", sa.Integer(), nullable=True, comment="partition of the assignments topic"),
        sa.Column("sent_offset", sa.BigInteger(), nullable=True),
        sa.Column("acked_cid", _BYTES, nullable=True, comment="the CID that the source is known to have"),
        sa.Column("acked_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "evidence",
            sa.SmallInteger(),
            nullable=True,
            comment="of acked_cid: 1 cid_seen, 2 read_back, 3 webhook, 4 sink_offset",
        ),
        sa.Column(
            "gap_epoch",
            sa.Integer(),
            nullable=False,
            comment="of the oldest version that lacks its CID; 0 if none",
        ),
        sa.Column("gap_number", sa.BigInteger(), nullable=False, comment="its number; -1 where it has none"),
        sa.Column(
            "gap_at", sa.BigInteger(), nullable=False, comment="its effective_at, else when it became known"
        ),
        sa.Column("is_open", sa.Boolean(), nullable=False, comment="live, and acked_cid is not cid"),
        sa.PrimaryKeyConstraint("rid"),
        comment="the delivery ledger: whether each record's CID has come back to its source",
    )
    for name, (columns, condition) in _INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "delivery", columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "delivery_tally",
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False, comment="live ones in the ledger"),
        sa.Column("covered", sa.BigInteger(), nullable=False, comment="those whose CID now is acknowledged"),
        sa.Column("frontier_epoch", sa.Integer(), nullable=False),
        sa.Column(
            "frontier_number",
            sa.BigInteger(),
            nullable=False,
            comment="all that is older was taken; -1: not known",
        ),
        sa.Column(
            "frontier_at", sa.BigInteger(), nullable=False, comment="the same, as a time; 0: not known"
        ),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "look_up_day",
        sa.Column("source", _BYTES, nullable=False, comment="whose keys were asked for"),
        sa.Column(
            "serves", sa.Text(), nullable=False, comment="who asked: system:NAME, product:NAME or empty"
        ),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="days since 1970, UTC"),
        sa.Column("key_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "serves", "day"),
    )
    op.add_column(
        "api_key",
        sa.Column(
            "serves", sa.Text(), nullable=True, comment="what asks with it: system:NAME or product:NAME"
        ),
    )
    for column in (
        sa.Column(
            "epoch", sa.Integer(), nullable=False, server_default="0", comment="of the greatest version taken"
        ),
        sa.Column(
            "number",
            sa.BigInteger(),
            nullable=False,
            server_default="-1",
            comment="that version; -1: none yet",
        ),
        sa.Column(
            "stated_at", sa.BigInteger(), nullable=False, server_default="0", comment="the latest time taken"
        ),
    ):
        op.add_column("stream_offset", column)
