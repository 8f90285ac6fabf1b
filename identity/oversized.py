"""Find the records that stand apart because too much is linked to them, and the values that glue them.

A component that is too large even at the last link threshold is left apart, except by judgement
(`matching.partition`, `identity.widen`). What made it so is mostly a value that many customers share by mistake:
a filler, the shop's own telephone number. Whoever mends it at its source, or judges, needs the value.

Invariant: the values are personal data and are returned to who asked, never logged or counted; who is bound to
sources is shown what records of these hold. Groups are those that links at the last threshold connect, by a value
or by the evidence of a `same_as`; only values are named.
Elsewhere: grouping (`identity.glue`), who may ask (`identity.api.reports`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Select, func, select, text

from identity.glue import GluedGroup, SharedValue, group_glued
from identity.model import RecordRef
from identity.region import PairScores
from identity.store_sql import tables

if TYPE_CHECKING:
    from identity.region import Partitioner
    from identity.store_sql.opening import SqlStore
    from identity.store_sql.transaction import SqlTransaction
    from matching.block import KeyRevealer
    from matching.model import Millibits
    from matching.scoring_model import ScoringModel

__all__ = ["Oversized", "count_oversized", "find_oversized"]

RECORDS_MAX: Final = 5_000
"""So many records are looked at, oldest first; more are counted and not grouped."""
KEYS_MAX: Final = 20_000
"""So many blocking keys are looked at, commonest first."""
PAIRS_MAX: Final = 100_000
"""So many pairs of profiles are scored."""
GROUPS_MAX: Final = 10
VALUES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Oversized:
    """The records that stand apart, counted, and the groups that they would be, largest first."""

    record_count: int
    groups: tuple[GluedGroup, ...]
    is_complete: bool  # False: there were more records, groups or pairs than are looked at


def count_oversized(store: SqlStore, model: ScoringModel) -> int:
    """Return how many records stand apart. Cost: an entry of a small index for each of them."""
    with store.read() as connection:
        return _count(connection, model, None)


def find_oversized(
    store: SqlStore, *, partitioner: Partitioner, reveal: KeyRevealer, sources: Collection[str] | None = None
) -> Oversized:
    """Return the records that stand apart, with what glues them.

    Args:
        sources: show only what records of these hold; they are grouped together with all others.
    Cost: bounded, whatever the size of the store: at most 5,000 profiles are opened, the holders of 20,000
        keys read and 100,000 pairs scored; a few seconds. Nothing where no record stands apart.
    """
    model = partitioner.model
    with store.inspect() as tx:
        count = _count(tx.connection, model, sources)
        if not count:
            return Oversized(0, (), is_complete=True)
        rows = _read_rows(tx, model)
        profiles = tx.read_profiles({row.pid for row in rows[:RECORDS_MAX]})
        stated = _find_stated_pairs(tx, rows[:RECORDS_MAX])
        held: dict[int, list[int]] = {}
        named: dict[int, tuple[str, str]] = {}
        for pid in sorted(profiles):
            for key, rule_and_value in reveal(profiles[pid][1]).items():
                held.setdefault(key, []).append(pid)
                named[key] = rule_and_value
        keys, has_all_keys = _find_shared_keys(tx, held, holders_max=model.holders_max)
    links = _Links(PairScores(partitioner.scorer, {}, profiles=profiles, fresh=()), model)
    judged: dict[int, set[int]] = {}
    for row in rows[:RECORDS_MAX]:
        judged.setdefault(row.component_id, set()).add(row.pid)
    groups = group_glued(
        [SharedValue(*named[key], tuple(held[key])) for key in keys],
        joined=[*judged.values(), *(pair for pair in stated if links.is_stated_link(*pair))],
        is_link=links.is_link,
        values_max=VALUES_MAX,
    )
    if sources is not None:
        own = {pid for pid, (source, _) in profiles.items() if source in sources}
        groups = [shown for group in groups if (shown := _restrict(group, own)).pids]
    is_complete = len(rows) <= RECORDS_MAX and has_all_keys and not links.is_cut and len(groups) <= GROUPS_MAX
    return Oversized(count, tuple(groups[:GROUPS_MAX]), is_complete)


class _Links:
    """Tells which profiles link at the last threshold, until too many pairs were scored."""

    def __init__(self, scores: PairScores, model: ScoringModel) -> None:
        self.is_cut = False
        self._scores = scores
        self._threshold = model.link_thresholds_millibits[-1]
        self._same_as = model.same_as_millibits

    def is_link(self, left: int, right: int) -> bool:
        return self._weighs(left, right, self._threshold)

    def is_stated_link(self, left: int, right: int) -> bool:
        return self._weighs(left, right, self._threshold - self._same_as)

    def _weighs(self, left: int, right: int, weight_min: Millibits) -> bool:
        if self._scores.scored_count >= PAIRS_MAX:
            self.is_cut = True
            return False
        return self._scores.weigh(left, right) >= weight_min


def _count(connection: Connection, model: ScoringModel, sources: Collection[str] | None) -> int:
    query = _standing_apart(select(func.count()).select_from(tables.record), model)
    if sources is not None:
        query = query.where(tables.record.c.source.in_(sorted(sources)))
    return int(connection.scalar(query) or 0)


def _standing_apart(query: Select[Any], model: ScoringModel) -> Select[Any]:
    """Narrow a query to the records that stand apart; in the words of the index that holds them."""
    return query.where(
        tables.record.c.component_level == len(model.link_thresholds_millibits),
        text("component_level > 0 AND component_id IS NOT NULL"),
    )


def _read_rows(tx: SqlTransaction, model: ScoringModel) -> Sequence[Any]:
    """Return the first records that stand apart, one more than are looked at."""
    record = tables.record
    columns = (record.c.rid, record.c.source, record.c.key, record.c.pid, record.c.component_id)
    query = _standing_apart(select(*columns), model).order_by(record.c.rid).limit(RECORDS_MAX + 1)
    return tx.connection.execute(query).all()


def _find_stated_pairs(tx: SqlTransaction, rows: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the profiles of which one's source states, as evidence, that it is the other."""
    pid_of = {row.rid: row.pid for row in rows}
    pid_named = {RecordRef(row.source, row.key): row.pid for row in rows}
    return [
        (pid_of[named.stating_rid], pid_named[named.ref])
        for named in tx.find_stated(list(pid_of))
        if named.ref in pid_named
    ]


def _find_shared_keys(
    tx: SqlTransaction, held: dict[int, list[int]], *, holders_max: int
) -> tuple[Sequence[int], bool]:
    """Return the usable keys that several profiles hold, and whether all of them were looked at."""
    shared = [key for key, pids in held.items() if 1 < len(pids) <= holders_max]
    shared.sort(key=lambda key: (-len(held[key]), key))
    asked = shared[:KEYS_MAX]
    holders = tx.read_holders(asked, limit=holders_max + 1)
    return [key for key in asked if len(holders.get(key, ())) <= holders_max], len(shared) <= KEYS_MAX


def _restrict(group: GluedGroup, own: Collection[int]) -> GluedGroup:
    """Return what the records of some sources hold of a group."""
    values = (one._replace(pids=tuple(pid for pid in one.pids if pid in own)) for one in group.values)
    held = sorted((one for one in values if one.pids), key=lambda one: -len(one.pids))
    return GluedGroup(group.pids.intersection(own), tuple(held))
