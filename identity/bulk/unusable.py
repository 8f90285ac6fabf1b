"""Count by blocking rule what keys that too many hold skipped in a load.

Invariant: the count of a load is that of its records stated in one batch: how often a record held such a key. The value
behind a key stays here.
Elsewhere: the same for records one by one (`identity.census`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from identity.bulk.new_records import NewRecords
    from identity.bulk.stored_side import StoredHolders
    from matching.block import KeyRevealer

__all__ = ["count_unusable"]


def count_unusable(
    new: NewRecords,
    stored: StoredHolders,
    *,
    left: npt.NDArray[np.int64],
    holders_max: int,
    reveal: KeyRevealer,
) -> Counter[str]:
    """Return by rule how often a new record holds a key that too many hold.

    Args:
        left: places of records that are counted elsewhere, since they are resolved one by one.
    Cost: one pass over the keys of all profiles; a profile is opened for each unusable key.
    """
    keys = new.held_keys[new.held_counts + stored.count(new.held_keys) > holders_max]
    if not len(keys):
        return Counter()
    records_of = np.bincount(new.profile_of, minlength=new.profile_count)
    records_of -= np.bincount(new.profile_of[left], minlength=new.profile_count)
    counts = np.zeros(len(keys), dtype=np.int64)
    holder_of = np.full(len(keys), -1, dtype=np.int64)
    for table in new.profiles.iter_tables():
        hashes = table.hashes.flatten().to_numpy()
        places = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        is_unusable = keys[places] == hashes
        places = places[is_unusable]
        holders = np.repeat(table.numbers.to_numpy(), np.diff(table.hashes.offsets.to_numpy()))[is_unusable]
        np.add.at(counts, places, records_of[holders])
        holder_of[places] = holders
    by_rule: Counter[str] = Counter()
    for key, holder, count in zip(keys.tolist(), holder_of.tolist(), counts.tolist(), strict=True):
        if count:
            by_rule[reveal(new.open_profile(holder))[key][0]] += count
    return by_rule
