"""What one message of a records topic says, whatever form it came in.

Invariant: frozen values; every message becomes exactly one of them, so that what was consumed can be counted.
What is not taken carries a code and a sentence, never a value of the message.
Elsewhere: reading messages (`streams.message`), taking them (the worker), what a statement may hold
(`identity.statement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from identity.model import Instant
from identity.statement import format_instant

__all__ = [
    "Headers",
    "Ignored",
    "NotTaken",
    "Rename",
    "SourceMessage",
    "Statement",
    "Truncation",
    "Withdrawal",
]

Headers = Sequence[tuple[str, bytes | None]]
"""Headers of a Kafka message, in order; a name may come twice."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The source states a record.

    `unavailable` names the targets of the mapping whose values the change did not carry: they are what the
    version held says (`streams.unavailable`). `seen_cid` is the CID that the source's own row bears: it shows
    that a delivery has arrived.
    """

    key: str
    attributes: dict[str, object]
    version: int | None = None
    effective_at: str | None = None
    committed_at: Instant | None = None
    alternate_keys: dict[str, str] = field(default_factory=dict)
    same_as: object = None
    unavailable: frozenset[str] = frozenset()
    seen_cid: str | None = None

    def to_body(self, *, now: Instant) -> dict[str, object]:
        """Return the statement in the shape of the record route's body.

        A change without an `effective_at` of its own holds from its commit on. The source's clock may be
        ahead of ours; its commit is then now.
        """
        body: dict[str, object] = {"attributes": self.attributes}
        if effective_at := self.effective_at or _commit_text(self.committed_at, now):
            body["effective_at"] = effective_at
        if self.version is not None:
            body["version"] = self.version
        if self.alternate_keys:
            body["alternate_keys"] = self.alternate_keys
        if self.same_as is not None:
            body["same_as"] = self.same_as
        return body


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The source no longer has the record.

    `is_tombstone`: a null that follows a deletion which was told already, or stands for one where nothing
    else tells it. It has no version, so it changes nothing once a version with a number is held.
    """

    key: str
    version: int | None = None
    effective_at: str | None = None
    committed_at: Instant | None = None
    is_tombstone: bool = False

    def to_body(self, *, now: Instant) -> dict[str, object]:
        """Return the withdrawal in the shape of one NDJSON line, without its key."""
        body: dict[str, object] = {"withdrawn": True}
        if effective_at := self.effective_at or _commit_text(self.committed_at, now):
            body["effective_at"] = effective_at
        if self.version is not None:
            body["version"] = self.version
        return body


@dataclass(frozen=True, slots=True)
class Rename:
    """The record's key changed; told twice, under the old key (without `then`) and under the new one."""

    old_key: str
    new_key: str
    version: int | None = None
    committed_at: Instant | None = None
    then: Statement | Withdrawal | None = None


@dataclass(frozen=True, slots=True)
class Truncation:
    """The source emptied its table: it no longer has any record older than this version."""

    version: int
    committed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """The message says nothing about a record; a mark in the source's log still says how far it is."""

    reason: str
    version: int | None = None
    committed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The message cannot be read; `key` is the record it is about, where at least that is known."""

    code: str
    detail: str
    key: str | None = None


SourceMessage = Statement | Withdrawal | Rename | Truncation | Ignored | NotTaken
"""What one message says."""


def _commit_text(committed_at: Instant | None, now: Instant) -> str | None:
    return None if committed_at is None else format_instant(min(committed_at, now))
