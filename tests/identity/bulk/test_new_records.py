"""New records count the holders of their blocking keys by distinct profile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.bulk.new_records import NewRecords
from identity.bulk.prepared_rows import ProfileTable
from matching.model import PROFILE_COLUMNS, encode_profile


class Profiles:
    """Two profiles, one a table."""

    def iter_tables(self) -> Iterator[ProfileTable]:
        for number, keys in enumerate(([5, -3], [5])):
            yield ProfileTable(pa.array([number]), pa.table({}), pa.array([keys], pa.list_(pa.int64())))

    def iter_encoded(self) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes]]]:
        for number in range(2):
            yield np.array([number]), [self.read(number)]

    def read(self, number: int) -> bytes:
        return encode_profile((f"kind {number}", *[None] * (len(PROFILE_COLUMNS) - 1)))


def test_holders_are_profiles_and_not_records() -> None:
    new = NewRecords.gather("crm", ["a", "b", "c"], np.array([0, 1, 1]), Profiles())

    assert (new.held_keys.tolist(), new.held_counts.tolist()) == ([-3, 5], [1, 2])
    assert new.profile_count == 2
    assert new.open_profile(1)[0] == "kind 1"
