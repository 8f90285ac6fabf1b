"""Reading CSV, good and bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from matching.errors import SameasError
from streams.csv_file import CsvFile
from streams.errors import EncodingInvalid, HeaderInvalid


def write(folder: Path, content: bytes) -> CsvFile:
    path = folder / "records.csv"
    path.write_bytes(content)
    return CsvFile(path)


def read(file: CsvFile) -> tuple[dict[int, list[object]], dict[int, str]]:
    kept: dict[int, list[object]] = {}
    refused: dict[int, str] = {}
    for number, row in file:
        if isinstance(row, SameasError):
            refused[number] = row.code
        else:
            kept[number] = list(row.values())
    return kept, refused


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_from_the_lines(tmp_path: Path, delimiter: str) -> None:
    lines = [["id", "name"], ["1", '"Mill, Ann; | and sons"'], ["2", "Ada"]]
    file = write(tmp_path, "\n".join(delimiter.join(line) for line in lines).encode())

    assert file.columns == ("id", "name")
    assert read(file) == ({2: ["1", "Mill, Ann; | and sons"], 3: ["2", "Ada"]}, {})


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    file = write(tmp_path, b"\xef\xbb\xbfid,name\r\n1,Zo\xc3\xab\r\n")

    assert file.columns == ("id", "name")
    assert read(file) == ({2: ["1", "Zoë"]}, {})


def test_a_quoted_field_may_hold_line_ends_and_quotes(tmp_path: Path) -> None:
    file = write(tmp_path, b'id,name\n1,"Mill\nand ""Sons"""\n2,Ada\n')

    assert read(file) == ({2: ["1", 'Mill\nand "Sons"'], 4: ["2", "Ada"]}, {})


def test_latin_1_bytes_refuse_their_row_and_tell_the_byte(tmp_path: Path) -> None:
    file = write(tmp_path, b"id,name\n1,Ada\n2,Zo\xeb\n3,Eve\n")

    kept, refused = read(file)

    assert kept == {2: ["1", "Ada"], 4: ["3", "Eve"]}
    assert refused == {3: "encoding_invalid"}
    assert "byte 5 " in str(next(row for number, row in file if number == 3))


def test_latin_1_bytes_inside_a_quoted_field_of_two_lines_refuse_that_row_only(tmp_path: Path) -> None:
    file = write(tmp_path, b'id,name\n1,"Zo\xeb\nMill"\n2,Ada\n')

    kept, refused = read(file)

    assert kept == {4: ["2", "Ada"]}
    assert set(refused) == {2, 3}


def test_a_quote_that_is_never_closed_costs_one_row_not_the_rest_of_the_file(tmp_path: Path) -> None:
    rows = b"".join(b"%d,Ada\n" % n for n in range(2, 2000))
    file = write(tmp_path, b'id,name\n1,"Ada\n' + rows + b'2000,"Mill, Ann"\n')

    kept, refused = read(file)

    assert refused == {2: "row_malformed"}
    assert len(kept) == 1999
    assert kept[2001] == ["2000", "Mill, Ann"]


def test_the_tail_of_a_refused_row_is_not_taken_for_a_row(tmp_path: Path) -> None:
    file = write(tmp_path, b'id,name\n1,"Ada\nMill"x\n2,"King\n9",Eve"y\n3,Eve\n')

    kept, refused = read(file)

    assert kept == {6: ["3", "Eve"]}
    assert set(refused) == {2, 3, 4, 5}


def test_a_row_with_more_or_fewer_fields_than_the_header_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, b"id,name\n1\n2,Ada,x\n3,Eve,,\n\n4,Ann\n")

    kept, refused = read(file)

    assert kept == {4: ["3", "Eve"], 6: ["4", "Ann"]}
    assert refused == {2: "row_malformed", 3: "row_malformed"}


def test_a_nul_byte_refuses_its_row(tmp_path: Path) -> None:
    assert read(write(tmp_path, b"id,name\n1,A\0a\n2,Ada\n")) == ({3: ["2", "Ada"]}, {2: "row_malformed"})


def test_a_line_of_more_than_a_mebibyte_refuses_its_row(tmp_path: Path) -> None:
    file = write(tmp_path, b"id,name\n1," + b"a" * 3_000_000 + b"\n2,Ada\n")

    assert read(file) == ({3: ["2", "Ada"]}, {2: "too_large"})


def test_one_bad_line_among_many_stays_one_bad_line(tmp_path: Path) -> None:
    good = b"".join(b"%d,Ada\n" % n for n in range(5_000))
    file = write(tmp_path, b"id,name\n" + good + b'x,"A"da\n' + good)

    kept, refused = read(file)

    assert len(kept) == 10_000
    assert refused == {5_002: "row_malformed"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"id,name,id\n1,2,3\n", HeaderInvalid),
        (b"id,,name\n1,2,3\n", HeaderInvalid),
        (b'"id,name\n1,2\n', HeaderInvalid),
        (b"\nid,name\n", HeaderInvalid),
        (b"id,n\xe4me\n1,2\n", EncodingInvalid),
        ("id,name\n1,2\n".encode("utf-16"), EncodingInvalid),
    ],
)
def test_a_header_that_does_not_name_the_columns_refuses_the_file(
    tmp_path: Path, content: bytes, error: type[SameasError]
) -> None:
    with pytest.raises(error):
        write(tmp_path, content)


def test_the_position_reaches_the_size_at_the_end(tmp_path: Path) -> None:
    file = write(tmp_path, b"id,name\n1,Ada\n2,Eve\n")

    assert file.position == 0
    assert len(list(file)) == 2
    assert file.position == file.size
