"""A file's rows become commands or errors, in parts that processes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.contract import read_contract
from identity.model import RecordCommand
from matching.errors import SameasError
from streams import statements
from streams.statements import FileStatements

CONTRACT = read_contract(
    "crm", {"domain": "sales", "key": "id", "mapping": {"email": "mail"}, "key_pattern": "[0-9]+"}, version=1
)
ROWS = "id,mail\n1,a@web.de\nx,b@web.de\n,c@web.de\n2,d@web.de\n3\n"


def read(path: Path, *, part: int = 0, parts: int = 1) -> list[list[tuple[int, str | None, str]]]:
    source = FileStatements(str(path), "me", 1_700_000_000_000_000, "load-1")
    return [
        [(row, key, one.code if isinstance(one, SameasError) else one.ref.key) for row, key, one in chunk]
        for chunk in source.iter_chunks(CONTRACT, part=part, parts=parts)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(ROWS)
    return path


def test_a_row_is_its_command_or_its_error_with_its_key_where_it_has_one(path: Path) -> None:
    assert read(path) == [
        [
            (2, "1", "1"),
            (3, "x", "key_invalid"),
            (4, None, "key_missing"),
            (5, "2", "2"),
            (6, None, "row_malformed"),
        ]
    ]


def test_a_command_names_its_load_as_its_cause(path: Path) -> None:
    chunk = next(FileStatements(str(path), "me", 0, "load-1").iter_chunks(CONTRACT, part=0, parts=1))

    command = chunk[0].command

    assert isinstance(command, RecordCommand)
    assert (command.cause.ref, command.author, command.attributes) == (
        "load-1",
        "me",
        {"email": ["a@web.de"]},
    )


def test_the_parts_of_a_file_are_its_chunks_in_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_CHUNK_ROWS", 2)

    whole = read(path)

    assert [len(chunk) for chunk in whole] == [2, 2, 1]
    assert read(path, part=0, parts=2) == whole[::2]
    assert read(path, part=1, parts=2) == whole[1::2]


def test_a_short_file_is_small_and_one_that_is_not_there_too(path: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.csv"
    long.write_text("x" * 500_000)

    assert [FileStatements(str(one), "me", 0, "l").is_small() for one in (path, long, tmp_path / "none")] == [
        True,
        False,
        True,
    ]
