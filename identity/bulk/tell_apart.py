"""Tell the new records of a load from those that the store holds, and find what a snapshot lacks.

Invariant: nothing is written; what others store meanwhile is found again when a slice is stored.
Elsewhere: storing (`identity.bulk.load`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from sqlalchemy import select

from identity.bulk.prepared_rows import Positions
from identity.bulk.stored_side import has_profiles
from identity.contract_book import ContractBook
from identity.errors import WithdrawalsRefused
from identity.model import Instant, KeyStatus
from identity.store_sql import tables

if TYPE_CHECKING:
    from identity.bulk.prepared_rows import PreparedRows
    from identity.bulk.request import LoadRequest
    from identity.contract import SourceContract
    from identity.store_sql.opening import SqlStore

__all__ = ["Held", "find_absent", "find_new", "find_stored"]

_READ_BATCH: Final = 20_000
_FEW_ROWS: Final = 20_000


class Held(NamedTuple):
    """What is stored of a key before the load: digest (empty under another contract), numbers, place."""

    digest: bytes
    version: int | None
    effective_at: Instant | None


def find_stored(store: SqlStore, contract: SourceContract, rows: PreparedRows) -> dict[str, Held]:
    """Return what is stored of the keys of the file; of a long file everything of the source is read."""
    record = tables.record
    query = select(
        record.c.key, record.c.digest, record.c.version, record.c.effective_at, record.c.contract_version
    ).where(record.c.source == contract.name)
    queries = [query]
    if len(rows) < _FEW_ROWS:
        keys = sorted(set(rows.keys))
        queries = [query.where(record.c.key.in_(keys[at : at + 500])) for at in range(0, len(keys), 500)]
    found: dict[str, Held] = {}
    with store.read() as connection:
        for one in queries:
            for key, digest, version, effective_at, contract_version in connection.execute(
                one.execution_options(yield_per=10_000)
            ):
                is_current = contract_version == contract.version
                found[key] = Held(bytes(digest) if is_current else b"", version, effective_at)
    return found


def find_absent(
    store: SqlStore, request: LoadRequest, *, stated: Collection[str]
) -> list[tuple[str, int | None, Instant | None]]:
    """Return the live records whose keys the file lacks."""
    record = tables.record
    contract = ContractBook(store).get(request.source).contract
    absent: list[tuple[str, int | None, Instant | None]] = []
    live_count = 0
    with store.read() as connection:
        query = (
            select(record.c.key, record.c.version, record.c.effective_at, record.c.contract_version)
            .where(record.c.source == request.source, record.c.status == KeyStatus.LIVE.value)
            .order_by(record.c.key)
        )
        rows = connection.execute(query.execution_options(yield_per=10_000))
        for key, version, effective_at, contract_version in rows:
            live_count += 1
            if key not in stated:
                number = contract.number_now(version, contract_version=contract_version)
                absent.append((key, number, effective_at))
    if absent and len(absent) > request.withdraw_max * live_count:
        raise WithdrawalsRefused(
            f"The snapshot lacks {len(absent)} of {live_count} live records of source {request.source}, "
            f"more than {request.withdraw_max:.0%}. If that is right, say so with --withdraw-max."
        )
    return absent


def find_new(
    store: SqlStore, rows: PreparedRows, stored: Mapping[str, Held], *, records_min: int
) -> Positions:
    """Return the positions fit for the bulk path: the first of their key, plain, key and profile not stored.

    A stored profile stands for all its records: what a new one of them links to touches the stored one.
    """
    seen: set[str] = set()
    is_new = np.zeros(len(rows), dtype=np.bool_)
    for at, key in enumerate(rows.keys):
        if key not in seen:
            seen.add(key)
            is_new[at] = key not in stored
    new = np.flatnonzero(is_new & rows.is_plain)
    if len(new) < records_min:
        return new[:0]
    numbers, firsts = rows.number_profiles(new)
    is_stored = np.zeros(len(firsts), dtype=np.bool_)
    with store.inspect() as tx:
        if has_profiles(tx):
            for start in range(0, len(firsts), _READ_BATCH):
                digests = rows.read_digests(firsts[start : start + _READ_BATCH])
                found = {bytes(digest) for digest in tx.find_pids(digests)}
                is_stored[start : start + len(digests)] = [digest in found for digest in digests]
    return new[~is_stored[numbers]]
