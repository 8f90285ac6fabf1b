"""Frozen values of identity: records, CIDs, their statuses, outcomes, events and history rows.

Invariant: an `Instant` is a whole number of microseconds since 1970-01-01T00:00:00Z; intervals are
half-open; an interval that has no end yet ends at `FOREVER`. Values here do no I/O.
Elsewhere: what the words mean (`docs/glossary.md`), the rules (`identity.assign`, `identity.history`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, NewType

__all__ = [
    "FOREVER",
    "Cause",
    "CauseKind",
    "Cid",
    "CidStatus",
    "CidTarget",
    "CrosswalkEvent",
    "EventType",
    "Instant",
    "JudgementClass",
    "KeyStatus",
    "Outcome",
    "RecordAnswer",
    "RecordCommand",
    "RecordRef",
    "SameAs",
    "Verdict",
    "order_bytes",
]

Cid = NewType("Cid", str)
"""The globally unique customer identifier: a UUIDv7 in canonical text form; older ones sort first."""

Instant = int
"""Microseconds since the Unix epoch, UTC."""

FOREVER: Final[Instant] = 253_402_300_799_999_999
"""The end of an interval that has not ended: the last microsecond of the year 9999."""


class RecordRef(NamedTuple):
    """Names one source record: the source and its key K, as text."""

    source: str
    key: str


def order_bytes(ref: RecordRef) -> tuple[bytes, bytes]:
    """Return what records are ordered by in every store: (source, K) as UTF-8 bytes."""
    return ref.source.encode(), ref.key.encode()


class KeyStatus(StrEnum):
    """What the crosswalk says of a (source, K) at an instant."""

    LIVE = "live"
    WITHDRAWN = "withdrawn"
    RENAMED = "renamed"
    HELD = "held"
    ERASED = "erased"
    UNKNOWN = "unknown"


class CidStatus(StrEnum):
    """What a CID stands for now; every status but `live` is a retired CID."""

    LIVE = "live"
    MERGED = "merged"
    SPLIT = "split"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"


class Outcome(StrEnum):
    """What a record's statement did, in order of precedence."""

    HELD = "held"
    WITHDRAWN = "withdrawn"
    SPLIT = "split"
    MERGED = "merged"
    LINKED = "linked"
    ISSUED = "issued"
    UPDATED = "updated"
    STALE = "stale"
    UNCHANGED = "unchanged"


class EventType(StrEnum):
    """How a key's row in the crosswalk changed."""

    ISSUED = "issued"
    LINKED = "linked"
    MOVED = "moved"
    MERGED = "merged"
    SPLIT = "split"
    WITHDRAWN = "withdrawn"
    RETURNED = "returned"
    RENAMED = "renamed"
    BACKDATED = "backdated"
    ERASED = "erased"


class CauseKind(StrEnum):
    """What kind of thing made a change of the crosswalk."""

    RECORD = "record"
    JUDGEMENT = "judgement"
    MODEL = "model"
    CONTRACT = "contract"
    LOAD = "load"
    ERASURE = "erasure"


class Cause(NamedTuple):
    """Names what made a change: its kind and an id within that kind (never personal data)."""

    kind: CauseKind
    ref: str


class Verdict(StrEnum):
    """What a judgement says of the records it names."""

    SAME = "same"
    DIFFERENT = "different"


class JudgementClass(StrEnum):
    """How strong a judgement's author is: stewards and trusted sources, then imported issuers."""

    STEWARD = "steward"
    ISSUER = "issuer"


class CidTarget(NamedTuple):
    """A `same_as` that names a CID; replaced by a record in the transaction that stores it."""

    cid: Cid


SameAs = RecordRef | CidTarget
"""A source's own word that its record is the same customer as another record, or as a CID."""


_RECORD_CAUSE: Final = Cause(CauseKind.RECORD, "")


@dataclass(frozen=True, slots=True)
class RecordCommand:
    """One statement of a source about one of its customers, or its withdrawal.

    `attributes` are canonical (DESIGN of `docs/architecture.md`, cleaned by
    `matching.standardise.clean_attributes`); None is a withdrawal. A withdrawal with `renamed_to` says that the
    record goes on under that key of its source: the statement of the new key, in the same transaction, takes
    over the CID and what judgements and `same_as` say of the old one.
    """

    ref: RecordRef
    attributes: dict[str, object] | None
    version: int | None = None
    effective_at: Instant | None = None
    alternate_keys: dict[str, str] = field(default_factory=dict)
    same_as: SameAs | None = None
    author: str = ""
    cause: Cause = _RECORD_CAUSE
    wished_cid: Cid | None = None  # given to the customer if the command has one issued
    renamed_to: str | None = None

    @property
    def is_withdrawal(self) -> bool:
        """True when the source says that it no longer has this customer."""
        return self.attributes is None


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """What one record command did: the CID at the commit of its batch, and the outcome."""

    ref: RecordRef
    cid: Cid | None
    outcome: Outcome
    known_at: Instant
    is_new: bool = False
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CrosswalkEvent:
    """One change of one key's row in the crosswalk; `version` counts the changes of that key."""

    seq: int
    id: str
    type: EventType
    source: str
    key: str
    cid: Cid | None
    previous_cid: Cid | None
    version: int
    valid_from: Instant
    known_at: Instant
    cause: Cause
