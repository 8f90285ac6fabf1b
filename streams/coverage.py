"""Say how many of a source's records have their CID in the source, and up to where all of them have.

The watermark is the greatest position of which this holds: whatever the source stated up to it has its CID
acknowledged. It is the smaller of
1. the frontier: up to there all that the source stated was taken (`streams.frontier` for streams; a source that is
   not streamed gets an answer to each statement, and is all there);
2. just below the oldest version that lacks its CID.
It goes back when the CID of an old record changes, until the new one has arrived.

Invariant: an answer is at most as far as the ledger has followed the crosswalk; `has_reached` waits for what was
committed before the question.
Cost: a fixed number of look-ups by index, whatever the store holds; `retired_in_use` and `lag_ms` read the rows that
they are about (those outdated now; the last 1,000 acknowledgements).
Elsewhere: the ledger (`streams.ledger`), routes (`streams.coverage_routes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection, and_, func, or_, select, text

from identity.contract import SourceContract
from identity.model import FOREVER, CidStatus, Instant
from identity.service import Identity
from identity.statement import format_instant
from identity.store_sql import tables
from streams.delivery import NO_NUMBER, Evidence
from streams.ledger import DeliveryLedger, Place
from streams.offsets import OffsetBook
from streams.positions import Position, format_lsn

__all__ = ["Coverage", "CoverageBook", "Watermark", "coverage_document", "watermark_document"]

_LAGS_MAX: Final = 1_000
_DAYS_OBSERVED: Final = 30
_DAY_US: Final = 86_400 * 1_000_000


class Watermark(NamedTuple):
    """Up to which version, and up to which time, all have their CID; None where that is not known or nothing has."""

    version: tuple[int, int] | None
    at: Instant | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known of one source's deliveries."""

    contract: SourceContract
    records: int
    with_current_cid: int
    oldest_gap_s: float | None
    lag_ms: tuple[float, float] | None
    retired_in_use: int
    evidence: Evidence | None
    watermark: Watermark
    observed_approach: int | None

    @property
    def share(self) -> float | None:
        """The share of records that have their CID; None where there are no records."""
        return self.with_current_cid / self.records if self.records else None

    @property
    def is_met(self) -> bool | None:
        """Whether the contract's objectives are met; None where it states none, or there is nothing to measure."""
        contract = self.contract
        met: list[bool] = []
        if contract.coverage_min is not None and self.share is not None:
            met.append(self.share >= contract.coverage_min)
        if contract.cid_within_s is not None and self.records:
            met.append((self.oldest_gap_s or 0.0) <= contract.cid_within_s)
        return all(met) if met else None


class CoverageBook:
    """Coverage of the sources of one store."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._store = identity.store

    def measure(self, source: str, *, now: Instant) -> Coverage:
        """Return the coverage of a source; raises SourceUnknown."""
        contract = self._identity.contracts.get(source).contract
        tally = tables.delivery_tally
        with self._store.read() as connection:
            sums = connection.execute(
                select(tally.c.records, tally.c.covered).where(tally.c.source == source)
            ).first()
            records, covered = (0, 0) if sums is None else (sums.records, sums.covered)
            evidence = _find_weakest(connection, source)
            return Coverage(
                contract=contract,
                records=records,
                with_current_cid=covered,
                oldest_gap_s=_find_oldest_gap(connection, source, now),
                lag_ms=_measure_lags(connection, source),
                retired_in_use=_count_retired(connection, source),
                evidence=evidence,
                watermark=_find_watermark(connection, source),
                observed_approach=_observe(connection, source, evidence, now),
            )

    def find_feed_end(self) -> Place:
        """Return the place of the last change that is committed."""
        event = tables.event
        with self._store.read() as connection:
            row = connection.execute(
                select(event.c.known_at, event.c.seq)
                .order_by(event.c.known_at.desc(), event.c.seq.desc())
                .limit(1)
            ).first()
        return (0, 0) if row is None else (row.known_at, row.seq)

    def has_reached(self, source: str, position: Position, *, since: Place) -> bool:
        """Tell whether all that a source stated up to a position has its CID.

        Args:
            since: what was committed up to here, when the question came, is looked at.
        """
        if DeliveryLedger(self._identity).find_place() < since:
            return False
        delivery = tables.delivery
        with self._store.read() as connection:
            is_older = (
                delivery.c.gap_at <= position.at
                if position.version is None
                else or_(
                    delivery.c.gap_epoch < position.version[0],
                    and_(
                        delivery.c.gap_epoch == position.version[0],
                        delivery.c.gap_number <= position.version[1],
                    ),
                )
            )
            gap = (
                select(delivery.c.rid).where(delivery.c.source == source, text("is_open"), is_older).limit(1)
            )
            if connection.execute(gap).first() is not None:
                return False
            is_streamed = source in OffsetBook.list_streamed(connection)
            frontier = _find_frontier(connection, source)
        if not is_streamed:
            # What it stated was answered. Where nothing was taken, or nothing with a number, its stream may not run yet.
            return (frontier.at if position.version is None else frontier.version) is not None
        if position.version is not None:
            return frontier.version is not None and frontier.version >= position.version
        return frontier.at is not None and position.at is not None and frontier.at >= position.at

    def list_gauges(self, *, now: Instant) -> dict[str, tuple[int, int, float]]:
        """Return of each source: live records, those with their CID, and the age of the oldest gap in seconds."""
        tally = tables.delivery_tally
        with self._store.read() as connection:
            rows = connection.execute(select(tally.c.source, tally.c.records, tally.c.covered)).all()
            return {
                row.source: (row.records, row.covered, _find_oldest_gap(connection, row.source, now) or 0.0)
                for row in rows
            }


def coverage_document(found: Coverage) -> dict[str, object]:
    """Return a coverage as the route shows it."""
    contract = found.contract
    lags = found.lag_ms or (None, None)
    objectives = {"cid_within_s": contract.cid_within_s, "coverage_min": contract.coverage_min}
    return {
        "source": contract.name,
        "records": found.records,
        "with_current_cid": found.with_current_cid,
        "share": found.share,
        "oldest_gap_s": found.oldest_gap_s,
        "lag_ms": {"p50": lags[0], "p99": lags[1]},
        "retired_in_use": found.retired_in_use,
        "evidence": None if found.evidence is None else found.evidence.label,
        "watermark": watermark_document(found.watermark),
        "objectives": objectives,
        "met": found.is_met,
        "approach": {"declared": contract.approach, "observed": found.observed_approach},
    }


def watermark_document(mark: Watermark) -> dict[str, object] | None:
    """Return a watermark as the routes show it; None where nothing is known."""
    if mark == (None, None):
        return None
    epoch, number = mark.version or (None, None)
    return {
        "epoch": epoch,
        "version": number,
        "lsn": None if number is None else format_lsn(number),
        "effective_at": None if mark.at is None else format_instant(mark.at),
    }


def _find_watermark(connection: Connection, source: str) -> Watermark:
    frontier = _find_frontier(connection, source)
    delivery = tables.delivery
    is_open = and_(delivery.c.source == source, text("is_open"))
    gap = connection.execute(
        select(delivery.c.gap_epoch, delivery.c.gap_number)
        .where(is_open)
        .order_by(delivery.c.gap_epoch, delivery.c.gap_number)
        .limit(1)
    ).first()
    if gap is None:
        return frontier
    gap_at = connection.scalar(select(delivery.c.gap_at).where(is_open).order_by(delivery.c.gap_at).limit(1))
    below = (gap.gap_epoch, gap.gap_number - 1)
    version = None if frontier.version is None else min(frontier.version, below)
    if version is not None and version[1] < 0:
        version = None  # nothing of this epoch: the gap is its first version, or has no number
    return Watermark(version, None if frontier.at is None or gap_at is None else min(frontier.at, gap_at - 1))


def _find_frontier(connection: Connection, source: str) -> Watermark:
    tally = tables.delivery_tally
    row = connection.execute(
        select(tally.c.frontier_epoch, tally.c.frontier_number, tally.c.frontier_at).where(
            tally.c.source == source
        )
    ).first()
    if row is None:
        return Watermark(None, None)
    has_number = row.frontier_number > NO_NUMBER
    return Watermark(
        (row.frontier_epoch, row.frontier_number) if has_number else None, row.frontier_at or None
    )


def _find_oldest_gap(connection: Connection, source: str, now: Instant) -> float | None:
    delivery = tables.delivery
    since = connection.scalar(
        select(delivery.c.assigned_at)
        .where(delivery.c.source == source, text("is_open"))
        .order_by(delivery.c.assigned_at)
        .limit(1)
    )
    return None if since is None else max(0, now - since) / 1_000_000


def _measure_lags(connection: Connection, source: str) -> tuple[float, float] | None:
    """Return p50 and p99 of how long the last deliveries took, from assignment to first evidence."""
    delivery = tables.delivery
    rows = connection.execute(
        select(delivery.c.assigned_at, delivery.c.acked_at)
        .where(delivery.c.source == source, text("acked_at IS NOT NULL AND is_live AND NOT is_open"))
        .order_by(delivery.c.acked_at.desc())
        .limit(_LAGS_MAX)
    )
    lags = sorted(
        max(0, acked_at - assigned_at) / 1_000 for assigned_at, acked_at in rows if assigned_at is not None
    )
    return (_percentile(lags, 50), _percentile(lags, 99)) if lags else None


def _percentile(values: Sequence[float], percent: int) -> float:
    return values[min(len(values) - 1, len(values) * percent // 100)]


def _count_retired(connection: Connection, source: str) -> int:
    delivery, state = tables.delivery, tables.cid_state
    return (
        connection.scalar(
            select(func.count())
            .select_from(delivery)
            .join(state, and_(state.c.cid == delivery.c.acked_cid, state.c.system_to == FOREVER))
            .where(
                delivery.c.source == source,
                text("is_open AND acked_cid IS NOT NULL"),
                state.c.status != CidStatus.LIVE.value,
            )
        )
        or 0
    )


def _find_weakest(connection: Connection, source: str) -> Evidence | None:
    delivery = tables.delivery
    found = connection.scalar(
        select(delivery.c.evidence)
        .where(delivery.c.source == source, text("is_live AND NOT is_open"))
        .order_by(delivery.c.evidence.desc())
        .limit(1)
    )
    return None if found is None else Evidence(found)


def _observe(connection: Connection, source: str, evidence: Evidence | None, now: Instant) -> int | None:
    """Return the approach that a source is seen to use.

    4: it had customers created under their CID. 3: CIDs are acknowledged to be in it, or the source's own system looked them
    up. 2: only products that are bound to it looked its keys up, 1: others did, or it is not known who.
    """
    born = select(tables.idempotency.c.rid).where(tables.idempotency.c.source == source).limit(1)
    if connection.execute(born).first() is not None:
        return 4
    if evidence is not None:
        return 3
    day, key = tables.look_up_day, tables.api_key
    asked = set(
        connection.scalars(
            select(day.c.serves).where(day.c.source == source, day.c.day > now // _DAY_US - _DAYS_OBSERVED)
        )
    )
    if not asked:
        return None
    if f"system:{source}" in asked:
        return 3
    bound: Mapping[str, set[str | None]] = {one: set() for one in asked if one.startswith("product:")}
    for serves, sources in connection.execute(
        select(key.c.serves, key.c.sources).where(key.c.serves.in_(sorted(bound)))
    ):
        bound[serves].add(sources)
    own = orjson.dumps([source]).decode()
    is_bound = len(bound) == len(asked) and all(sources == {own} for sources in bound.values())
    return 2 if is_bound else 1
