"""Rows are prepared in file order, whatever the number of processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.bulk.prepared_rows import PreparedRows
from identity.bulk.preparing import PackedChunk, PreparingSetup, iter_prepared
from streams import statements
from streams.statements import FileStatements
from tests.promises.small_model import small_model


def setup_of(path: Path) -> PreparingSetup:
    source = FileStatements(str(path), "me", 0, "load-1", mapping={"email": "mail"})
    return PreparingSetup(source, "crm", 1, {"domain": "sales"}, small_model().document, b"k" * 32)


def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    rows = [f"{number},m{number}@web.de" for number in range(9)] + [",x", "9"]
    path.write_text("key,mail\n" + "\n".join(rows) + "\n")
    return path


def test_every_row_is_prepared_or_refused(tmp_path: Path) -> None:
    (chunk,) = iter_prepared(setup_of(people(tmp_path)), processes=2)

    assert (chunk.row_count, len(chunk.errors), chunk.refused_keys, chunk.nameless_count) == (9, 2, [], 2)
    assert [code for _, code, _ in chunk.errors] == ["key_missing", "row_malformed"]


@pytest.mark.slow
def test_several_processes_give_the_rows_of_one_in_file_order(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("key,mail\n" + "".join(f"{n},mail{n}@{'x' * 40}.example.de\n" for n in range(9_000)))
    assert not statements.FileStatements(str(path), "me", 0, "l").is_small()

    alone, together = (_keys(list(iter_prepared(setup_of(path), processes=n)), tmp_path) for n in (1, 2))

    assert together == alone == [str(number) for number in range(9_000)]


def _keys(chunks: list[PackedChunk], folder: Path) -> list[str]:
    with PreparedRows(folder) as rows:
        for chunk in chunks:
            rows.add(chunk)
        rows.seal()
        return rows.keys
