"""Read a change that Debezium captured in a source's table.

Three forms of one change:
- the envelope `{"op", "before", "after", "source", ...}`: c, u, r (snapshot) state the row after, d withdraws,
  t (truncate) withdraws all that is older, m (a message in the log) says nothing;
- the row alone, as ExtractNewRecordState flattens it, with `__op`, `__deleted`, `__lsn` ... in the row or in
  headers, as the connector was told;
- null after a deletion (a tombstone).
Each of them, and the key, may stand in `{"schema", "payload"}`.

What is read from where:
1. The source key: by the contract's path in the row after; of a deletion in the key and the row before, of which
   PostgreSQL's default replica identity sends the primary key only. Its other columns are null there and mean
   nothing.
2. The version: the change's position in the source's log (LSN), which grows with each change of a row. A column
   mapped to `version` counts where there is no LSN.
3. A changed primary key comes as a deletion with the header `__debezium.newkey` and a creation with
   `__debezium.oldkey`, of one LSN: a rename, told twice.

Invariant: pure, and total: every change becomes one value of `streams.model`; a reader is compiled once a contract.
Elsewhere: which form a message has (`streams.message`), column values (`streams.column_values`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import orjson

from identity.contract import SourceContract
from identity.model import Instant
from streams.column_values import ColumnReader
from streams.errors import KeyMissing, RowMalformed, RowRefused
from streams.mapping import PathSpec, Row, canonical_mapping, compile_key, compile_mapping
from streams.model import (
    Headers,
    Ignored,
    NotTaken,
    Rename,
    SourceMessage,
    Statement,
    Truncation,
    Withdrawal,
)
from streams.targets import paths_of

__all__ = ["ChangeReader", "Decoded", "is_envelope", "unwrap"]

Change = Mapping[str, object]

_NEW_KEY: Final = "__debezium.newkey"
_OLD_KEY: Final = "__debezium.oldkey"
_MESSAGE_KEY: Final = "\0message key"
"""Column that a row gets where the contract names no key: the whole key of the message."""


class Decoded(NamedTuple):
    """A message's key or value, taken out of `{"schema", "payload"}` where it stood in it."""

    payload: object
    schema: Change | None = None


class ChangeReader:
    """Reads the changes of one source under one version of its contract."""

    def __init__(self, contract: SourceContract, *, cid_field: str | None = None) -> None:
        """Compile the contract's mapping.

        Args:
            cid_field: path of the column in which the source keeps the CID that it was given.
        Raises:
            MappingInvalid: the contract's mapping names no identity attribute.
        """
        key = _spec(contract.key_path) if contract.key_path is not None else None
        mapping = {name: _spec(path) for name, path in contract.mapping.items()} or canonical_mapping(None)
        alternates = {name: _spec(path) for name, path in contract.alternate_paths.items()}
        self._has_key_path = key is not None
        self._read_key = compile_key(key or _MESSAGE_KEY)
        self._read_row = compile_mapping(
            key or _MESSAGE_KEY, mapping, alternate_keys=alternates, columns=None
        )
        self._read_cid = None if cid_field is None else compile_key(cid_field)
        self._targets = _targets_by_column(mapping)
        specs = [
            *mapping.values(),
            *alternates.values(),
            *([key] if key else []),
            *([cid_field] if cid_field else []),
        ]
        columns = [path for spec in specs for path in paths_of(spec)]
        roots = {path.partition(".")[0] for path in columns if "." in path}
        self._columns = ColumnReader(
            frozenset(columns) | roots,
            nested=frozenset(roots),
            dates=_sole_columns(mapping.get("birth_date")),
            instants=_sole_columns(mapping.get("effective_at")),
        )

    def read_envelope(
        self, key: Decoded, change: Change, headers: Headers, *, schema: Change | None = None
    ) -> SourceMessage:
        """Return what the envelope says; `schema` is the envelope's, where the message carries it."""
        source = change.get("source")
        origin = source if isinstance(source, Mapping) else {}
        position = _Position(_number(origin.get("lsn")), _commit_instant(origin.get))
        operation = change.get("op")
        if operation in ("c", "u", "r"):
            return self._state(key, change.get("after"), headers, position, schema=_field(schema, "after"))
        if operation == "d":
            return self._withdraw(
                key, change.get("before"), headers, position, schema=_field(schema, "before")
            )
        if operation == "t":
            if position.version is None:
                return NotTaken(
                    "version_missing", "the truncation has no position in the source's log (source.lsn)."
                )
            return Truncation(position.version, position.committed_at)
        if operation == "m":
            return Ignored("log_message", position.version, position.committed_at)
        return NotTaken("row_malformed", "the envelope's op is none of c, u, d, r, t, m.")

    def read_flat(
        self, key: Decoded, row: Change, headers: Headers, *, schema: Change | None = None
    ) -> SourceMessage:
        """Return what a flattened row says; `schema` is the row's, where the message carries it."""
        told = {name: text for name, text in headers if name.startswith("__")}

        def of(name: str) -> object:
            value = row.get(f"__{name}", row.get(f"__source_{name}"))
            if value is None:
                raw = told.get(f"__{name}", told.get(f"__source_{name}"))
                value = None if raw is None else raw.decode("utf-8", "replace")
            return value

        position = _Position(_number(of("lsn")), _commit_instant(of))
        if of("deleted") in (True, "true") or of("op") == "d":
            return self._withdraw(key, row, headers, position, schema=schema)
        return self._state(key, row, headers, position, schema=schema)

    def read_tombstone(self, key: Decoded, headers: Headers) -> SourceMessage:
        """Return what a null says; after a changed primary key it says nothing that the changes do not."""
        if any(name == _NEW_KEY for name, _ in headers):
            return Ignored("tombstone")
        try:
            return Withdrawal(self._key_of(key, {}), is_tombstone=True)
        except RowRefused as refused:
            return NotTaken(refused.code, refused.detail)

    def _state(
        self, key: Decoded, after: object, headers: Headers, position: _Position, *, schema: Change | None
    ) -> SourceMessage:
        if not isinstance(after, Mapping):
            return NotTaken("row_malformed", "the change states no row (after).", self._find_key(key))
        known: str | None = None
        try:
            row, unavailable = self._columns(after, schema)
            if not self._has_key_path:
                row[_MESSAGE_KEY] = self._key_of(key, {})
            known = self._read_key(row)
            stated = self._read_stated(row, unavailable, position)
            old_key = self._renamed(headers, _OLD_KEY)
        except RowRefused as refused:
            return NotTaken(refused.code, refused.detail, known or self._find_key(key))
        if old_key is not None and old_key != stated.key:
            return Rename(old_key, stated.key, position.version, position.committed_at, stated)
        return stated

    def _read_stated(
        self, row: Row, unavailable: frozenset[str], position: _Position
    ) -> Statement | Withdrawal:
        mapped = self._read_row(row)
        version = mapped.version if position.version is None else position.version
        if mapped.attributes is None:
            return Withdrawal(mapped.key, version, mapped.effective_at, position.committed_at)
        targets = frozenset(target for column in unavailable for target in self._targets.get(column, ()))
        return Statement(
            mapped.key,
            mapped.attributes,
            version,
            mapped.effective_at,
            position.committed_at,
            mapped.alternate_keys,
            mapped.same_as,
            targets,
            None if self._read_cid is None else self._read_cid(row),
        )

    def _withdraw(
        self, key: Decoded, before: object, headers: Headers, position: _Position, *, schema: Change | None
    ) -> SourceMessage:
        try:
            row, _ = self._columns(before, schema) if isinstance(before, Mapping) else ({}, None)
            old_key = self._key_of(key, row)
            new_key = self._renamed(headers, _NEW_KEY)
        except RowRefused as refused:
            return NotTaken(refused.code, refused.detail)
        if new_key is None:
            return Withdrawal(old_key, position.version, None, position.committed_at)
        if new_key == old_key:
            return Ignored("primary_key_change")
        return Rename(old_key, new_key, position.version, position.committed_at)

    def _find_key(self, key: Decoded) -> str | None:
        """Return the source key as far as the message's key tells it."""
        try:
            return self._key_of(key, {})
        except RowRefused:
            return None

    def _renamed(self, headers: Headers, name: str) -> str | None:
        """Return the key that the header tells, None where the change has no such header."""
        for header, raw in headers:
            if header == name and raw is not None:
                try:
                    return self._key_of(unwrap(orjson.loads(raw)), {})
                except orjson.JSONDecodeError:
                    raise RowMalformed(
                        f"the header {name} is not JSON; set the connector's header.converter to Connect's JsonConverter."
                    ) from None
        return None

    def _key_of(self, key: Decoded, row: Row) -> str:
        """Return the source key by the message's key, and by the row where that does not tell it."""
        found: str | None = None
        if isinstance(key.payload, Mapping):
            if self._has_key_path:
                columns, _ = self._columns(key.payload, key.schema)
                found = self._read_key({**row, **columns})
            else:
                found = _read_whole_key(key.payload, key.schema)
        else:
            found = self._read_key(row) if self._has_key_path and row else None
            if found is None and key.payload is not None:
                found = _read_whole_key({"key": key.payload}, None)
        if found is None:
            raise KeyMissing(
                "neither the message's key nor the row before holds the contract's key. Set the connector's "
                "message.key.columns to it; for deletions the table's REPLICA IDENTITY has to cover it."
            )
        return found


class _Position:
    """Where in the source's log a change stands, and when it was committed."""

    __slots__ = ("committed_at", "version")

    def __init__(self, version: int | None, committed_at: Instant | None) -> None:
        self.version = version
        self.committed_at = committed_at


def unwrap(decoded: object) -> Decoded:
    """Return the payload of `{"schema", "payload"}` and its schema; anything else as it is, without one."""
    if isinstance(decoded, dict) and decoded.keys() == {"schema", "payload"}:
        schema = decoded["schema"]
        return Decoded(decoded["payload"], schema if isinstance(schema, dict) else None)
    return Decoded(decoded)


def is_envelope(payload: Mapping[str, object]) -> bool:
    """Tell whether a value is an envelope, not a row."""
    return "op" in payload and "source" in payload


def _spec(path: str | tuple[str, ...]) -> PathSpec:
    return path if isinstance(path, str) else list(path)


def _sole_columns(spec: PathSpec | None) -> frozenset[str]:
    paths = [] if spec is None else paths_of(spec)
    return frozenset(paths) if len(paths) == 1 else frozenset()


def _targets_by_column(mapping: Mapping[str, PathSpec]) -> dict[str, list[str]]:
    """Return what each column fills, by the path's whole and by its first step: either may be the column."""
    targets: dict[str, list[str]] = {}
    for target, spec in mapping.items():
        for path in paths_of(spec):
            for column in {path, path.partition(".")[0]}:
                targets.setdefault(column, []).append(target)
    return targets


def _read_whole_key(key: Change, schema: Change | None) -> str | None:
    """Return a message's key as the source key: its only part, or the JSON array of its parts."""
    parts, _ = ColumnReader(frozenset(key))(key, schema)
    paths = [f"part{position}" for position, _ in enumerate(key)]
    row = {path: parts.get(name) for path, name in zip(paths, key, strict=True)}
    return compile_key(paths[0] if len(paths) == 1 else paths)(row) if paths else None


def _field(schema: Change | None, name: str) -> Change | None:
    """Return the schema of a field of a struct."""
    fields = None if schema is None else schema.get("fields")
    if isinstance(fields, list):
        for one in fields:
            if isinstance(one, dict) and one.get("field") == name:
                return one
    return None


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _commit_instant(of: Callable[[str], object]) -> Instant | None:
    """Return when the change was committed, by the finest clock that the message has."""
    if (micros := _number(of("ts_us"))) is not None:
        return micros
    millis = _number(of("ts_ms"))
    return None if millis is None else millis * 1_000
