"""The three made-up sources and their contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from identity.contract import read_contract
from service.demo.population import SOURCES, generate_population
from service.demo.sources import COLUMNS, CONTRACTS, nest_row, to_row
from service.demo.write import FORMATS, write_records
from streams.files import open_records
from streams.mapping import MappedRow, compile_mapping, map_rows

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = list(generate_population(seed=1, record_count=400))


@pytest.mark.parametrize("source", SOURCES)
def test_the_contract_is_one_that_the_service_takes(source: str) -> None:
    contract = read_contract(source, CONTRACTS[source], version=1)

    assert contract.key_path == COLUMNS[source][0]


def test_a_row_has_all_columns_of_its_source_in_order() -> None:
    for record in RECORDS:
        assert tuple(to_row(record)) == COLUMNS[record.source]


def test_numbered_columns_are_items_of_a_list_in_the_nested_row() -> None:
    row = {"account": "1", "contact.mails.0": "a@x.org", "contact.mails.1": None, "ship_to.city": "Bonn"}

    assert nest_row(row) == {"account": "1", "contact": {"mails": ["a@x.org"]}, "ship_to": {"city": "Bonn"}}


@pytest.mark.parametrize("file_format", FORMATS)
def test_reading_a_file_by_the_contract_gives_back_what_the_records_state(
    tmp_path: Path, file_format: str
) -> None:
    files = write_records(tmp_path, RECORDS, dict.fromkeys(SOURCES, file_format))

    for source in SOURCES:
        contract = read_contract(source, CONTRACTS[source], version=1)
        file = open_records(files[source])
        assert contract.key_path is not None
        mapping = compile_mapping(
            contract.key_path,
            contract.mapping,
            columns=file.columns if file.names_columns_once else None,
        )
        mapping.check_columns(file.columns, of_key_only=not file.names_columns_once)
        mapped = [row for _, row in map_rows(file, mapping)]
        expected = [record for record in RECORDS if record.source == source]
        assert len(mapped) == len(expected)
        for row, record in zip(mapped, expected, strict=True):
            assert isinstance(row, MappedRow)
            assert (row.key, row.effective_at) == (record.source_key, record.effective_at)
            assert row.attributes == record.attributes
