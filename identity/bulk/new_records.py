"""The new records of a load by place, their distinct profiles by number.

Elsewhere: where they are kept (`identity.bulk.prepared_rows`), how they will stand (`identity.bulk.foresee`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.bulk.prepared_rows import ProfileTable
from matching.model import Profile, decode_profile
from matching.tabulate import ProfileTabler

__all__ = ["NewRecords", "ProfileReader"]

Places = npt.NDArray[np.int64]


@dataclass(slots=True)
class NewRecords:
    """The new records of a load, by place: key, profile number; the profiles by number."""

    source: str
    keys: list[str]
    profile_of: Places
    profile_count: int
    profiles: ProfileReader
    held_keys: Places  # every blocking key of the profiles, ascending
    held_counts: Places  # how many of them hold it

    @classmethod
    def gather(cls, source: str, keys: list[str], profile_of: Places, profiles: ProfileReader) -> NewRecords:
        """Return the records with their keys counted."""
        parts = [np.empty(0, dtype=np.int64)]
        count = 0
        for table in profiles.iter_tables():
            parts.append(table.hashes.flatten().to_numpy())
            count += len(table.numbers)
        held_keys, held_counts = np.unique(np.concatenate(parts), return_counts=True)
        return cls(source, keys, profile_of, count, profiles, held_keys, held_counts)

    def list_holders(self, is_useful: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
        """Return (keys, profile numbers), a row for each profile that holds a useful one of `held_keys`."""
        keys, numbers = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for table in self.profiles.iter_tables():
            hashes = table.hashes.flatten().to_numpy()
            holders = np.repeat(table.numbers.to_numpy(), np.diff(table.hashes.offsets.to_numpy()))
            wanted = is_useful[np.searchsorted(self.held_keys, hashes)]
            keys.append(hashes[wanted])
            numbers.append(holders[wanted])
        return np.concatenate(keys), np.concatenate(numbers)

    def iter_tabulated(
        self, is_wanted: npt.NDArray[np.bool_], tabler: ProfileTabler
    ) -> Iterator[tuple[pa.Array, pa.Table]]:
        """Yield the numbers and the columns, with term steps, of the wanted profiles."""
        for table in self.profiles.iter_tables():
            chosen = pa.array(is_wanted[table.numbers.to_numpy()])
            numbers = table.numbers.filter(chosen)
            if len(numbers):
                yield numbers, tabler.add_steps(table.columns.filter(chosen))

    def open_profile(self, number: int) -> Profile:
        """Return a profile by its number."""
        return decode_profile(self.profiles.read(number))


class ProfileReader(Protocol):
    """Gives the distinct profiles of new records by number."""

    def iter_tables(self) -> Iterator[ProfileTable]:
        """Yield all of them, some at a time."""

    def iter_encoded(self) -> Iterator[tuple[Places, list[bytes]]]:
        """Yield their numbers and the encoded profiles, some at a time."""

    def read(self, number: int) -> bytes:
        """Return one of them, encoded."""
