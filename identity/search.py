"""Find customers by attributes, before one is created; nothing is stored and nothing is locked.

Invariant: the candidates and weights are those that a record with these attributes would meet.
Elsewhere: resolving (`identity.resolve`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from identity.model import Cid, RecordRef, order_bytes
from identity.scoring_models import ModelBook
from identity.store_sql.opening import SqlStore
from matching.score import probability_of
from matching.standardise import clean_attributes, standardise

__all__ = ["SearchHit", "search_customers"]


class SearchHit(NamedTuple):
    """A customer that the attributes may stand for; `weight` in bits, that of its best record."""

    cid: Cid
    probability: float
    weight: float
    records: tuple[RecordRef, ...]


def search_customers(
    store: SqlStore,
    attributes: Mapping[str, object],
    *,
    models: ModelBook,
    limit: int,
    region: str | None = None,
    sources: Collection[str] | None = None,
) -> list[SearchHit]:
    """Return up to `limit` customers, best first, that link to these attributes.

    Raises:
        AttributesInvalid: an attribute has the wrong shape.
    """
    profile = standardise(clean_attributes(attributes), region=region).profile
    with store.inspect() as tx:
        matcher = models.read_within(tx.connection)
        partitioner, holders_max = matcher.partitioner, matcher.model.holders_max
        holders = tx.read_holders(matcher.preparer.blocker(profile), limit=holders_max + 1)
        pids = {pid for held in holders.values() if len(held) <= holders_max for pid in held}
        profiles = tx.read_profiles(pids)
        weights = {
            pid: partitioner.scorer.score_pair(profile, other, left_source="", right_source=source)
            for pid, (source, other) in profiles.items()
        }
        linked = {pid: weight for pid, weight in weights.items() if weight >= partitioner.link_min}
        rows = tx.read_records_of_profiles(linked)
    best: dict[Cid, int] = {}
    records: dict[Cid, list[RecordRef]] = {}
    for row in rows:
        if row.cid is None or row.pid is None or (sources is not None and row.source not in sources):
            continue
        best[row.cid] = max(best.get(row.cid, linked[row.pid]), linked[row.pid])
        records.setdefault(row.cid, []).append(row.ref)
    ordered = sorted(best, key=lambda cid: (-best[cid], cid))[:limit]
    return [
        SearchHit(
            cid, probability_of(best[cid]), best[cid] / 1000, tuple(sorted(records[cid], key=order_bytes))
        )
        for cid in ordered
    ]
