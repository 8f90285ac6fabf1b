"""API keys: make, list, revoke and check them.

Invariant: only the SHA-256 of an API key is stored (32 random bytes need no slow hash); the text is shown
once, by `create`. A revoked key is refused at most a second later by every process.
Elsewhere: what a scope opens (`service.access`); the table (`identity.store_sql`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy import RowMapping

from identity.api.caller import Caller
from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.faults import translating
from service.errors import ApiKeyRefused, ApiKeyUnknown

__all__ = ["SCOPES", "ApiKeyRow", "ApiKeys", "granted_scopes"]

SCOPES: Final = ("read", "write", "steward", "admin")
_PREFIX: Final = "sk_"
_VERIFIED_US: Final = 1_000_000
_VERIFIED_COUNT_MAX: Final = 1_024

_IMPLIED: Final = {
    "read": frozenset({"read"}),
    "write": frozenset({"write"}),
    # A steward sees what is judged; stating records stays with the source that owns them.
    "steward": frozenset({"steward", "read"}),
    "admin": frozenset(SCOPES),
}

_TABLE: Final = tables.api_key
_SERVES: Final = re.compile(r"(system|product):[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """What is kept of an API key."""

    id: str
    name: str
    scopes: tuple[str, ...]
    sources: tuple[str, ...] | None
    created_at: Instant
    created_by: str
    revoked_at: Instant | None
    serves: str | None = None


def granted_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes with all that they imply: admin everything, steward also read."""
    return frozenset().union(*(_IMPLIED[scope] for scope in scopes))


class ApiKeys:
    """The API keys of one store; thread-safe."""

    def __init__(self, engine: sa.Engine, now: Callable[[], Instant]) -> None:
        self._engine = engine
        self._now = now
        self._verified: dict[bytes, tuple[Instant, Caller]] = {}

    def create(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        author: str,
        sources: Iterable[str] | None = None,
        text: str | None = None,
        serves: str | None = None,
    ) -> tuple[ApiKeyRow, str]:
        """Store a new API key; returns what is kept and the key's text, which is shown only here.

        Args:
            serves: what asks with it, `system:NAME` or `product:NAME`: coverage tells by it who looks keys up.
        """
        asked = tuple(dict.fromkeys(scopes))
        if not asked or not set(asked) <= set(SCOPES):
            raise ApiKeyRefused(f"an API key has scopes out of {', '.join(SCOPES)}")
        bound = tuple(sorted(set(sources))) if sources is not None else None
        if bound is not None and (not bound or "admin" in asked):
            raise ApiKeyRefused("a bound API key names at least one source and cannot be an admin's")
        if not name or len(name) > 200 or not name.isprintable():
            raise ApiKeyRefused("the name of an API key has 1 to 200 printable characters")
        if serves is not None and not _SERVES.fullmatch(serves):
            raise ApiKeyRefused("an API key serves system:NAME or product:NAME, a name of a-z, 0-9, _ and -")
        text = text or _PREFIX + secrets.token_urlsafe(32)
        row = ApiKeyRow(
            id=f"k_{secrets.token_hex(6)}",
            name=name,
            scopes=asked,
            sources=bound,
            created_at=self._now(),
            created_by=author,
            revoked_at=None,
            serves=serves,
        )
        statement = sa.insert(_TABLE).values(
            id=row.id,
            name=row.name,
            hash=_digest(text).hex(),
            scopes=orjson.dumps(row.scopes).decode(),
            sources=None if bound is None else orjson.dumps(bound).decode(),
            created_at=row.created_at,
            created_by=author,
            revoked_at=None,
            serves=serves,
        )
        with translating(), self._engine.begin() as connection:
            connection.execute(statement)
        return row, text

    def list_all(self) -> list[ApiKeyRow]:
        """Return all API keys ever made, revoked ones too, oldest first."""
        statement = sa.select(*_COLUMNS).order_by(_TABLE.c.created_at, _TABLE.c.id)
        with translating(), self._engine.connect() as connection:
            return [_row(found) for found in connection.execute(statement).mappings()]

    def revoke(self, key_id: str) -> None:
        """Refuse this API key from now on; raises ApiKeyUnknown if none in force has this id."""
        statement = (
            sa.update(_TABLE)
            .where(_TABLE.c.id == key_id, _TABLE.c.revoked_at.is_(None))
            .values(revoked_at=self._now())
        )
        with translating(), self._engine.begin() as connection:
            if connection.execute(statement).rowcount != 1:
                raise ApiKeyUnknown(
                    f"no API key in force has the id {key_id[:40]}; `sameas key list` shows all"
                )
        self._verified.clear()

    def is_known(self, text: str) -> bool:
        """True when this text was ever made an API key here, revoked or not."""
        statement = sa.select(_TABLE.c.id).where(_TABLE.c.hash == _digest(text).hex())
        with translating(), self._engine.connect() as connection:
            return connection.execute(statement).first() is not None

    def find_verified(self, text: str) -> Caller | None:
        """Return whose key this is if that was checked within the last second; touches no store."""
        kept = self._verified.get(_digest(text))
        return kept[1] if kept is not None and self._now() - kept[0] <= _VERIFIED_US else None

    def find_caller(self, text: str) -> Caller | None:
        """Return whose key this is, None if nobody's or revoked; remembers it for a second.

        The search is by digest, so its timing tells nothing about the text of any key.
        """
        digest, read_at = _digest(text), self._now()
        statement = sa.select(*_COLUMNS).where(_TABLE.c.hash == digest.hex(), _TABLE.c.revoked_at.is_(None))
        with translating(), self._engine.connect() as connection:
            found = connection.execute(statement).mappings().first()
        if found is None:
            self._verified.pop(digest, None)
            return None
        row = _row(found)
        caller = Caller(
            row.id,
            granted_scopes(row.scopes),
            None if row.sources is None else frozenset(row.sources),
            row.name,
            row.serves or "",
        )
        if len(self._verified) >= _VERIFIED_COUNT_MAX:
            self._verified.clear()
        self._verified[digest] = (read_at, caller)
        return caller


_COLUMNS: Final = tuple(column for column in _TABLE.c if column.name != "hash")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _row(found: RowMapping) -> ApiKeyRow:
    return ApiKeyRow(
        id=found["id"],
        name=found["name"],
        scopes=tuple(orjson.loads(found["scopes"])),
        sources=None if found["sources"] is None else tuple(orjson.loads(found["sources"])),
        created_at=found["created_at"],
        created_by=found["created_by"],
        revoked_at=found["revoked_at"],
        serves=found["serves"],
    )
