"""Write the configurations of the two Kafka connectors of a source, and the SQL of its table of CIDs.

The source connector (Debezium for PostgreSQL) tells every change of the customer table to the records topic.
The sink connector (Debezium's JDBC sink) writes the source's assignments into a table of their own beside the
customer table: an upsert inserts first, which other NOT NULL columns of the customer table would refuse, and an
erasure deletes the row. A trigger may copy the CID from there into the customer table.

Invariant: pure. What the source connector sends leaves nothing out (truncations, large numbers, microseconds) and
nothing in that the contract does not read. A password is in the configuration only, never in a message.
Elsewhere: reading the changes (`streams.debezium`), topics (`streams.topics`), posting (`streams.connect_rest`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from identity.contract import SourceContract
from streams.errors import ConnectorInvalid
from streams.mapping import PathSpec, canonical_mapping
from streams.targets import paths_of
from streams.topics import PARTITIONS_DEFAULT, TopicNames

__all__ = [
    "ASSIGNMENT_KEY_SCHEMA",
    "ASSIGNMENT_ROW_SCHEMA",
    "Connector",
    "Database",
    "Table",
    "copying_sql",
    "read_database",
    "read_table",
    "sink_connector",
    "source_connector",
    "table_sql",
]

ASSIGNMENT_KEY_SCHEMA: Final[Mapping[str, object]] = {
    "type": "struct",
    "name": "sameas.assignment.key",
    "optional": False,
    "fields": [{"field": "source_key", "type": "string", "optional": False}],
}
"""Connect schema of an assignment's key; the JDBC sink takes messages with an embedded schema only."""

ASSIGNMENT_ROW_SCHEMA: Final[Mapping[str, object]] = {
    "type": "struct",
    "name": "sameas.assignment.row",
    "optional": False,
    "fields": [
        {"field": "source_key", "type": "string", "optional": False},
        {"field": "cid", "type": "string", "optional": True},
        {"field": "status", "type": "string", "optional": False},
        {"field": "version", "type": "int64", "optional": False},
        {
            "field": "assigned_at",
            "type": "string",
            "name": "io.debezium.time.ZonedTimestamp",
            "optional": False,
        },
    ],
}
"""Connect schema of an assignment's row: the columns of the table of CIDs."""

_JSON: Final = "org.apache.kafka.connect.json.JsonConverter"
_HEARTBEAT: Final = "sameas.heartbeat"
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_TLS_OPTIONS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector's name and configuration, as Kafka Connect takes them."""

    name: str
    config: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database, as an operational system's URL names it."""

    host: str
    port: int
    name: str
    user: str
    password: str | None = field(repr=False)
    options: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its schema and name."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """The name as SQL takes it, upper case kept."""
        return f'"{self.schema}"."{self.name}"'


def read_database(url: str) -> Database:
    """Return what `postgresql://user:password@host:port/name?sslmode=...` says.

    Raises:
        ConnectorInvalid: another kind of database, or a part is missing; does not repeat the URL.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or 5432
    except ValueError as exc:
        raise ConnectorInvalid("the database's URL cannot be read; its port is a number.") from exc
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConnectorInvalid(
            "connectors are written for PostgreSQL: postgresql://user:password@host:5432/database. "
            "For another database take its connector of Debezium, with the same topics and converters."
        )
    name = unquote(parts.path.strip("/"))
    if not parts.hostname or not parts.username or not name:
        raise ConnectorInvalid(
            "the database's URL names host, user and database: postgresql://user@host/database."
        )
    return Database(
        parts.hostname,
        port,
        name,
        unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        dict(parse_qsl(parts.query)),
    )


def read_table(text: str) -> Table:
    """Return the table that `schema.table` names; without a schema it is in `public`.

    Raises:
        ConnectorInvalid: a part is no identifier of letters, digits, _ and $.
    """
    schema, _, name = text.rpartition(".")
    table = Table(schema or "public", name)
    if not _IDENTIFIER.fullmatch(table.schema) or not _IDENTIFIER.fullmatch(table.name):
        raise ConnectorInvalid("a table is named schema.table, of letters, digits, _ and $.")
    return table


def source_connector(
    contract: SourceContract,
    database: Database,
    table: Table,
    *,
    names: TopicNames,
    partitions: int = PARTITIONS_DEFAULT,
    cid_field: str | None = None,
) -> Connector:
    """Return the connector that tells every change of the source's table to its records topic.

    Only columns that the contract reads leave the database; after a change of the contract's mapping the
    configuration is written and posted again.

    Args:
        cid_field: the column in which the source keeps its CID; told too, as evidence that it arrived.
    """
    records = names.records(contract.name)
    captured = f"{names.prefix}.cdc.{contract.name}"
    slot = _slot_name(names, contract.name)
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.user": database.user,
        **({} if database.password is None else {"database.password": database.password}),
        "database.dbname": database.name,
        **{f"database.{name}": database.options[name] for name in _TLS_OPTIONS if name in database.options},
        "topic.prefix": captured,
        "table.include.list": re.escape(str(table)),
        **_column_options(contract, table, cid_field),
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": slot,
        "publication.autocreate.mode": "filtered",
        "snapshot.mode": "initial",
        # Truncations are skipped by default; decimals and times are not readable by default.
        "skipped.operations": "none",
        "tombstones.on.delete": "true",
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "interval.handling.mode": "string",
        "hstore.handling.mode": "json",
        "poll.interval.ms": "20",
        # A slot that is never confirmed keeps the log for ever. The heartbeat writes to the log of this database, so
        # that there is something to confirm while the table is quiet, and is told: it says how far the log is.
        "heartbeat.interval.ms": "10000",
        "heartbeat.action.query": f"SELECT pg_logical_emit_message(true, '{_HEARTBEAT}', '')",
        "message.prefix.include.list": re.escape(_HEARTBEAT),
        "event.processing.failure.handling.mode": "fail",
        "errors.tolerance": "none",
        "key.converter": _JSON,
        "key.converter.schemas.enable": "false",
        "value.converter": _JSON,
        "value.converter.schemas.enable": "false",
        "header.converter": _JSON,
        "header.converter.schemas.enable": "false",
        "transforms": "records,marks",
        "transforms.records.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.records.regex": re.escape(f"{captured}.{table}"),
        "transforms.records.replacement": records,
        "transforms.marks.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.marks.regex": re.escape(f"{captured}.message"),
        "transforms.marks.replacement": records,
        # `sameas topics apply` comes first; a topic made here all the same has the partitions of the plan.
        "topic.creation.groups": "records",
        "topic.creation.records.include": re.escape(records),
        "topic.creation.records.partitions": str(partitions),
        "topic.creation.records.replication.factor": "-1",
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": "-1",
    }
    return Connector(f"{names.prefix}-source-{contract.name}", config)


def sink_connector(source: str, database: Database, table: Table, *, names: TopicNames) -> Connector:
    """Return the connector that writes the source's assignments into the table of CIDs (`table_sql`)."""
    config = {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "2",
        "topics": names.assignments(source),
        "connection.url": _jdbc_url(database),
        "connection.username": database.user,
        **({} if database.password is None else {"connection.password": database.password}),
        "connection.restart.on.errors": "true",
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "primary.key.fields": "source_key",
        "schema.evolution": "none",
        "collection.name.format": str(table),
        "quote.identifiers": "true",
        "key.converter": _JSON,
        "key.converter.schemas.enable": "true",
        "value.converter": _JSON,
        "value.converter.schemas.enable": "true",
        # A sink that starts before its topic exists finds it after this long (default five minutes).
        "consumer.override.metadata.max.age.ms": "5000",
        # A message that cannot be written goes to a topic of its own, to be looked at; the sink goes on.
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": names.dead_letters(source),
        "errors.deadletterqueue.topic.replication.factor": "-1",
        "errors.deadletterqueue.context.headers.enable": "true",
        "errors.log.enable": "true",
        "errors.log.include.messages": "false",
    }
    return Connector(names.sink(source), config)


def table_sql(table: Table) -> str:
    """Return the statement that creates the table of CIDs."""
    return f"""\
CREATE TABLE IF NOT EXISTS {table.quoted} (
    source_key text PRIMARY KEY,
    cid text,
    status text NOT NULL,
    version bigint NOT NULL,
    assigned_at timestamptz NOT NULL
);
"""


def copying_sql(contract: SourceContract, table: Table, customers: Table, *, cid_column: str = "cid") -> str:
    """Return the statements that copy each CID from its table into the customer table's column.

    Only rows that differ are updated. A source key that no row can bear (text where the column is a number) is
    passed over. A row that is inserted takes the CID that its key has: where a row goes and comes again before the
    first is noticed, nothing changes in the crosswalk, and nothing would be told.

    Raises:
        ConnectorInvalid: the contract names no column of the table as its key.
    """
    columns = _key_columns(contract)
    if columns is None or not _IDENTIFIER.fullmatch(cid_column):
        raise ConnectorInvalid(
            f"the contract of {contract.name} does not name the customer table's key columns (`key`); "
            "state them there, or write the trigger by hand."
        )
    # Qualified by the block's label: a column of the customer table may bear the name of a variable.
    parts = [
        ("sameas_copy.said" if len(columns) == 1 else f"sameas_copy.said::jsonb ->> {n}")
        for n in range(len(columns))
    ]
    declared = "".join(f'    key_{n} {customers.quoted}."{one}"%TYPE;\n' for n, one in enumerate(columns))
    assigned = "".join(f"        key_{n} := {part};\n" for n, part in enumerate(parts))
    wanted = " AND ".join(f'"{one}" = sameas_copy.key_{n}' for n, one in enumerate(columns))
    function = f'"{table.schema}"."{table.name[:57]}_copy"'
    taking = f'"{table.schema}"."{table.name[:57]}_take"'
    own = [f'NEW."{one}"::text' for one in columns]
    # A composite source key is the JSON array of its parts, as texts and without spaces.
    array = ", ',', ".join(f"to_json({one})" for one in own)
    told_key = own[0] if len(columns) == 1 else f"concat('[', {array}, ']')"
    return f"""\
ALTER TABLE {customers.quoted} ADD COLUMN IF NOT EXISTS "{cid_column}" text;

CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $copy$
#variable_conflict use_column
<<sameas_copy>>
DECLARE
    said text;
    given {customers.quoted}."{cid_column}"%TYPE;
{declared}BEGIN
    IF TG_OP = 'DELETE' THEN
        said := OLD.source_key;
    ELSE
        said := NEW.source_key;
        given := NEW.cid;
    END IF;
    BEGIN
{assigned}    EXCEPTION WHEN data_exception THEN
        RETURN NULL; -- no row of the customer table can bear this key
    END;
    UPDATE {customers.quoted} SET "{cid_column}" = sameas_copy.given
    WHERE {wanted} AND "{cid_column}" IS DISTINCT FROM sameas_copy.given;
    RETURN NULL;
END
$copy$;

DROP TRIGGER IF EXISTS sameas_copy ON {table.quoted};
CREATE TRIGGER sameas_copy AFTER INSERT OR UPDATE OR DELETE ON {table.quoted}
FOR EACH ROW EXECUTE FUNCTION {function}();

CREATE OR REPLACE FUNCTION {taking}() RETURNS trigger LANGUAGE plpgsql AS $take$
BEGIN
    IF NEW."{cid_column}" IS NULL THEN
        SELECT told.cid INTO NEW."{cid_column}" FROM {table.quoted} told
        WHERE told.source_key = {told_key} AND told.status = 'live';
    END IF;
    RETURN NEW;
END
$take$;

DROP TRIGGER IF EXISTS sameas_take ON {customers.quoted};
CREATE TRIGGER sameas_take BEFORE INSERT ON {customers.quoted}
FOR EACH ROW EXECUTE FUNCTION {taking}();
"""  # noqa: S608 - every name in it is an identifier of letters, digits, _ and $


def _column_options(contract: SourceContract, table: Table, cid_field: str | None) -> dict[str, str]:
    """Return the options that choose columns; none where the contract does not say which is the key."""
    keys = _key_columns(contract)
    if keys is None:
        return {}
    specs: list[PathSpec] = [list(keys), *_specs(contract.mapping or canonical_mapping(None))]
    specs += _specs(contract.alternate_paths)
    if cid_field is not None:
        specs.append(cid_field)
    paths = {path for spec in specs for path in paths_of(spec)}
    # A dotted path leads into a column, or is the name of one.
    columns = sorted(paths | {path.partition(".")[0] for path in paths})
    chosen = "|".join(re.escape(column) for column in columns)
    return {
        "column.include.list": f"{re.escape(str(table))}\\.({chosen})",
        "message.key.columns": f"{re.escape(str(table))}:{','.join(keys)}",
    }


def _specs(paths: Mapping[str, str | tuple[str, ...]] | Mapping[str, PathSpec]) -> list[PathSpec]:
    return [path if isinstance(path, str) else list(path) for path in paths.values()]


def _key_columns(contract: SourceContract) -> tuple[str, ...] | None:
    """Return the columns of the source key, None where they are not known or lie inside a column."""
    if contract.key_path is None:
        return None
    columns = (contract.key_path,) if isinstance(contract.key_path, str) else contract.key_path
    return columns if all(_IDENTIFIER.fullmatch(column) for column in columns) else None


def _slot_name(names: TopicNames, source: str) -> str:
    """Return a name of a replication slot: a-z, 0-9 and _, at most 63; a changed one stays apart by a digest."""
    stated = f"{names.prefix}_{source}"
    name = stated.replace("-", "_")
    return (
        name
        if name == stated and len(name) <= 63
        else f"{name[:54]}_{sha256(stated.encode()).hexdigest()[:8]}"
    )


def _jdbc_url(database: Database) -> str:
    query = urlencode(database.options)
    host = f"[{database.host}]" if ":" in database.host else database.host
    return f"jdbc:postgresql://{host}:{database.port}/{quote(database.name)}" + (f"?{query}" if query else "")
