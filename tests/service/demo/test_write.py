"""Writing a made-up population to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from pyarrow import parquet

from service.demo.population import generate_population
from service.demo.sources import CONTRACTS
from service.demo.write import main, write_population

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_truth_names_the_customer_of_every_record(tmp_path: Path) -> None:
    files = write_population(tmp_path, record_count=300, seed=4)

    truth = parquet.read_table(files["truth"]).to_pylist()

    expected = [
        {"source": record.source, "source_key": record.source_key, "entity_id": record.entity_id}
        for record in generate_population(seed=4, record_count=300)
    ]
    assert truth == expected


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    one, other = (
        write_population(tmp_path / name, record_count=200, seed=4, file_format="csv") for name in ("a", "b")
    )

    assert [one[name].read_bytes() for name in one] == [other[name].read_bytes() for name in other]


def test_the_command_writes_files_contracts_and_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--records", "100", "--format", "ndjson"]) == 0

    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{source}.ndjson" for source in CONTRACTS),
        *(f"{source}.contract.json" for source in CONTRACTS),
        "truth.parquet",
    }
    assert orjson.loads((tmp_path / "crm.contract.json").read_bytes()) == CONTRACTS["crm"]
    assert "100 records" in capsys.readouterr().out
