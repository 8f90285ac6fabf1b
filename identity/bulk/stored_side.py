"""Read what a load finds in the store: who holds the blocking keys of its records, and their profiles.

Invariant: all of it is read in one transaction that sees one state of the store; profiles are opened on the way
through and not kept.
Elsewhere: the SQL (`identity.store_sql.bulk_reads`), what the load makes of it (`identity.bulk.foresee`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from identity.store_sql import tables
from identity.store_sql.bulk_reads import iter_key_holders, iter_profiles

if TYPE_CHECKING:
    from identity.store_sql.sealing import Sealer
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["StoredHolders", "has_profiles", "read_stored_holders"]

Ids = npt.NDArray[np.int64]

_PIDS_A_QUERY: Final = 20_000


@dataclass(slots=True)
class StoredHolders:
    """What the store holds under the blocking keys of a load; counts above the limit may be too low."""

    keys: Ids  # ascending
    counts: Ids
    holders: tuple[Ids, Ids]  # (key, pid) of the keys that are within the limit
    iter_profiles: Callable[[Sequence[int]], Iterator[tuple[int, str, bytes]]]
    list_components: Callable[[Sequence[int]], list[tuple[int, int]]]  # (pid, component id)

    @classmethod
    def none(cls) -> StoredHolders:
        """Return those of an empty store."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, (empty, empty), lambda _pids: iter(()), lambda _pids: [])

    def count(self, keys: Ids) -> Ids:
        """Return how many stored profiles hold each of these keys."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.counts[places], 0)


def read_stored_holders(tx: SqlTransaction, keys: Ids, *, limit: int, sealer: Sealer) -> StoredHolders:
    """Read who holds these blocking keys, which ascend.

    Args:
        limit: of keys that more than so many profiles hold, the holders are not listed.
    """
    if not len(keys) or not has_profiles(tx):
        return StoredHolders.none()
    parts = list(iter_key_holders(tx, keys, limit=limit + 1))
    held = np.concatenate([one for one, _ in parts])
    pids = np.concatenate([one for _, one in parts])
    counts = np.bincount(np.searchsorted(keys, held), minlength=len(keys))
    is_within = (counts <= limit)[np.searchsorted(keys, held)]
    is_held = counts > 0

    def open_profiles(wanted: Sequence[int]) -> Iterator[tuple[int, str, bytes]]:
        for start in range(0, len(wanted), _PIDS_A_QUERY):
            yield from iter_profiles(tx, wanted[start : start + _PIDS_A_QUERY], sealer=sealer)

    def list_components(wanted: Sequence[int]) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for start in range(0, len(wanted), _PIDS_A_QUERY):
            found.extend(tx.read_components_of_profiles(wanted[start : start + _PIDS_A_QUERY]))
        return found

    return StoredHolders(
        keys[is_held], counts[is_held], (held[is_within], pids[is_within]), open_profiles, list_components
    )


def has_profiles(tx: SqlTransaction) -> bool:
    """Tell whether the store holds any profile."""
    return tx.connection.scalar(select(tables.profile.c.pid).limit(1)) is not None
