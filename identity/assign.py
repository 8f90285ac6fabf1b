"""Name the clusters of a component: which CID each one keeps or takes back, what becomes of the others.

Pure, and free of the order in which clusters and records are handed in. Each CID and each cluster is
taken once; nothing here issues a CID (a cluster that ends without one is for the caller to name).
Elsewhere: which records stand together (`matching.partition`), what a change of CID does to the
history of a record (`identity.history`).

The steps, as a caller takes them:
  1. `take_overlaps`   clusters keep live CIDs of their records;
  2. `take_back`       nameless clusters take back retired CIDs that their records bore;
  3. the caller issues a new CID for each cluster that is still nameless;
  4. `decide_fates`    live CIDs that no cluster took are merged, split or withdrawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from identity.errors import InvariantBroken
from identity.model import Cid, CidStatus, RecordRef, order_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

__all__ = ["CidFate", "decide_fates", "follow_successors", "take_back", "take_overlaps"]


@dataclass(frozen=True, slots=True)
class CidFate:
    """What a live CID that no cluster took has become; successors are live, largest part first."""

    status: CidStatus
    successors: tuple[Cid, ...] = ()


def take_overlaps(
    clusters: Sequence[Sequence[RecordRef]], old_cids: Mapping[RecordRef, Cid]
) -> list[Cid | None]:
    """Return for each cluster the live CID that it keeps, or None.

    Overlaps (old CID, cluster) are taken by: most records, oldest CID (smallest text), smallest
    record of the overlap.

    Args:
        clusters: disjoint groups of records.
        old_cids: the live CID that a record bears now; records without one are absent.
    """
    record_counts: dict[tuple[Cid, int], int] = {}
    for place, cluster in enumerate(clusters):
        for ref in cluster:
            cid = old_cids.get(ref)
            if cid is not None:
                record_counts[cid, place] = record_counts.get((cid, place), 0) + 1
    return _take_in_order(
        record_counts,
        cluster_count=len(clusters),
        smallest_record=lambda cid, place: min(
            order_bytes(ref) for ref in clusters[place] if old_cids.get(ref) == cid
        ),
    )


def take_back(
    unnamed: Sequence[Sequence[RecordRef]], borne: Mapping[RecordRef, Collection[Cid]]
) -> list[Cid | None]:
    """Return for each nameless cluster the retired CID that it takes back, or None.

    It is the one that more of its records bore than any other (one bearer is enough); precedence
    as in `take_overlaps`.

    Args:
        unnamed: disjoint groups of records that kept no live CID.
        borne: the revivable CIDs that a record bore at any time: merged, split or withdrawn ones,
            never an erased one, never one that is live or was live when this change began.
    """
    record_counts: dict[tuple[Cid, int], int] = {}
    for place, cluster in enumerate(unnamed):
        for ref in cluster:
            for cid in set(borne.get(ref, ())):
                record_counts[cid, place] = record_counts.get((cid, place), 0) + 1
    return _take_in_order(
        record_counts,
        cluster_count=len(unnamed),
        smallest_record=lambda cid, place: min(
            order_bytes(ref) for ref in unnamed[place] if cid in borne.get(ref, ())
        ),
    )


def decide_fates(
    clusters: Sequence[Sequence[RecordRef]], *, names: Sequence[Cid], old_cids: Mapping[RecordRef, Cid]
) -> dict[Cid, CidFate]:
    """Return what becomes of each old CID that is not among `names`.

    It is merged when its records went to one cluster, split when to several, withdrawn when none of
    its records is in a cluster any more. Successors: most of its records first, then smallest record.

    Args:
        clusters: the groups of records after the change.
        names: the CID of each cluster.
        old_cids: the live CID of each record before the change, with *all* records of each CID,
            those that are withdrawn now included.
    """
    left_over = set(old_cids.values()).difference(names)
    if not left_over:
        return {}
    parts: dict[Cid, dict[int, list[tuple[bytes, bytes]]]] = {cid: {} for cid in sorted(left_over)}
    for place, cluster in enumerate(clusters):
        for ref in cluster:
            cid = old_cids.get(ref)
            if cid is not None and cid in left_over:
                parts[cid].setdefault(place, []).append(order_bytes(ref))
    return {cid: _decide_fate(by_place, names=names) for cid, by_place in parts.items()}


def follow_successors(cid: Cid, redirect: Mapping[Cid, tuple[CidStatus, tuple[Cid, ...]]]) -> tuple[Cid, ...]:
    """Return the live CIDs that `cid` stands for now, however many steps away, without repeats.

    A live CID stands for itself; a withdrawn or erased one for nothing. The order is that of the
    successors, each replaced by its own. Successors that lead in a circle are walked once.

    Raises:
        InvariantBroken: a CID on the way is not in `redirect`.
    """
    found: dict[Cid, None] = {}
    seen: set[Cid] = set()
    waiting = [cid]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        if at not in redirect:
            raise InvariantBroken(f"CID {at}, reached from {cid}, was never issued here")
        status, successors = redirect[at]
        if status is CidStatus.LIVE:
            found[at] = None
        else:
            waiting.extend(reversed(successors))
    return tuple(found)


def _take_in_order(
    record_counts: Mapping[tuple[Cid, int], int],
    *,
    cluster_count: int,
    smallest_record: Callable[[Cid, int], tuple[bytes, bytes]],
) -> list[Cid | None]:
    taken: list[Cid | None] = [None] * cluster_count
    if not record_counts:
        return taken
    if cluster_count == 1:
        taken[0] = min(record_counts, key=lambda overlap: (-record_counts[overlap], overlap[0]))[0]
        return taken
    named: set[Cid] = set()
    # An overlap that nothing contests needs no order; computing its smallest record would cost more.
    if len({cid for cid, _ in record_counts}) == len(record_counts):
        ordered = sorted(record_counts, key=lambda overlap: (-record_counts[overlap], overlap[0]))
    else:
        ordered = sorted(
            record_counts,
            key=lambda overlap: (-record_counts[overlap], overlap[0], smallest_record(*overlap)),
        )
    for cid, place in ordered:
        if taken[place] is None and cid not in named:
            taken[place] = cid
            named.add(cid)
    return taken


def _decide_fate(parts: Mapping[int, list[tuple[bytes, bytes]]], *, names: Sequence[Cid]) -> CidFate:
    if not parts:
        return CidFate(CidStatus.WITHDRAWN)
    ordered = sorted(parts, key=lambda place: (-len(parts[place]), min(parts[place])))
    status = CidStatus.MERGED if len(ordered) == 1 else CidStatus.SPLIT
    return CidFate(status, tuple(names[place] for place in ordered))
