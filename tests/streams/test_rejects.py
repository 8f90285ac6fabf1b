"""The file of refused rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from streams.errors import RejectsUnwritable, RowMalformed, RowTooLarge
from streams.rejects import RejectsWriter

if TYPE_CHECKING:
    from pathlib import Path


def test_each_refused_row_is_one_line_with_its_number_code_and_detail(tmp_path: Path) -> None:
    with RejectsWriter(tmp_path / "rejects.ndjson") as rejects:
        rejects.add(3, RowMalformed("the row has 2 fields, the header 3."))
        rejects.add(9, RowTooLarge("too long."))

    lines = [orjson.loads(line) for line in rejects.path.read_bytes().splitlines()]
    assert lines == [
        {"row": 3, "code": "row_malformed", "detail": "the row has 2 fields, the header 3."},
        {"row": 9, "code": "too_large", "detail": "too long."},
    ]
    assert rejects.total == 2


def test_without_a_refused_row_there_is_no_file(tmp_path: Path) -> None:
    with RejectsWriter(tmp_path / "rejects.ndjson") as rejects:
        pass

    assert not rejects.path.exists()


def test_a_rejects_file_that_cannot_be_written_is_an_error_with_a_code(tmp_path: Path) -> None:
    rejects = RejectsWriter(tmp_path / "no" / "such" / "folder")

    with pytest.raises(RejectsUnwritable) as caught:
        rejects.add(1, RowMalformed("x"))

    assert caught.value.code == "rejects_unwritable"


def test_a_full_disk_is_told_at_the_latest_when_the_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    rejects = RejectsWriter(tmp_path / "full")
    rejects.add(1, RowMalformed("x"))

    with pytest.raises(RejectsUnwritable, match="No space left"):
        rejects.close()
