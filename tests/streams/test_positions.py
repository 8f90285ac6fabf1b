"""Positions as people and products write them."""

from __future__ import annotations

import pytest

from streams.errors import PositionInvalid
from streams.positions import Position, format_lsn, read_position


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("17", Position((3, 17))),
        ("0:17", Position((0, 17))),
        (str(2**63 - 1), Position((3, 2**63 - 1))),
        ("16/B374D848", Position((3, 0x16B374D848))),
        ("1:0/1", Position((1, 1))),
        ("2026-11-23T09:30:00Z", Position(at=1_795_426_200_000_000)),
    ],
)
def test_a_position_is_a_number_an_lsn_or_a_time(text: str, position: Position) -> None:
    assert read_position(text, epoch=3) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1.5",
        "x",
        ":5",
        "1:",
        "1:2:3",
        "G/1",
        "2026-11-23",
        "9" * 20,
        str(2**63),
        "1:" + "9" * 19,
        "80000000/0",
        f"{2**31}:1",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(PositionInvalid, match="A position is"):
        read_position(text, epoch=0)


def test_a_number_is_written_as_postgresql_writes_it() -> None:
    assert format_lsn(0x16B374D848) == "16/B374D848"
    assert read_position(format_lsn(2**40 + 5), epoch=0) == Position((0, 2**40 + 5))
