"""Slips of the keyboard and of the reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from service.demo.blemishes import misread_date, mistype


@given(text=st.text(min_size=2, max_size=30), draw=st.integers(0, 65_535))
def test_a_slip_is_small(text: str, draw: int) -> None:
    assert OSA.distance(text, mistype(text, draw)) <= 2


@given(draw=st.integers(0, 65_535))
def test_a_text_of_one_character_is_left_alone(draw: int) -> None:
    assert mistype("x", draw) == "x"


def test_most_slips_change_the_text() -> None:
    assert sum(mistype("katharina", draw) != "katharina" for draw in range(1_000)) > 900


@given(day=st.dates(), draw=st.integers(0, 65_535))
def test_a_misread_date_still_looks_like_one(day: object, draw: int) -> None:
    misread = misread_date(str(day), draw)

    assert len(misread) in (4, 10)
    assert misread.replace("-", "").isdigit()
