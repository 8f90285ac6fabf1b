"""Countries and states are codes where they are known, and themselves where they are not."""

from __future__ import annotations

import pytest

from matching.standardise.regions import STATE_CODES, code_country, code_state, is_country, read_country


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("United States of America", "us"),
        ("U.S.A.", "us"),
        ("GB", "gb"),
        ("Österreich", "at"),
        ("Россия", "ru"),
        ("Ruritania", "ruritania"),
        ("-", None),
    ],
)
def test_a_country_is_read_as_its_code(text: str, code: str | None) -> None:
    assert read_country(text) == code


def test_a_state_is_its_code() -> None:
    assert code_state("new south wales") == "nsw"
    assert code_state("ny") == "ny"
    assert code_state("bavaria") == "bavaria"


def test_a_code_stays_a_code() -> None:
    assert all(code_state(code) == code for code in STATE_CODES)
    assert code_country(code_country("deutschland")) == "de"


def test_only_names_of_countries_are_told_apart_from_cities() -> None:
    assert is_country("germany")
    assert not is_country("berlin")
    assert not is_country("de")
