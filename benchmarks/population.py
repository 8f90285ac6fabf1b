"""The records that benchmarks work on: a part that is loaded from files, the rest as lines of a stream.

Both parts are of one population of the demo's generator, in the order in which its records come, so that a
record of the second part is as often of a known customer as in life.
Invariant: the same counts give the same bytes.
Elsewhere: the generator (`service.demo.population`), its files (`service.demo.write`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import pyarrow.parquet as pq

from service.demo.population import SOURCES, generate_population
from service.demo.write import write_records

__all__ = ["SEED", "Population", "StreamedRecord", "make_population", "read_refs"]

SEED: Final = 20_261_123


class StreamedRecord(NamedTuple):
    """A record as a client sends it."""

    source: str
    key: str
    attributes: dict[str, object]
    effective_at: str | None

    def line(self) -> bytes:
        """Return the record as a line of a stream."""
        return orjson.dumps({"key": self.key, **self.body()}) + b"\n"

    def body(self) -> dict[str, object]:
        """Return what a PUT of the record holds."""
        stated = {} if self.effective_at is None else {"effective_at": self.effective_at}
        return {"attributes": self.attributes, **stated}


@dataclass(frozen=True, slots=True)
class Population:
    """Files to load, records to stream, and the truth of both."""

    folder: Path
    stored_count: int
    streamed: Sequence[StreamedRecord]

    def file_of(self, source: str) -> Path:
        """Return the file with the stored records of a source."""
        return self.folder / f"{source}.parquet"

    def contract_of(self, source: str) -> Path:
        """Return the file with the contract of a source."""
        return self.folder / f"{source}.contract.json"

    def write_truth(self, path: Path, streamed_count: int) -> Path:
        """Write the truth of the stored records and the first of the streamed ones."""
        pq.write_table(
            pq.read_table(self.folder / "truth.parquet")[: self.stored_count + streamed_count], path
        )
        return path


def make_population(folder: Path, *, stored_count: int, streamed_count: int) -> Population:
    """Write the files and the truth of a population and return it."""
    streamed: list[StreamedRecord] = []
    truth: list[tuple[str, str, str]] = []
    records = generate_population(seed=SEED, record_count=stored_count + streamed_count)
    write_records(folder, islice(records, stored_count), dict.fromkeys(SOURCES, "parquet"))
    for record in records:
        streamed.append(
            StreamedRecord(record.source, record.source_key, record.attributes, record.effective_at)
        )
        truth.append(record[:3])
    _append_truth(folder / "truth.parquet", truth)
    return Population(folder, stored_count, streamed)


def read_refs(population: Population) -> Iterator[tuple[str, str]]:
    """Yield source and key of each stored record, in the order of the population."""
    table = pq.read_table(population.folder / "truth.parquet", columns=["source", "source_key"])
    stored = table[: population.stored_count]
    yield from zip(stored["source"].to_pylist(), stored["source_key"].to_pylist(), strict=True)


def _append_truth(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    import pyarrow as pa

    before = pq.read_table(path)
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    after = pa.table([pa.array(column, pa.string()) for column in columns], names=before.column_names)
    pq.write_table(pa.concat_tables([before, after]), path)
