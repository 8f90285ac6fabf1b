"""Opening a file of records in whatever format it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from streams.errors import FileUnreadable, FormatUnknown
from streams.files import open_records

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"id,name\n1,Ada\n"),
        ("a.TSV", b"id\tname\n1\tAda\n"),
        ("a.jsonl", b'{"id": "1", "name": "Ada"}\n'),
        ("a", b'\xef\xbb\xbf {"id": "1", "name": "Ada"}'),
        ("a.dump", b"id|name\n1|Ada"),
    ],
)
def test_the_format_is_told_by_name_or_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    file = open_records(tmp_path / name)

    assert file.columns == ("id", "name")
    assert [row for _, row in file] == [{"id": "1", "name": "Ada"}]


def test_parquet_without_an_ending_is_told_by_its_content(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": ["1"]}), tmp_path / "export")

    assert open_records(tmp_path / "export").columns == ("id",)


def test_a_format_that_is_stated_beats_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'{"id": 1}\n')

    assert open_records(tmp_path / "a.csv", format="ndjson").columns == ("id",)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatUnknown, match="csv, parquet, ndjson"):
        open_records(tmp_path / "a.xlsx", format="xlsx")


def test_a_file_that_is_not_there_or_empty_or_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()

    for path in (tmp_path / "none.csv", tmp_path / "empty.csv", tmp_path):
        with pytest.raises(FileUnreadable):
            open_records(path)


def test_text_named_parquet_is_refused_with_the_code_of_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"id,name\n1,Ada\n")

    with pytest.raises(FileUnreadable) as caught:
        open_records(tmp_path / "a.parquet")

    assert caught.value.code == "file_unreadable"
