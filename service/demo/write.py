"""Write a made-up population to files: one of records a source, its contract, and the truth.

    python -m service.demo.write OUT --records 1000000 --seed 1 --format parquet

writes OUT/crm.parquet, OUT/shop.parquet, OUT/billing.parquet (or .csv, .ndjson), OUT/<source>.contract.json
and OUT/truth.parquet (source, source_key, entity_id).

Invariant: the same arguments write the same records in the same order; memory is that of one batch.
Elsewhere: the records (`service.demo.population`), their columns (`service.demo.sources`).
"""

from __future__ import annotations

import argparse
import csv
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import orjson
from rich.console import Console

from service.demo.population import SOURCES, generate_population
from service.demo.sources import COLUMNS, CONTRACTS, nest_row, to_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.demo.population import GeneratedRecord

__all__ = ["FORMATS", "main", "write_population", "write_records"]

FORMATS: Final = ("parquet", "csv", "ndjson")
_BATCH_ROWS: Final = 20_000
_TRUTH_COLUMNS: Final = ("source", "source_key", "entity_id")

Row = dict[str, str | None]


class _Writer(Protocol):
    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class _ParquetWriter:
    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._schema = pa.schema([(column, pa.string()) for column in columns])
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa

        self._file.write_batch(pa.RecordBatch.from_pylist(list(rows), schema=self._schema))

    def close(self) -> None:
        self._file.close()


class _CsvWriter:
    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(columns)

    def write(self, rows: Sequence[Row]) -> None:
        self._rows.writerows(row.values() for row in rows)

    def close(self) -> None:
        self._file.close()


class _NdjsonWriter:
    def __init__(self, path: Path, _columns: tuple[str, ...]) -> None:
        self._file = path.open("wb")

    def write(self, rows: Sequence[Row]) -> None:
        self._file.writelines(orjson.dumps(nest_row(row)) + b"\n" for row in rows)

    def close(self) -> None:
        self._file.close()


_WRITERS: Final[dict[str, Any]] = {"parquet": _ParquetWriter, "csv": _CsvWriter, "ndjson": _NdjsonWriter}


def write_population(
    folder: Path, *, record_count: int, seed: int, file_format: str = "parquet"
) -> dict[str, Path]:
    """Write a whole population and return the files by source, and the truth's under `truth`."""
    records = generate_population(seed=seed, record_count=record_count)
    return write_records(folder, records, dict.fromkeys(SOURCES, file_format))


def write_records(
    folder: Path, records: Iterable[GeneratedRecord], file_formats: Mapping[str, str]
) -> dict[str, Path]:
    """Write these records, each to the file of its source, in its format; see `write_population`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {source: folder / f"{source}.{file_formats[source]}" for source in SOURCES}
    files["truth"] = folder / "truth.parquet"
    for source, contract in CONTRACTS.items():
        (folder / f"{source}.contract.json").write_bytes(orjson.dumps(contract, option=orjson.OPT_INDENT_2))
    with ExitStack() as opened:
        writers: dict[str, _Writer] = {
            source: _WRITERS[file_formats[source]](files[source], COLUMNS[source]) for source in SOURCES
        }
        writers["truth"] = _ParquetWriter(files["truth"], _TRUTH_COLUMNS)
        for writer in writers.values():
            opened.callback(writer.close)
        waiting: dict[str, list[Row]] = {name: [] for name in writers}
        truth = waiting["truth"]
        for record in records:
            waiting[record.source].append(to_row(record))
            truth.append(dict(zip(_TRUTH_COLUMNS, record[:3], strict=True)))
            if len(truth) == _BATCH_ROWS:
                _write_all(writers, waiting)
        _write_all(writers, waiting)
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m service.demo.write", description="Write a made-up population."
    )
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--records", type=int, default=100_000, help="how many records (100,000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another population (1)")
    parser.add_argument(
        "--format", choices=FORMATS, default="parquet", help="format of the records (parquet)"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    files = write_population(
        options.out, record_count=options.records, seed=options.seed, file_format=options.format
    )
    seconds = time.monotonic() - started
    console = Console()
    for name, path in files.items():
        console.print(f"{name:8} {path} ({path.stat().st_size / 1e6:,.1f} MB)", highlight=False)
    console.print(f"{options.records:,} records in {seconds:,.1f} s", highlight=False)
    return 0


def _write_all(writers: dict[str, _Writer], waiting: dict[str, list[Row]]) -> None:
    for name, rows in waiting.items():
        if rows:
            writers[name].write(rows)
            rows.clear()


if __name__ == "__main__":
    raise SystemExit(main())
