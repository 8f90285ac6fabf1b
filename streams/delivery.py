"""What is known of one record's CID on its way back to its source: assigned, sent, acknowledged, by which evidence.

1. A change of the crosswalk assigns: the record has a CID that its source must get to know.
2. Sending is noted, and is no evidence.
3. An acknowledgement says which CID the source has. Only the CID that the record has now closes the gap, and only
   what came after its assignment: a record that went and comes again, or a CID that left and came back, is a new gap.
4. While it is open, `gap` is the oldest version that the source published without its CID: the watermark stays below.

Invariant: pure; the same facts in another order end in the same answer to "does the source have the CID".
Elsewhere: keeping deliveries (`streams.ledger`), counting them (`streams.coverage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from identity.model import Cid, Instant, RecordRef

__all__ = [
    "NO_NUMBER",
    "Acknowledgement",
    "Assignment",
    "Delivery",
    "Evidence",
    "Gap",
    "KeyNow",
    "Sent",
    "acknowledge_delivery",
    "assign_delivery",
    "note_sent",
]

NO_NUMBER: Final = -1
"""Stands for the number of a version that has none; smaller than any."""


class Evidence(IntEnum):
    """How it is known that a source has a CID; the smaller, the stronger."""

    CID_SEEN = 1
    """Read in the source's own stream of changes, in the contract's `cid_field`."""
    READ_BACK = 2
    """Read in the table that the CID was written to."""
    WEBHOOK = 3
    """The source answered 2xx when it was told."""
    SINK_OFFSET = 4
    """The sink's consumer group has committed an offset past the row."""

    @property
    def label(self) -> str:
        """The name of it in answers and documents."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The source of this record was found to have this CID.

    `cid` is the CID that was delivered or read, whatever the crosswalk says by now. None says that the source's
    own column is empty; only what reads that column can say so, and it opens only what the same evidence had closed.
    `known_at` is of the change that was delivered, where that is known: it says nothing of later ones.
    """

    ref: RecordRef
    cid: Cid | None
    evidence: Evidence
    at: Instant
    known_at: Instant | None = None


class KeyNow(NamedTuple):
    """A key in the crosswalk as of a transaction, of which the ledger may not have been told yet."""

    cid: Cid | None
    since: Instant
    """When it changed last, in whatever way."""
    key_version: int


class Sent(NamedTuple):
    """A record's CID was handed over: by a message at a place of the assignments topic, or in another way."""

    ref: RecordRef
    version: int
    at: Instant
    part: int | None = None
    offset: int | None = None


class Gap(NamedTuple):
    """The oldest version that lacks its CID; ordered as the source orders its versions."""

    epoch: int
    number: int
    at: Instant


class Assignment(NamedTuple):
    """One change of a key in the crosswalk: its CID from now on, and the record's version then.

    `is_live` is None for a change that leaves CID and status as they are (`backdated`).
    """

    source: str
    cid: Cid | None
    key_version: int
    is_live: bool | None
    at: Instant
    gap: Gap


class Delivery(NamedTuple):
    """One row of the ledger, in the order of its columns."""

    rid: int
    source: str
    cid: Cid | None = None
    key_version: int = 0
    is_live: bool = False
    assigned_at: Instant | None = None
    sent_version: int = 0
    sent_at: Instant | None = None
    sent_part: int | None = None
    sent_offset: int | None = None
    acked_cid: Cid | None = None
    acked_at: Instant | None = None
    evidence: int | None = None
    gap_epoch: int = 0
    gap_number: int = NO_NUMBER
    gap_at: Instant = 0
    is_open: bool = False

    @property
    def is_covered(self) -> bool:
        """True when the source has the CID that the record has now."""
        return self.is_live and not self.is_open

    @property
    def gap(self) -> Gap:
        """The oldest version that lacks its CID, while it is open."""
        return Gap(self.gap_epoch, self.gap_number, self.gap_at)


def assign_delivery(held: Delivery, change: Assignment) -> Delivery:
    """Return the delivery after a change of the crosswalk; one that was looked at before changes nothing."""
    if change.key_version <= held.key_version:
        return held
    if change.is_live is None:
        return held._replace(key_version=change.key_version)
    is_same = held.is_live and change.cid == held.cid
    assigned_at = held.assigned_at if is_same else change.at
    moved = held._replace(
        cid=change.cid, key_version=change.key_version, is_live=change.is_live, assigned_at=assigned_at
    )
    return _reckon(moved, held, change.gap)


def note_sent(held: Delivery, sent: Sent) -> Delivery:
    """Return the delivery after it was handed over; an older change than the last one sent changes nothing."""
    if sent.version < held.sent_version:
        return held
    return held._replace(
        sent_version=sent.version, sent_at=sent.at, sent_part=sent.part, sent_offset=sent.offset
    )


def acknowledge_delivery(held: Delivery, told: Acknowledgement, *, now: KeyNow) -> Delivery:
    """Return the delivery after an acknowledgement.

    The CID that the record has now counts, unless it was delivered by an earlier change than the one that assigned
    it; of two evidences for it the stronger is kept, and the earlier time. Another CID says that the source is
    behind: it takes nothing back that was known in another way, because it may have been on its way for longer.
    """
    is_followed = held.key_version >= now.key_version
    assigned_at = (held.assigned_at or 0) if is_followed else now.since
    at = _time_of(told, now.cid, assigned_at)
    acked_at = held.acked_at or 0
    if told.cid is not None and told.cid == held.acked_cid and not acked_at < assigned_at <= at:
        evidence = told.evidence if held.evidence is None else min(told.evidence, held.evidence)
        return held._replace(evidence=int(evidence))
    if told.cid is None:
        is_news = held.evidence == told.evidence
    else:
        is_behind = held.acked_cid is None or held.acked_cid != now.cid
        is_behind |= is_followed and acked_at < assigned_at
        is_news = is_behind or told.cid == now.cid or held.evidence == told.evidence
    if not is_news:
        return held
    if told.cid is None:
        # What was sent had arrived and is gone: that a sink has written it shows nothing any more.
        moved = held._replace(acked_cid=None, acked_at=None, evidence=None, sent_part=None, sent_offset=None)
    else:
        moved = held._replace(acked_cid=told.cid, acked_at=at, evidence=int(told.evidence))
    return _reckon(moved, held, held.gap)


def _time_of(told: Acknowledgement, now_cid: Cid | None, assigned_at: Instant) -> Instant:
    """Return the time by which an acknowledgement counts for an assignment.

    Clocks of several machines differ: what is told in a transaction that sees the CID in the crosswalk came after its
    assignment. What names the change that it is of counts for that one, and not for a later one.
    """
    if told.known_at is not None and (told.cid != now_cid or told.known_at < assigned_at):
        return told.known_at
    return told.at if told.cid != now_cid else max(told.at, assigned_at)


def _reckon(moved: Delivery, held: Delivery, gap: Gap) -> Delivery:
    """Say whether the gap is open; one that was open stays open from where it began."""
    has_it = moved.acked_cid == moved.cid and (moved.acked_at or 0) >= (moved.assigned_at or 0)
    is_open = moved.is_live and (moved.cid is None or not has_it)
    begins = min(held.gap, gap) if held.is_open else gap
    return moved._replace(is_open=is_open, gap_epoch=begins.epoch, gap_number=begins.number, gap_at=begins.at)
