"""Streets and cities have one form, abbreviated or written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise.streets import STREET_TYPES, expand_city, expand_street, is_post_box, is_title


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("main st", "main street"),
        ("w 15th st", "west 15th street"),
        ("st james st", "saint james street"),
        ("dr king blvd", "doctor king boulevard"),
        ("park ave n", "park avenue north"),
        ("hauptstr", "hauptstrasse"),
        ("haupt str", "hauptstrasse"),
        ("bd haussmann", "boulevard haussmann"),
        ("ul marszalkowska", "marszalkowska"),
        ("p o box 12", "po box 12"),
        ("postfach 12", "po box 12"),
    ],
)
def test_a_street_is_written_out(short: str, long: str) -> None:
    assert expand_street(short) == long
    assert expand_street(long) == long


def test_a_city_is_written_out_at_its_start() -> None:
    assert expand_city("st louis") == "saint louis"
    assert expand_city("bad st leon") == "bad st leon"


def test_a_box_is_told_from_a_street() -> None:
    assert is_post_box(["po", "box", "12"])
    assert not is_post_box(["post", "street"])


def test_titles_are_types_too() -> None:
    assert is_title("st")
    assert is_title("dr")
    assert not is_title("rd")


@given(
    st.lists(
        st.sampled_from([*sorted(STREET_TYPES), "main", "n", "str", "1st", "box", "po"]),
        min_size=1,
        max_size=6,
    )
)
def test_any_words_give_words(words: list[str]) -> None:
    street = expand_street(" ".join(words))

    assert street
    assert street == " ".join(street.split())
