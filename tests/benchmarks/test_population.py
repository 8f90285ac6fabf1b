"""Tests of `benchmarks.population`."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow.parquet as pq

from benchmarks.population import make_population, read_refs

__all__: list[str] = []


def test_stored_and_streamed_records_are_one_population_with_one_truth(tmp_path: Path) -> None:
    population = make_population(tmp_path, stored_count=300, streamed_count=50)

    truth = pq.read_table(population.write_truth(tmp_path / "t.parquet", 20)).to_pylist()
    stored = list(read_refs(population))
    rows = sum(pq.read_metadata(population.file_of(source)).num_rows for source in ("crm", "shop", "billing"))

    assert len(population.streamed) == 50
    assert len(stored) == rows == 300
    assert [(row["source"], row["source_key"]) for row in truth] == stored + [
        (one.source, one.key) for one in population.streamed[:20]
    ]


def test_a_streamed_record_is_a_line_of_the_stream_route(tmp_path: Path) -> None:
    one = make_population(tmp_path, stored_count=10, streamed_count=5).streamed[0]

    line = orjson.loads(one.line())

    assert line["key"] == one.key
    assert line["attributes"] == one.attributes
    assert set(line) <= {"key", "attributes", "effective_at"}
