"""Read what a source states about one record into a command, or refuse it with a reason.

Invariant: one reader for HTTP bodies, NDJSON lines, files and streams: the same statement gives the
same command whatever way it came. Messages name fields only, never what they hold.
Elsewhere: cleaning attributes (`matching.standardise`), deciding about versions (`identity.decide`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from identity.contract import SourceContract, check_key, check_source_name, is_key_text
from identity.errors import ContractRefused, EffectiveInFuture, StatementRefused
from identity.model import Cause, CauseKind, Cid, CidTarget, Instant, RecordCommand, RecordRef, SameAs
from matching.errors import Category
from matching.standardise import clean_attributes

__all__ = [
    "LineMalformed",
    "format_instant",
    "is_cid_text",
    "parse_instant",
    "read_line",
    "read_row",
    "read_statement",
]

EFFECTIVE_AHEAD_MAX_US: Final = 60 * 1_000_000
VERSION_MAX: Final = 2**63 - 1
_BODY_FIELDS: Final = frozenset(("attributes", "effective_at", "version", "alternate_keys", "same_as"))
_LINE_FIELDS: Final = _BODY_FIELDS | {"key", "withdrawn"}
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RECORD_CAUSE: Final = Cause(CauseKind.RECORD, "")


class LineMalformed(StatementRefused):
    """A line or body is not a JSON object."""

    code = "malformed"
    category = Category.INCORRECT


def parse_instant(value: object, field: str) -> Instant | None:
    """Return an RFC 3339 time with its offset as an `Instant`; None stays None."""
    if value is None:
        return None
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):  # no such day, or none of the years 1 to 9999 in UTC
            moment = None
        if moment is not None:
            delta = moment - _EPOCH
            return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    raise StatementRefused(f"{field} is a time as in RFC 3339 with its offset, such as 2026-11-23T09:30:00Z.")


def format_instant(instant: Instant) -> str:
    """Return the instant as RFC 3339 in UTC with microseconds."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def is_cid_text(text: str) -> bool:
    """Tell whether a text has the form of a CID."""
    return _UUID.fullmatch(text) is not None


def read_line(contract: SourceContract, line: bytes, *, author: str, now: Instant) -> RecordCommand:
    """Return the command of one NDJSON line: a statement, or a withdrawal (`"withdrawn": true`)."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise LineMalformed("The line is not JSON (UTF-8, one object a line).") from exc
    if not isinstance(body, dict):
        raise LineMalformed("The line is not a JSON object.")
    if not body.keys() <= _LINE_FIELDS:
        raise StatementRefused(_unknown_fields(body, _LINE_FIELDS))
    return _read(contract, body.get("key"), body, author=author, now=now)


def read_statement(
    contract: SourceContract,
    key: object,
    body: Mapping[str, object],
    *,
    author: str,
    now: Instant,
    cause: Cause = _RECORD_CAUSE,
) -> RecordCommand:
    """Return the command of a body that states one record under `key`."""
    if not body.keys() <= _BODY_FIELDS:
        raise StatementRefused(_unknown_fields(body, _BODY_FIELDS))
    return _read(contract, key, body, author=author, now=now, cause=cause)


def read_row(
    contract: SourceContract,
    key: object,
    body: Mapping[str, object],
    *,
    author: str,
    now: Instant,
    cause: Cause,
) -> RecordCommand:
    """Return the command of a file's row: a statement, or a withdrawal (`"withdrawn": true`)."""
    return _read(contract, key, body, author=author, now=now, cause=cause)


def _read(
    contract: SourceContract,
    key: object,
    body: Mapping[str, object],
    *,
    author: str,
    now: Instant,
    cause: Cause = _RECORD_CAUSE,
) -> RecordCommand:
    ref = RecordRef(contract.name, check_key(contract, key))
    withdrawn = body.get("withdrawn")
    if withdrawn is not None and not isinstance(withdrawn, bool):
        raise StatementRefused("withdrawn is true or false.")
    attributes: dict[str, object] | None = None
    if withdrawn:
        if body.get("attributes") or body.get("same_as"):
            raise StatementRefused("A withdrawal states no attributes and no same_as.")
    else:
        stated = body.get("attributes")
        if not isinstance(stated, dict | Mapping):
            raise StatementRefused("attributes is missing or not an object.")
        attributes = clean_attributes(stated)
    version = body.get("version")
    if version is not None and (
        not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= VERSION_MAX
    ):
        raise StatementRefused("version is a whole number from 0 to 2^63-1, or null.")
    effective_at = parse_instant(body.get("effective_at"), "effective_at")
    if effective_at is not None and effective_at > now + EFFECTIVE_AHEAD_MAX_US:
        raise EffectiveInFuture(
            "effective_at is more than a minute ahead of the clock; send it when it holds."
        )
    return RecordCommand(
        ref=ref,
        attributes=attributes,
        version=version,
        effective_at=effective_at,
        alternate_keys=_alternate_keys(body.get("alternate_keys")),
        same_as=None if withdrawn else _same_as(body.get("same_as"), ref),
        author=author,
        cause=cause,
    )


def _alternate_keys(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > 16:
        raise StatementRefused("alternate_keys is an object of at most 16 texts.")
    for name, text in value.items():
        if not is_key_text(text) or not is_key_text(name) or len(name) > 63:
            raise StatementRefused(
                "alternate_keys is an object of texts of 1 to 512 characters, none of them a control character."
            )
    return dict(value)


def _same_as(value: object, own: RecordRef) -> SameAs | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        if value.keys() == {"cid"} and isinstance(cid := value["cid"], str) and is_cid_text(cid):
            return CidTarget(Cid(cid))
        if value.keys() == {"source", "key"}:
            source, key = value["source"], value["key"]
            if isinstance(source, str) and isinstance(key, str) and is_key_text(key):
                try:
                    check_source_name(source)
                except ContractRefused as exc:
                    raise StatementRefused("same_as names a source that cannot exist.") from exc
                target = RecordRef(source, key)
                return None if target == own else target
    raise StatementRefused('same_as is {"source", "key"} or {"cid"}.')


def _unknown_fields(body: Mapping[str, object], allowed: frozenset[str]) -> str:
    count = len(body.keys() - allowed)
    return f"The statement has {count} unknown field(s); it takes {', '.join(sorted(allowed))}."
