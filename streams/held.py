"""Find the version that a change lands on.

Which version that is: of those kept whose number is not greater than the change's own, the greatest. So a change
that comes again is completed from itself and is recognised; one that comes late, from what was so at its time. A
change without a number lands on the current version.

Invariant: what is found here without a lock is checked in the transaction that relies on it (`is_as_found`).
Elsewhere: completing changes (`streams.completing`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from identity.contract import SourceContract
from identity.model import RecordRef
from identity.store_sql import tables
from identity.store_sql.transaction import SqlTransaction

__all__ = ["HeldVersion", "count_versions", "find_held", "is_as_found"]


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """What a change lands on; `attributes` is None where nothing is held, or a withdrawal."""

    version_count: int
    version: int | None = None
    attributes: Mapping[str, object] | None = None


def find_held(
    tx: SqlTransaction, wanted: Mapping[RecordRef, int | None], contracts: Mapping[str, SourceContract]
) -> dict[RecordRef, HeldVersion]:
    """Return what a change of each record, with this version number under its contract, lands on."""
    found = {ref: HeldVersion(0) for ref in wanted}
    version = tables.record_version
    for ref, row in tx.read_records(list(wanted)).items():
        kept = tx.connection.execute(
            select(
                version.c.vid,
                version.c.version,
                version.c.effective_at,
                version.c.known_at,
                version.c.superseded_at,
                version.c.contract_version,
            ).where(version.c.rid == row.rid)
        ).all()
        contract = contracts[ref.source]
        number = wanted[ref]
        vid: int | None = row.vid
        if number is not None:
            ranked = [
                ((-1 if one.version is None else one.version, one.effective_at or 0, one.known_at), one.vid)
                for one in kept
                if one.contract_version >= contract.epoch_since
                and (one.version is None or one.version <= number)
            ]
            # Else of former epochs, whose numbers mean nothing here, the one that was current last.
            former = [
                ((one.superseded_at,), one.vid) for one in kept if one.contract_version < contract.epoch_since
            ]
            vid = max(ranked or former)[1] if ranked or former else None
        if vid is None:
            found[ref] = HeldVersion(len(kept))
            continue
        held = tx.read_version(vid)
        attributes = None if held.statement is None else held.statement["attributes"]
        assert attributes is None or isinstance(attributes, dict)
        stated = next(one for one in kept if one.vid == vid)
        held_number = contract.number_now(stated.version, contract_version=stated.contract_version)
        found[ref] = HeldVersion(len(kept), held_number, attributes)
    return found


def is_as_found(tx: SqlTransaction, found: Mapping[RecordRef, int]) -> bool:
    """Tell whether nobody else stored a version of these records since they had this many.

    Args:
        found: records with the number of versions before; this transaction has resolved one command of each at most.
    """
    counts = count_versions(tx, list(found))
    return all(counts.get(ref, 0) <= count + 1 for ref, count in found.items())


def count_versions(tx: SqlTransaction, refs: Collection[RecordRef]) -> dict[RecordRef, int]:
    """Return how many versions are kept of each record that is stored."""
    rids = {row.rid: ref for ref, row in tx.read_records(refs).items()}
    if not rids:
        return {}
    rid = tables.record_version.c.rid
    rows = tx.connection.execute(select(rid, func.count()).where(rid.in_(sorted(rids))).group_by(rid))
    return {rids[one]: count for one, count in rows}
