"""Keep the prepared rows of a load in a file of its own, mapped into memory, and find them by position.

Invariant: a position is a row's place among the rows that were not refused, in file order. What is read
is what was prepared; the operating system keeps in memory what is in use and drops the rest.
Elsewhere: preparing (`identity.bulk.preparing`), what becomes of the rows (`identity.bulk.load`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from identity.bulk.preparing import PackedChunk
from identity.model import Instant

__all__ = ["NumberedProfiles", "Positions", "PreparedRows", "ProfileTable", "RowFacts", "StoredStatement"]

Positions = npt.NDArray[np.int64]

_STATEMENT_COLUMNS: Final = (
    "version",
    "effective_at",
    "statement",
    "digest",
    "profile",
    "profile_digest",
    "hashes",
)
_TAKEN_COLUMNS: Final = ("key", *_STATEMENT_COLUMNS)
_FACT_COLUMNS: Final = ("row", "digest", "version", "effective_at")


@dataclass(frozen=True, slots=True)
class StoredStatement:
    """What is stored of one record beside its place in the partition."""

    version: int | None
    effective_at: Instant | None
    statement: bytes | None  # None: a withdrawal, which has no profile either
    digest: bytes
    profile: bytes
    profile_digest: bytes
    hashes: Sequence[int]


class RowFacts(NamedTuple):
    """What tells a row from what is stored of its record."""

    row: int
    digest: bytes
    version: int | None
    effective_at: Instant | None


class ProfileTable(NamedTuple):
    """Profiles as the bulk engine takes them, but for the steps of their terms, which a scoring model gives."""

    numbers: pa.Array  # int64
    columns: pa.Table  # as `matching.tabulate` lays them out, without term steps
    hashes: pa.Array  # the blocking keys of each


class PreparedRows:
    """The rows; add chunks, then `seal`, then read. A context manager that removes its file."""

    def __init__(self, folder: Path) -> None:
        self.keys: list[str] = []
        self.is_plain: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._path = folder / "prepared.arrow"
        self._file = self._path.open("wb")
        self._sizes: list[tuple[int, int]] = []
        self._rows: list[pa.RecordBatch] = []
        self._profiles: list[pa.RecordBatch] = []
        self._starts: Positions = np.empty(0, dtype=np.int64)
        self._plain_places: Positions = np.empty(0, dtype=np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._rows, self._profiles = [], []
        self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, chunk: PackedChunk) -> None:
        """Keep the rows of one chunk."""
        self._file.write(chunk.rows)
        self._file.write(chunk.profiles)
        self._sizes.append((len(chunk.rows), len(chunk.profiles)))

    def seal(self) -> None:
        """Map the file; nothing is added after this."""
        self._file.close()
        plain: list[npt.NDArray[np.bool_]] = [self.is_plain]
        places: list[Positions] = [self._plain_places]
        starts: list[int] = []
        if self._sizes:
            mapped = pa.memory_map(str(self._path))
            for rows_size, profiles_size in self._sizes:
                rows = _only_batch(mapped.read_buffer(rows_size))
                starts.append(len(self.keys))
                self._rows.append(rows)
                self._profiles.append(_only_batch(mapped.read_buffer(profiles_size)))
                self.keys.extend(rows.column("key").to_pylist())
                is_plain = rows.column("is_plain").to_numpy(zero_copy_only=False)
                plain.append(is_plain)
                places.append(np.cumsum(is_plain) - 1)
        self.is_plain, self._plain_places = np.concatenate(plain), np.concatenate(places)
        self._starts = np.array(starts, dtype=np.int64)

    def read_statements(self, positions: Sequence[int]) -> list[StoredStatement]:
        """Return what is stored of the rows at these positions."""
        return self._read(positions, _STATEMENT_COLUMNS, StoredStatement)

    def take(self, positions: Positions) -> pa.Table:
        """Return the rows at these positions, in their order, without a Python object for each value."""
        parts, places = [], []
        for chunk, offsets, at in self._by_chunk(positions):
            parts.append(self._rows[chunk].select(list(_TAKEN_COLUMNS)).take(pa.array(offsets)))
            places.append(at)
        order = np.empty(len(positions), dtype=np.int64)
        order[np.concatenate(places)] = np.arange(len(positions))
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(order))

    def read_facts(self, positions: Sequence[int]) -> list[RowFacts]:
        """Return what tells the rows at these positions from what is stored."""
        return self._read(positions, _FACT_COLUMNS, RowFacts)

    def number_profiles(self, positions: Positions) -> tuple[Positions, Positions]:
        """Number the distinct profiles of these rows, which ascend; return each row's number, each one's first row."""
        parts = [
            self._rows[chunk].column("profile_digest").take(pa.array(offsets))
            for chunk, offsets, _ in self._by_chunk(positions)
        ]
        encoded = pc.dictionary_encode(pa.concat_arrays([pa.array([], pa.binary()), *parts]))
        numbers = encoded.indices.to_numpy().astype(np.int64)
        return numbers, positions[np.unique(numbers, return_index=True)[1]]

    def read_digests(self, firsts: Positions) -> list[bytes]:
        """Return the profile digests of the rows at these positions, which ascend."""
        return [
            digest
            for chunk, offsets, _ in self._by_chunk(firsts)
            for digest in self._rows[chunk].column("profile_digest").take(pa.array(offsets)).to_pylist()
        ]

    def iter_profiles(self, firsts: Positions) -> Iterator[ProfileTable]:
        """Yield the profiles of the plain rows at these ascending positions, numbered by place, chunk by chunk."""
        for chunk, offsets, places in self._by_chunk(firsts):
            hashes = self._rows[chunk].column("hashes").take(pa.array(offsets))
            own = self._plain_places[firsts[places]]
            columns = pa.Table.from_batches([self._profiles[chunk].take(pa.array(own))])
            yield ProfileTable(pa.array(places, pa.int64()), columns, hashes)

    def iter_encoded(self, firsts: Positions) -> Iterator[tuple[Positions, list[bytes]]]:
        """Yield the encoded profiles of the rows at these ascending positions with their places, chunk by chunk."""
        for chunk, offsets, places in self._by_chunk(firsts):
            yield places, self._rows[chunk].column("profile").take(pa.array(offsets)).to_pylist()

    def read_profile(self, position: int) -> bytes:
        """Return one row's encoded profile."""
        chunk = int(np.searchsorted(self._starts, position, side="right")) - 1
        encoded: bytes = self._rows[chunk].column("profile")[position - int(self._starts[chunk])].as_py()
        return encoded

    def _by_chunk(self, positions: Positions) -> Iterator[tuple[int, Positions, Positions]]:
        """Yield (chunk, offsets in it, places in `positions`) of each chunk that is touched."""
        chunks = np.searchsorted(self._starts, positions, side="right") - 1
        order = np.argsort(chunks, kind="stable")
        borders = np.flatnonzero(np.diff(chunks[order])) + 1
        for places in np.split(order, borders):
            if len(places):
                chunk = int(chunks[places[0]])
                yield chunk, positions[places] - self._starts[chunk], places

    def _read(self, positions: Sequence[int], names: Sequence[str], make: Callable[..., Any]) -> list[Any]:
        found: list[Any] = [None] * len(positions)
        for chunk, offsets, places in self._by_chunk(np.asarray(positions, dtype=np.int64)):
            taken = self._rows[chunk].select(list(names)).take(pa.array(offsets))
            values = zip(*(column.to_pylist() for column in taken.columns), strict=True)
            for place, value in zip(places.tolist(), values, strict=True):
                found[place] = make(*value)
        return found


class NumberedProfiles:
    """The distinct profiles of new records, by number: `foresee.ProfileReader`."""

    def __init__(self, rows: PreparedRows, firsts: Positions) -> None:
        self._rows = rows
        self._firsts = firsts

    def iter_tables(self) -> Iterator[ProfileTable]:
        """Yield all of them, some at a time."""
        return self._rows.iter_profiles(self._firsts)

    def iter_encoded(self) -> Iterator[tuple[Positions, list[bytes]]]:
        """Yield the numbers and the encoded profiles of all of them, some at a time."""
        return self._rows.iter_encoded(self._firsts)

    def read(self, number: int) -> bytes:
        """Return one of them, encoded."""
        return self._rows.read_profile(int(self._firsts[number]))


def _only_batch(buffer: pa.Buffer) -> pa.RecordBatch:
    """Return the one batch of an Arrow stream, without a copy."""
    with pa.ipc.open_stream(buffer) as stream:
        return stream.read_next_batch()
