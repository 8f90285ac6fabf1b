"""The tables of the store, as SQLAlchemy Core; both adapters and the migrations read them.

Invariants:
1. Personal data stand in `record_version.sealed_*`, sealed with the record's own data key
   (`record.data_key`, itself wrapped), and in `reject.sealed`, likewise; dropping that key forgets them. Keys of
   records stand in `record`, `alternate_key`, `judgement_record` and `named_ref` only; history and events name a `rid`.
2. A `rid`, `pid`, `vid` or component id is never used twice.
3. Rows of `crosswalk_history` and `cid_state` are closed on the system clock, never changed otherwise.
Elsewhere: what the columns mean for a promise (`docs/architecture.md`), the SQL (`postgres`, `sqlite`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from identity.store_sql.column_types import ID, UTF8, metadata
from identity.store_sql.delivery_tables import delivery, delivery_tally, look_up_day
from identity.store_sql.follower_tables import subscriber, webhook, webhook_waiting

__all__ = [
    "alternate_key",
    "api_key",
    "blocking_key",
    "cid_state",
    "crosswalk_history",
    "delivery",
    "delivery_tally",
    "event",
    "id_counter",
    "idempotency",
    "judgement",
    "judgement_record",
    "look_up_day",
    "metadata",
    "named_ref",
    "profile",
    "record",
    "record_load",
    "record_version",
    "reject",
    "relay_cursor",
    "scoring_model",
    "source",
    "source_contract",
    "store_fact",
    "stream_offset",
    "subscriber",
    "unsettled",
    "webhook",
    "webhook_waiting",
]

store_fact: Final = Table(
    "store_fact",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

id_counter: Final = Table(
    "id_counter",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="SQLite's ids and system clock; PostgreSQL keeps them in sequences",
)

source: Final = Table(
    "source",
    metadata,
    Column("name", UTF8, primary_key=True),
    Column("contract_version", Integer, nullable=False),
    Column("retired_at", BigInteger),
    Column("floor_version", BigInteger, comment="versions below it are older than a truncation"),
)

source_contract: Final = Table(
    "source_contract",
    metadata,
    Column("source", UTF8, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
)

scoring_model: Final = Table(
    "scoring_model",
    metadata,
    Column("version", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("is_active", Boolean, nullable=False),
)

record: Final = Table(
    "record",
    metadata,
    Column("rid", ID, primary_key=True, autoincrement=False),
    Column("source", UTF8, nullable=False),
    Column("key", UTF8, nullable=False),
    Column("pid", BigInteger, comment="profile of the current version; null while withdrawn"),
    Column("component_id", BigInteger, comment="null while withdrawn"),
    Column("component_level", SmallInteger, nullable=False),
    Column("cid", UTF8, comment="the CID now, or the last one of a withdrawn record"),
    Column("status", Text, nullable=False),
    Column("vid", BigInteger, nullable=False, comment="the current version"),
    Column("version", BigInteger, comment="its number, as the source states it"),
    Column("effective_at", BigInteger),
    Column("digest", LargeBinary, nullable=False),
    Column("contract_version", Integer, nullable=False),
    Column("key_version", Integer, nullable=False, comment="changes of this key in the crosswalk"),
    Column("first_valid_from", BigInteger, nullable=False),
    Column("valid_from", BigInteger, nullable=False, comment="of the history row in force"),
    Column("system_from", BigInteger, nullable=False, comment="of the last change of any kind"),
    Column("is_tied", Boolean, nullable=False, comment="named by a judgement or by a same_as, or has one"),
    Column("data_key", LargeBinary, nullable=False),
    UniqueConstraint("source", "key", name="record_source_key"),
)
Index("record_pid", record.c.pid)
Index("record_component", record.c.component_id)
Index("record_cid", record.c.cid)
Index("record_system_from", record.c.system_from)
_IS_STRICTER: Final = text("component_level > 0 AND component_id IS NOT NULL")
Index(
    "record_stricter",
    record.c.component_level,
    record.c.rid,
    sqlite_where=_IS_STRICTER,
    postgresql_where=_IS_STRICTER,
)

record_version: Final = Table(
    "record_version",
    metadata,
    Column("vid", ID, primary_key=True, autoincrement=False),
    Column("rid", BigInteger, nullable=False),
    Column("version", BigInteger),
    Column("effective_at", BigInteger),
    Column("known_at", BigInteger, nullable=False),
    Column(
        "superseded_at", BigInteger, nullable=False, comment="FOREVER while current; known_at if it never was"
    ),
    Column("digest", LargeBinary, nullable=False),
    Column("contract_version", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("sealed_statement", LargeBinary, comment="null for a withdrawal"),
    Column("sealed_profile", LargeBinary, comment="null for a withdrawal"),
)
Index("record_version_rid", record_version.c.rid)

profile: Final = Table(
    "profile",
    metadata,
    Column("pid", ID, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="keyed hash of source and profile"),
)

blocking_key: Final = Table(
    "blocking_key",
    metadata,
    Column("h", BigInteger, primary_key=True, autoincrement=False),
    Column("pid", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

crosswalk_history: Final = Table(
    "crosswalk_history",
    metadata,
    Column("rid", BigInteger, primary_key=True, autoincrement=False),
    Column("system_from", BigInteger, primary_key=True, autoincrement=False),
    Column("valid_from", BigInteger, primary_key=True, autoincrement=False),
    Column("valid_to", BigInteger, nullable=False),
    Column("system_to", BigInteger, nullable=False),
    Column("cid", UTF8),
    Column("status", Text, nullable=False),
    Column("cause_kind", Text, nullable=False),
    Column("cause_ref", Text, nullable=False),
)

cid_state: Final = Table(
    "cid_state",
    metadata,
    Column("cid", UTF8, primary_key=True),
    Column("system_from", BigInteger, primary_key=True, autoincrement=False),
    Column("system_to", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("successors", Text, comment="JSON list of CIDs as of the change; follow them to live ones"),
)

event: Final = Table(
    "event",
    metadata,
    Column("known_at", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("cid", UTF8),
    Column("previous_cid", UTF8),
    Column("version", Integer, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("cause_kind", Text, nullable=False),
    Column("cause_ref", Text, nullable=False),
)
Index("event_cid", event.c.cid)
Index("event_previous_cid", event.c.previous_cid)

alternate_key: Final = Table(
    "alternate_key",
    metadata,
    Column("source", UTF8, primary_key=True),
    Column("name", UTF8, primary_key=True),
    Column("value", UTF8, primary_key=True),
    Column("rid", BigInteger, primary_key=True, autoincrement=False),
)
Index("alternate_key_rid", alternate_key.c.rid)

judgement: Final = Table(
    "judgement",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("stated_by_rid", BigInteger, comment="set when a trusted source's same_as states it"),
    Column("system_from", BigInteger, nullable=False),
    Column("system_to", BigInteger, nullable=False),
    Column("withdrawn_by", Text),
)
Index("judgement_stated_by", judgement.c.stated_by_rid)

judgement_record: Final = Table(
    "judgement_record",
    metadata,
    Column("judgement_id", Text, primary_key=True),
    Column("side", SmallInteger, primary_key=True, autoincrement=False, comment="0 left, 1 right"),
    Column("source", UTF8, primary_key=True),
    Column("key", UTF8, primary_key=True),
)

named_ref: Final = Table(
    "named_ref",
    metadata,
    Column(
        "ref_hash", BigInteger, primary_key=True, autoincrement=False, comment="keyed hash of (source, key)"
    ),
    Column("judgement_id", Text, primary_key=True, comment="empty for the evidence of a same_as"),
    Column("stating_rid", BigInteger, primary_key=True, autoincrement=False, comment="0 for a judgement"),
    Column("source", UTF8, nullable=False),
    Column("key", UTF8, nullable=False),
    comment="records named by judgements in force and by current same_as statements, stored or not yet",
)
Index("named_ref_judgement", named_ref.c.judgement_id)
Index("named_ref_stating", named_ref.c.stating_rid)

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("source", UTF8, primary_key=True),
    Column("token_hash", LargeBinary, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("cid", UTF8, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("known_at", BigInteger, nullable=False),
)

unsettled: Final = Table(
    "unsettled",
    metadata,
    Column(
        "kind",
        Text,
        primary_key=True,
        comment="key: a blocking key; record: a rid; contract: a rid to read again; load-…: held back by a load",
    ),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
)

record_load: Final = Table(
    "record_load",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", UTF8, nullable=False),
    Column("author", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("state", Text, nullable=False, comment="running, settling, releasing, done or failed"),
    Column("holder", Text, nullable=False, comment="host and process that runs it"),
    Column("beat_at", BigInteger, nullable=False, comment="when its last slice was stored"),
)

relay_cursor: Final = Table(
    "relay_cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("known_at", BigInteger, nullable=False, comment="of the last event that was told"),
    Column("seq", BigInteger, nullable=False, comment="its number; the row is advanced by compare-and-set"),
    Column("holder", Text, comment="the relay that tells them now; null when it has stopped"),
    Column("beat_at", BigInteger, nullable=False, comment="when it last showed that it runs"),
)

api_key: Final = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("sources", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", BigInteger),
    Column("serves", Text, comment="what asks with it: system:NAME or product:NAME"),
)

stream_offset: Final = Table(
    "stream_offset",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False, comment="0: nothing taken yet, begin at the earliest"),
    Column("taken_from", BigInteger, nullable=False),
    Column(
        "taken_to", BigInteger, nullable=False, comment="what lies in [taken_from, taken_to) was taken once"
    ),
    Column("refreshed_at", BigInteger, nullable=False),
    Column("consumed", BigInteger, nullable=False, comment="the sum of what follows"),
    Column("applied", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("stale", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("ignored", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="0", comment="of the greatest version taken"),
    Column("number", BigInteger, nullable=False, server_default="-1", comment="that version; -1: none yet"),
    Column("stated_at", BigInteger, nullable=False, server_default="0", comment="the latest time taken"),
)

reject: Final = Table(
    "reject",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True, comment="grows per record; given at the insert"),
    Column("source", UTF8, nullable=False),
    Column("ref_hash", BigInteger, comment="keyed hash of (source, key); null where no key can be read"),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("origin", Text, nullable=False, comment="topic, file or request"),
    Column("origin_name", Text, nullable=False),
    Column("origin_part", Integer, nullable=False, comment="partition; 0 where there is none"),
    Column("origin_place", BigInteger, nullable=False, comment="offset, or number of the row or line"),
    Column("digest", LargeBinary, nullable=False, comment="keyed hash of what was refused"),
    Column("contract_version", Integer, nullable=False),
    Column("versions_held", Integer, nullable=False, comment="of the record when this was refused"),
    Column("data_key", LargeBinary, comment="null once closed"),
    Column("sealed", LargeBinary, comment="key and message; null once closed"),
    Column("created_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False, comment="open, replayed or discarded"),
    Column("closed_at", BigInteger),
    Column("closed_by", Text),
    Column("told_at", BigInteger, comment="when the relay told it to Kafka; null before"),
    UniqueConstraint(
        "origin", "origin_name", "origin_part", "origin_place", "digest", name="reject_origin_digest"
    ),
    sqlite_autoincrement=True,
)
Index("reject_ref", reject.c.ref_hash)
Index("reject_state", reject.c.state, reject.c.source, reject.c.id)
Index(
    "reject_untold",
    reject.c.id,
    sqlite_where=reject.c.told_at.is_(None),
    postgresql_where=reject.c.told_at.is_(None),
)
