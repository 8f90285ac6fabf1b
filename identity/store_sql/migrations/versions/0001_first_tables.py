"""The first tables: records, their versions and profiles, CIDs, history, events, judgements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# The clock: strictly growing over all machines, however their own clocks step. `sameas_push` moves it for a
# reader; `sameas_tick` gives a transaction its instant and shows, in the session's name, the instant below
# which it changes nothing, so that readers know how far what they see is final.
_CLOCK = """
CREATE FUNCTION sameas_push(at_least bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE moved bigint;
BEGIN
  PERFORM pg_advisory_lock(7360004);
  SELECT greatest(last_value + 1, at_least) INTO moved FROM sameas_clock;
  PERFORM setval('sameas_clock', moved);
  PERFORM pg_advisory_unlock(7360004);
  RETURN moved;
END $$;
CREATE FUNCTION sameas_tick(at_least bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('application_name', 'sameas-writer:' || (SELECT last_value FROM sameas_clock), true);
  RETURN sameas_push(at_least);
END $$;
"""


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "alternate_key",
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("name", _BYTES, nullable=False),
        sa.Column("value", _BYTES, nullable=False),
        sa.Column("rid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("source", "name", "value", "rid"),
    )
    op.create_index("alternate_key_rid", "alternate_key", ["rid"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "blocking_key",
        sa.Column("h", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("h", "pid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cid_state",
        sa.Column("cid", _BYTES, nullable=False),
        sa.Column("system_from", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("system_to", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "successors",
            sa.Text(),
            nullable=True,
            comment="JSON list of CIDs as of the change; follow them to live ones",
        ),
        sa.PrimaryKeyConstraint("cid", "system_from"),
    )
    op.create_table(
        "crosswalk_history",
        sa.Column("rid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("system_from", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("valid_from", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("system_to", sa.BigInteger(), nullable=False),
        sa.Column("cid", _BYTES, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rid", "system_from", "valid_from"),
    )
    op.create_table(
        "event",
        sa.Column("known_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("cid", _BYTES, nullable=True),
        sa.Column("previous_cid", _BYTES, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("known_at", "seq"),
    )
    op.create_index("event_cid", "event", ["cid"], unique=False)
    op.create_index("event_previous_cid", "event", ["previous_cid"], unique=False)
    op.create_table(
        "id_counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="SQLite's ids and system clock; PostgreSQL keeps them in sequences",
    )
    op.create_table(
        "idempotency",
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("cid", _BYTES, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "token_hash"),
    )
    op.create_table(
        "judgement",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column(
            "stated_by_rid",
            sa.BigInteger(),
            nullable=True,
            comment="set when a trusted source's same_as states it",
        ),
        sa.Column("system_from", sa.BigInteger(), nullable=False),
        sa.Column("system_to", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("judgement_stated_by", "judgement", ["stated_by_rid"], unique=False)
    op.create_table(
        "judgement_record",
        sa.Column("judgement_id", sa.Text(), nullable=False),
        sa.Column("side", sa.SmallInteger(), autoincrement=False, nullable=False, comment="0 left, 1 right"),
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("key", _BYTES, nullable=False),
        sa.PrimaryKeyConstraint("judgement_id", "side", "source", "key"),
    )
    op.create_table(
        "named_ref",
        sa.Column(
            "ref_hash",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="keyed hash of (source, key)",
        ),
        sa.Column("judgement_id", sa.Text(), nullable=False, comment="empty for the evidence of a same_as"),
        sa.Column(
            "stating_rid", sa.BigInteger(), autoincrement=False, nullable=False, comment="0 for a judgement"
        ),
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("key", _BYTES, nullable=False),
        sa.PrimaryKeyConstraint("ref_hash", "judgement_id", "stating_rid"),
        comment="records named by judgements in force and by current same_as statements, stored or not yet",
    )
    op.create_index("named_ref_judgement", "named_ref", ["judgement_id"], unique=False)
    op.create_index("named_ref_stating", "named_ref", ["stating_rid"], unique=False)
    op.create_table(
        "profile",
        sa.Column("pid", _ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="keyed hash of source and profile"),
        sa.PrimaryKeyConstraint("pid"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "record",
        sa.Column("rid", _ID, autoincrement=False, nullable=False),
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("key", _BYTES, nullable=False),
        sa.Column(
            "pid",
            sa.BigInteger(),
            nullable=True,
            comment="profile of the current version; null while withdrawn",
        ),
        sa.Column("component_id", sa.BigInteger(), nullable=True, comment="null while withdrawn"),
        sa.Column("component_level", sa.SmallInteger(), nullable=False),
        sa.Column("cid", _BYTES, nullable=True, comment="the CID now, or the last one of a withdrawn record"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("vid", sa.BigInteger(), nullable=False, comment="the current version"),
        sa.Column("version", sa.BigInteger(), nullable=True, comment="its number, as the source states it"),
        sa.Column("effective_at", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("contract_version", sa.Integer(), nullable=False),
        sa.Column(
            "key_version", sa.Integer(), nullable=False, comment="changes of this key in the crosswalk"
        ),
        sa.Column("first_valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False, comment="of the history row in force"),
        sa.Column("system_from", sa.BigInteger(), nullable=False, comment="of the last change of any kind"),
        sa.Column(
            "is_tied",
            sa.Boolean(),
            nullable=False,
            comment="named by a judgement or by a same_as, or has one",
        ),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("rid"),
        sa.UniqueConstraint("source", "key", name="record_source_key"),
    )
    op.create_index("record_cid", "record", ["cid"], unique=False)
    op.create_index("record_component", "record", ["component_id"], unique=False)
    op.create_index("record_pid", "record", ["pid"], unique=False)
    op.create_index("record_system_from", "record", ["system_from"], unique=False)
    op.create_table(
        "record_load",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False, comment="running, settling, releasing, done or failed"),
        sa.Column("holder", sa.Text(), nullable=False, comment="host and process that runs it"),
        sa.Column("beat_at", sa.BigInteger(), nullable=False, comment="when its last slice was stored"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "record_version",
        sa.Column("vid", _ID, autoincrement=False, nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("effective_at", sa.BigInteger(), nullable=True),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "superseded_at",
            sa.BigInteger(),
            nullable=False,
            comment="FOREVER while current; known_at if it never was",
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("contract_version", sa.Integer(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("sealed_statement", sa.LargeBinary(), nullable=True, comment="null for a withdrawal"),
        sa.Column("sealed_profile", sa.LargeBinary(), nullable=True, comment="null for a withdrawal"),
        sa.PrimaryKeyConstraint("vid"),
    )
    op.create_index("record_version_rid", "record_version", ["rid"], unique=False)
    op.create_table(
        "scoring_model",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "source",
        sa.Column("name", _BYTES, nullable=False),
        sa.Column("contract_version", sa.Integer(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "source_contract",
        sa.Column("source", _BYTES, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "version"),
    )
    op.create_table(
        "store_fact",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "unsettled",
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="key: a blocking key; record: a rid; contract: a rid to read again; load-…: held back by a load",
        ),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id"),
    )

    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE sameas_ids INCREMENT BY 1000 START 1")
        op.execute("CREATE SEQUENCE sameas_clock START 1")
        op.execute(_CLOCK)
    else:
        op.execute("INSERT INTO id_counter (name, value) VALUES ('ids', 0), ('clock', 0)")
