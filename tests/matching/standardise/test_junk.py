"""Placeholders are junk as whole values; names that only look like them are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise.fold import fold
from matching.standardise.junk import is_junk_digits, is_junk_name, is_junk_text


@pytest.mark.parametrize(
    "text",
    ["unknown", "N/A", "None", "NULL", "test", "xxx", "TBD", "not provided", "Anonymous", "qwerty", "asdf"],
)
def test_placeholders_are_junk(text: str) -> None:
    assert is_junk_text(fold(text) or "")


@pytest.mark.parametrize(
    "text", ["smith", "testa", "li", "o", "oo", "aaron", "nulland", "11", "city of london"]
)
def test_names_and_numbers_are_not_junk(text: str) -> None:
    assert not is_junk_text(text)


def test_null_is_a_surname_only_beside_a_given_name_and_written_as_a_name() -> None:
    assert not is_junk_name("Null", "null", beside_given=True)
    assert is_junk_name("NULL", "null", beside_given=True)
    assert is_junk_name("null", "null", beside_given=True)
    assert is_junk_name("Null", "null")


def test_na_is_a_name_only_when_written_as_one() -> None:
    assert not is_junk_name("Na", "na")
    assert is_junk_name("NA", "na")
    assert is_junk_name("na", "na")


@pytest.mark.parametrize(
    "digits", ["0000000", "9999999999", "1234567", "123456789", "0123456789", "987654321"]
)
def test_filler_digits_are_junk(digits: str) -> None:
    assert is_junk_digits(digits)


@pytest.mark.parametrize("digits", ["2029348842", "1234568", "5550123"])
def test_real_digits_are_not_junk(digits: str) -> None:
    assert not is_junk_digits(digits)


@given(st.text())
def test_every_folded_text_gets_an_answer(text: str) -> None:
    folded = fold(text)

    assert folded is None or is_junk_text(folded) in {True, False}
