"""What the store holds under the keys of a load is counted."""

from __future__ import annotations

import numpy as np

from identity.bulk.stored_side import StoredHolders


def test_stored_holders_are_counted_by_key() -> None:
    keys, none = np.array([3, 7, 9]), np.empty(0, dtype=np.int64)
    stored = StoredHolders(keys, np.array([2, 5, 1]), (none, none), lambda _pids: iter(()), lambda _pids: [])

    assert stored.count(np.array([1, 3, 8, 9, 12])).tolist() == [0, 2, 0, 1, 0]
    assert StoredHolders.none().count(np.array([1, 3])).tolist() == [0, 0]
