"""Reading NDJSON, good and bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from matching.errors import SameasError
from streams.errors import FileUnreadable
from streams.ndjson_file import LINE_BYTES_MAX, NdjsonFile

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bad_line_is_refused_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": 1}\n{"id": \n\n[2]\n{"name": "Zo\xeb"}\n{"big": "'
        + b"a" * LINE_BYTES_MAX
        + b'"}\n{"id": 7}'
    )
    file = NdjsonFile(path)

    rows = dict(file)

    codes = {number: row.code for number, row in rows.items() if isinstance(row, SameasError)}
    assert codes == {2: "row_malformed", 4: "row_malformed", 5: "encoding_invalid", 6: "too_large"}
    assert (rows[1], rows[7]) == ({"id": 1}, {"id": 7})
    assert file.columns == ("id",)
    assert file.position == file.size


def test_errors_do_not_tell_what_the_line_holds(tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    path.write_bytes(b'{"name": canary}\n"canary"\n')

    assert "canary" not in " ".join(str(row) for _, row in NdjsonFile(path))


def test_a_json_array_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_bytes(b'[{"id": 1}]')

    with pytest.raises(FileUnreadable, match="one object a line"):
        NdjsonFile(path)
