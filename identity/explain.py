"""Say why two records stand for the same customer, or do not: comparisons, constraints, judgements.

Invariant: the weights are those that the partition used, computed anew from the stored profiles; nothing
is stored. The answer holds levels and numbers, never a value of an attribute.
Elsewhere: the partition (`identity.region`), what a comparison measures (`matching.compare`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from identity.errors import RecordUnknown
from identity.judge import JudgementFact, bindings
from identity.model import FOREVER, Cid, Instant, JudgementClass, KeyStatus, RecordRef, Verdict
from identity.prepare import Preparer
from identity.region import Partitioner
from identity.scoring_models import ModelBook
from identity.store import VersionRow
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SqlTransaction, open_version
from matching.model import Profile

__all__ = ["explain_records"]


def explain_records(
    store: SqlStore,
    left: RecordRef,
    right: RecordRef,
    *,
    known_at: Instant | None,
    models: ModelBook,
    one_each: frozenset[str],
) -> dict[str, object]:
    """Return every comparison of two records with its level and bits, what binds them, and the decision.

    Raises:
        RecordUnknown: one of them was not stated by then, or was withdrawn then.
    """
    with store.inspect() as tx:
        matcher = models.read_within(tx.connection)
        preparer, partitioner = matcher.preparer, matcher.partitioner
        ours, our_cid = _read_side(tx, left, known_at)
        theirs, their_cid = _read_side(tx, right, known_at)
        facts = _read_facts(tx, (left, right), known_at)
        stated = known_at is None and _states_same_as(tx, preparer, left, right)
        shared = set(preparer.blocker(_profile(ours))) & set(preparer.blocker(_profile(theirs)))
        limit = partitioner.model.holders_max
        holders = tx.read_holders(shared, limit=limit + 1)
    usable = sum(len(holders.get(key, ())) <= limit for key in shared)
    score = partitioner.scorer.explain_pair(
        _profile(ours), _profile(theirs), left_source=left.source, right_source=right.source, same_as=stated
    )
    constraint = score.conflict
    if constraint is None and left.source == right.source and left.source in one_each:
        constraint = "one_per_customer"
    together = our_cid == their_cid
    return {
        "left": {"source": left.source, "key": left.key, "cid": our_cid},
        "right": {"source": right.source, "key": right.key, "cid": their_cid},
        "weight": score.weight / 1000,
        "probability": score.probability,
        "prior": score.prior / 1000,
        "same_as": score.same_as / 1000,
        "dependence": score.dependence / 1000,
        "comparisons": [
            {
                "name": one.name,
                "level": one.level,
                "bits": one.millibits / 1000,
                "frequency_bits": one.term_millibits / 1000,
            }
            for one in score.comparisons
        ],
        "shared_keys": {"usable": usable, "too_common": len(shared) - usable},
        "constraint": constraint,
        "judgements": [
            {"id": fact.id, "verdict": fact.verdict.value, "author": fact.author, "reason": fact.reason}
            for fact in facts
        ],
        "scoring_model": partitioner.model.version,
        "decision": "same" if together else "apart",
        "why": _say_why(
            together=together,
            weight=score.weight,
            usable=usable,
            shared=len(shared),
            constraint=constraint,
            facts=facts,
            pair=(left, right),
            partitioner=partitioner,
        ),
    }


def _say_why(
    *,
    together: bool,
    weight: int,
    usable: int,
    shared: int,
    constraint: str | None,
    facts: list[JudgementFact],
    pair: tuple[RecordRef, RecordRef],
    partitioner: Partitioner,
) -> str:
    binding = bindings(facts, set(pair) | {ref for fact in facts for ref in (*fact.left, *fact.right)})
    if together and any(set(pair) <= group for group in binding.joined):
        return "A judgement says that they are the same."
    if any(set(apart) == set(pair) for apart in binding.apart):
        return "A judgement says that they are different."
    link_min = partitioner.model.link_thresholds_millibits[0]
    bits = f"{weight / 1000:+.1f} bits"
    if together:
        if weight >= link_min and usable:
            return f"They link with {bits}, and their cluster holds together on average."
        return f"Their own weight is {bits}; other records of the customer hold them together."
    if constraint is not None:
        return f"A constraint keeps them apart: {constraint}."
    if weight < link_min:
        return f"Their weight of {bits} is below the link threshold of {link_min / 1000:+.1f} bits."
    if not usable:
        common = "the keys they share are held by too many" if shared else "they share no blocking key"
        return f"They would link with {bits}, but {common}, so they were not candidates."
    return f"They link with {bits}, but the clusters around them fit better apart, on average over all pairs."


def _profile(version: VersionRow) -> Profile:
    assert version.profile is not None
    return version.profile


def _read_side(tx: SqlTransaction, ref: RecordRef, known_at: Instant | None) -> tuple[VersionRow, Cid | None]:
    version, record, history = tables.record_version, tables.record, tables.crosswalk_history
    at = FOREVER - 1 if known_at is None else known_at
    columns: list[Any] = [version.c[name] for name in VersionRow._fields[:9]]
    columns += [version.c.sealed_statement, version.c.sealed_profile, record.c.data_key]
    row = tx.connection.execute(
        select(*columns)
        .join(record, record.c.rid == version.c.rid)
        .where(
            record.c.source == ref.source,
            record.c.key == ref.key,
            version.c.known_at <= at,
            version.c.superseded_at > at,
        )
    ).first()
    if row is None:
        raise RecordUnknown(f"A record of source {ref.source} that was named was not stated by then.")
    opened = open_version(row, tx.sealer)
    if opened.profile is None:
        raise RecordUnknown(f"A record of source {ref.source} that was named was withdrawn then.")
    found = tx.connection.execute(
        select(history.c.cid, history.c.status).where(
            history.c.rid == opened.rid,
            history.c.system_from <= at,
            history.c.system_to > at,
            history.c.valid_to == FOREVER,
        )
    ).first()
    return opened, found.cid if found is not None and found.status == KeyStatus.LIVE.value else None


def _read_facts(
    tx: SqlTransaction, pair: tuple[RecordRef, RecordRef], known_at: Instant | None
) -> list[JudgementFact]:
    """Return the judgements in force then that name one of the two records."""
    judgement, named = tables.judgement, tables.judgement_record
    at = FOREVER - 1 if known_at is None else known_at
    rows = tx.connection.execute(
        select(judgement, named.c.side, named.c.source, named.c.key)
        .join(named, named.c.judgement_id == judgement.c.id)
        .where(judgement.c.system_from <= at, judgement.c.system_to > at)
        .where(
            judgement.c.id.in_(
                select(named.c.judgement_id).where(
                    ((named.c.source == pair[0].source) & (named.c.key == pair[0].key))
                    | ((named.c.source == pair[1].source) & (named.c.key == pair[1].key))
                )
            )
        )
        .order_by(judgement.c.id)
    ).mappings()
    sides: dict[str, tuple[Any, list[RecordRef], list[RecordRef]]] = {}
    for row in rows:
        entry = sides.setdefault(row["id"], (row, [], []))
        entry[1 + row["side"]].append(RecordRef(row["source"], row["key"]))
    return [
        JudgementFact(
            fact_id, Verdict(row["verdict"]), JudgementClass(row["class"]), tuple(lefts), tuple(rights),
            row["author"], row["reason"],
        )
        for fact_id, (row, lefts, rights) in sides.items()
    ]  # fmt: skip


def _states_same_as(tx: SqlTransaction, preparer: Preparer, left: RecordRef, right: RecordRef) -> bool:
    """True when one record's source states as evidence that it is the other."""
    rows = tx.read_records((left, right))
    for one, other in ((left, right), (right, left)):
        named = tx.find_named([preparer.hasher.ref_hash(other)])
        if any(
            not row.judgement_id and row.stating_rid == rows[one].rid and row.ref == other for row in named
        ):
            return True
    return False
