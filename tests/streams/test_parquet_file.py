"""Reading Parquet, good and bad."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from streams.errors import EncodingInvalid, FileUnreadable, HeaderInvalid
from streams.parquet_file import ParquetFile

if TYPE_CHECKING:
    from pathlib import Path


def test_every_type_becomes_what_json_can_hold(tmp_path: Path) -> None:
    moment = dt.datetime(2024, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    columns: dict[str, Any] = {
        "text": pa.array(["Ada", None]),
        "whole": pa.array([7, None], pa.int64()),
        "double": pa.array([1.5, float("nan")]),
        "truth": pa.array([True, None]),
        "day": pa.array([dt.date(1980, 5, 1), None]),
        "zoned": pa.array([moment, None], pa.timestamp("ns", tz="Europe/Berlin")),
        "naive": pa.array([1_706_933_106_000, None], pa.timestamp("ms")),
        "amount": pa.array([decimal.Decimal("12.30"), None], pa.decimal128(9, 2)),
        "bytes": pa.array([b"Zo\xc3\xab", None]),
        "category": pa.array(["a", None]).dictionary_encode(),
        "nested": pa.array([{"mails": ["a@x.org"], "since": dt.date(2020, 1, 2)}, None]),
        "by_name": pa.array([[("home", 1)], None], pa.map_(pa.string(), pa.int64())),
        "nothing": pa.nulls(2),
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")

    rows = list(ParquetFile(tmp_path / "t.parquet"))

    assert [number for number, _ in rows] == [1, 2]
    assert rows[0][1] == {
        "text": "Ada",
        "whole": 7,
        "double": 1.5,
        "truth": True,
        "day": "1980-05-01",
        "zoned": "2024-02-03T02:05:06.000000Z",
        "naive": "2024-02-03T04:05:06.000000Z",
        "amount": "12.30",
        "bytes": "Zoë",
        "category": "a",
        "nested": {"mails": ["a@x.org"], "since": "2020-01-02"},
        "by_name": {"home": 1},
        "nothing": None,
    }
    assert rows[1][1] == dict.fromkeys(columns)
    orjson.dumps(rows)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_half_a_file_is_refused_when_it_is_opened(tmp_path: Path, share: float) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"id": [str(n) for n in range(1000)]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(FileUnreadable, match="no whole Parquet file"):
        ParquetFile(path)


def test_a_damaged_page_is_told_with_the_row_after_which_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"id": [f"{n * 7919:08d}" for n in range(20_000)]})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=10_000)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 + 2000
    content[middle:-4000] = b"\xff" * (len(content) - 4000 - middle)
    path.write_bytes(content)

    with pytest.raises(FileUnreadable, match="damaged after row"):
        list(ParquetFile(path))


def test_text_that_is_not_utf_8_refuses_its_row_only(tmp_path: Path) -> None:
    names = pa.array([b"Ada", b"Zo\xeb", b"Eve"]).view(pa.string())
    parquet.write_table(pa.table({"id": ["1", "2", "3"], "name": names}), tmp_path / "t.parquet")

    rows = dict(ParquetFile(tmp_path / "t.parquet"))

    assert rows[1] == {"id": "1", "name": "Ada"}
    assert isinstance(rows[2], EncodingInvalid)
    assert "column name" in str(rows[2])
    assert rows[3] == {"id": "3", "name": "Eve"}


def test_two_columns_of_one_name_refuse_the_file(tmp_path: Path) -> None:
    parquet.write_table(
        pa.table([pa.array(["1"]), pa.array(["2"])], names=["a", "a"]), tmp_path / "t.parquet"
    )

    with pytest.raises(HeaderInvalid):
        ParquetFile(tmp_path / "t.parquet")
