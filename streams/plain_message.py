"""Read a plain message of a source: its key is the source key, its value the statement.

    key    C-17
    value  {"attributes": {...}, "effective_at"?, "version"?, "alternate_keys"?, "same_as"?}     null: withdrawn

A null has no room for a version or a time; its headers `version` and `effective_at` may tell them. A record
whose versions have numbers is withdrawn only by a greater number, as on every other way in.

Invariant: pure, and total: every message becomes one value of `streams.model`.
Elsewhere: which messages are plain (`streams.message`), what a statement may hold (`identity.statement`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from identity.contract import SourceContract
from streams.model import Headers, NotTaken, SourceMessage, Statement, Withdrawal

__all__ = ["is_plain", "read_plain", "read_plain_null"]

_FIELDS: Final = frozenset(("attributes", "effective_at", "version", "alternate_keys", "same_as"))


def is_plain(payload: Mapping[str, object]) -> bool:
    """Tell whether a value is a plain statement."""
    return "attributes" in payload


def read_plain(contract: SourceContract, key: bytes | None, payload: Mapping[str, object]) -> SourceMessage:
    """Return what a plain message states; values are checked by `identity.statement`, which reads the body."""
    known = _key_text(contract, key)
    if isinstance(known, NotTaken):
        return known
    unknown = len(payload.keys() - _FIELDS)
    if unknown:
        return NotTaken(
            "statement_invalid",
            f"The statement has {unknown} unknown field(s); it takes {', '.join(sorted(_FIELDS))}.",
            known,
        )
    attributes = payload.get("attributes")
    if not isinstance(attributes, dict):
        return NotTaken("statement_invalid", "attributes is not an object.", known)
    version, effective_at = payload.get("version"), payload.get("effective_at")
    alternate_keys = payload.get("alternate_keys")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        return NotTaken("statement_invalid", "version is a whole number from 0 to 2^63-1, or null.", known)
    if effective_at is not None and not isinstance(effective_at, str):
        return NotTaken("statement_invalid", "effective_at is a time as in RFC 3339.", known)
    if alternate_keys is not None and not isinstance(alternate_keys, dict):
        return NotTaken("statement_invalid", "alternate_keys is an object of at most 16 texts.", known)
    return Statement(
        known,
        attributes,
        version,
        effective_at,
        alternate_keys=alternate_keys or {},
        same_as=payload.get("same_as"),
    )


def read_plain_null(contract: SourceContract, key: bytes | None, headers: Headers) -> SourceMessage:
    """Return the withdrawal that a null states."""
    known = _key_text(contract, key)
    if isinstance(known, NotTaken):
        return known
    told = {name: raw.decode("utf-8", "replace") for name, raw in headers if raw is not None}
    version = told.get("version")
    if version is not None and not (version.isascii() and version.isdigit()):
        return NotTaken("statement_invalid", "the header version is a whole number from 0 to 2^63-1.", known)
    return Withdrawal(known, None if version is None else int(version), told.get("effective_at"))


def _key_text(contract: SourceContract, key: bytes | None) -> str | NotTaken:
    """Return the key as text; a composite one in the one form that its JSON array has here."""
    if not key:
        return NotTaken("key_missing", "the message has no key; its key is the source key.")
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return NotTaken("encoding_invalid", "the message's key is not UTF-8.")
    if isinstance(contract.key_path, tuple):
        try:
            parts = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return orjson.dumps(parts).decode()
    return text
