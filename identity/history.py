"""Keep the two clocks of a key: which CID it had on the source's clock, and since when we say so.

Invariant: of the rows of one key that are open on the system clock, exactly one covers each valid
instant from the first `valid_from` on. Rows are only closed and opened, never rewritten, so an
answer for a past `known_at` never changes.
Pure. Elsewhere: which CID a record gets (`identity.assign`), where rows are kept (`identity.store`).

What a change does:
  1. a record's own version that changes its CID or status opens a row at its `effective_at`. One
     that is not later than the row in force cannot open before it: it replaces that row;
  2. every other cause replaces the row in force, which keeps its `valid_from`;
  3. an effective time before the first `valid_from` moves that back and nothing else, whether the
     version that states it is the current one or a late older one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from identity.errors import InvariantBroken
from identity.model import FOREVER, Cid, Instant, KeyStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "HistoryEdit",
    "HistoryRow",
    "KeyChange",
    "OlderVersion",
    "OtherCause",
    "OwnVersion",
    "edit_history",
]


class HistoryRow(NamedTuple):
    """States what one key had in `[valid_from, valid_to)`, as said in `[system_from, system_to)`."""

    valid_from: Instant
    valid_to: Instant
    system_from: Instant
    system_to: Instant
    cid: Cid | None
    status: KeyStatus


@dataclass(frozen=True, slots=True)
class OwnVersion:
    """The record's own new current version; without an `effective_at` it takes effect on arrival."""

    cid: Cid | None
    status: KeyStatus
    effective_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class OtherCause:
    """Another record, a judgement, a scoring model or a contract gave the key this CID and status."""

    cid: Cid | None
    status: KeyStatus


@dataclass(frozen=True, slots=True)
class OlderVersion:
    """A version that arrived late and is not the current one."""

    effective_at: Instant | None


KeyChange = OwnVersion | OtherCause | OlderVersion


class HistoryEdit(NamedTuple):
    """Rows to close and rows to open for one change.

    `valid_from` is that of the row now in force: what the event of a changed CID or status carries.
    `backdated_to` is the new first `valid_from` where it moved back without that event telling it:
    a `backdated` event carries it. Both can be due for one change.
    """

    close: tuple[HistoryRow, ...]
    open: tuple[HistoryRow, ...]
    valid_from: Instant
    backdated_to: Instant | None = None

    @property
    def changed(self) -> bool:
        """True when the change says anything new."""
        return bool(self.open)


def edit_history(rows: Sequence[HistoryRow], change: KeyChange, system_at: Instant) -> HistoryEdit:
    """Return which rows end at `system_at`, and which begin there.

    Args:
        rows: the rows of one key that are open on the system clock, ordered by `valid_from`; empty
            for a key that was never accepted.
        change: what happened to the key. On an empty history an `OlderVersion` does nothing and an
            `OtherCause` (a held record let in) opens at `system_at`.
        system_at: when it is said; later than every `system_from` of `rows`, as a transaction's tick is.

    Raises:
        InvariantBroken: `system_at` is not later than the `system_from` of a row to close.
    """
    if isinstance(change, OtherCause):
        effective_at = rows[-1].valid_from if rows else system_at
    else:
        effective_at = system_at if change.effective_at is None else change.effective_at
    if not rows:
        if isinstance(change, OlderVersion):
            return HistoryEdit((), (), effective_at)
        opened = HistoryRow(effective_at, FOREVER, system_at, FOREVER, change.cid, change.status)
        return HistoryEdit((), (opened,), effective_at)

    first, in_force = rows[0], rows[-1]
    if not isinstance(change, OlderVersion) and (change.cid, change.status) != in_force[4:]:
        return _replace_in_force(rows, change, effective_at=effective_at, system_at=system_at)
    if effective_at >= first.valid_from:
        return HistoryEdit((), (), in_force.valid_from)
    _require_later(system_at, first)
    moved = _say_again(first, valid_from=effective_at, system_at=system_at)
    valid_from = effective_at if first is in_force else in_force.valid_from
    return HistoryEdit((first,), (moved,), valid_from, effective_at)


def _replace_in_force(
    rows: Sequence[HistoryRow],
    change: OwnVersion | OtherCause,
    *,
    effective_at: Instant,
    system_at: Instant,
) -> HistoryEdit:
    first, in_force = rows[0], rows[-1]
    _require_later(system_at, in_force)
    if effective_at > in_force.valid_from:
        ended = HistoryRow(
            in_force.valid_from, effective_at, system_at, FOREVER, in_force.cid, in_force.status
        )
        opened = HistoryRow(effective_at, FOREVER, system_at, FOREVER, change.cid, change.status)
        return HistoryEdit((in_force,), (ended, opened), effective_at)
    if len(rows) == 1:
        opened = HistoryRow(effective_at, FOREVER, system_at, FOREVER, change.cid, change.status)
        return HistoryEdit((in_force,), (opened,), effective_at)
    opened = HistoryRow(in_force.valid_from, FOREVER, system_at, FOREVER, change.cid, change.status)
    if effective_at >= first.valid_from:
        return HistoryEdit((in_force,), (opened,), in_force.valid_from)
    _require_later(system_at, first)
    moved = _say_again(first, valid_from=effective_at, system_at=system_at)
    return HistoryEdit((first, in_force), (moved, opened), in_force.valid_from, effective_at)


def _say_again(row: HistoryRow, *, valid_from: Instant, system_at: Instant) -> HistoryRow:
    return HistoryRow(valid_from, row.valid_to, system_at, FOREVER, row.cid, row.status)


def _require_later(system_at: Instant, row: HistoryRow) -> None:
    if system_at <= row.system_from:
        raise InvariantBroken(
            f"a change at system time {system_at} is not later than the row it replaces ({row.system_from}); "
            "take system times from the tick of a transaction, under the lock of the record"
        )
