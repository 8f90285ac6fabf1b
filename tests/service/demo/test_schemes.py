"""Identifiers with valid check digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban as stdnum_iban
from stdnum import luhn
from stdnum.de import idnr
from stdnum.de import vat as german_vat
from stdnum.fr import tva
from stdnum.gb import utr
from stdnum.gb import vat as british_vat
from stdnum.us import ssn

from service.demo.schemes import iban, luhn_number, tax_number, vat_number

draws = st.integers(0, 65_535)


@given(high=draws, low=draws, owner=st.integers(0, 10_000_000))
def test_tax_numbers_are_valid(high: int, low: int, owner: int) -> None:
    numbers = [tax_number(country, high, low, owner) for country in ("DE", "GB", "US", "FR")]

    assert idnr.is_valid(str(numbers[0]))
    assert utr.is_valid(str(numbers[1]))
    assert ssn.is_valid(str(numbers[2]))
    assert numbers[3] is None


@given(number=st.integers(0, 2**32 - 1))
def test_vat_and_card_numbers_are_valid(number: int) -> None:
    assert british_vat.is_valid(str(vat_number("GB", number)))
    assert german_vat.is_valid(str(vat_number("DE", number)))
    assert tva.is_valid(str(vat_number("FR", number)))
    assert luhn.is_valid(luhn_number(number))


@pytest.mark.parametrize("country", ["GB", "DE", "FR"])
@given(high=draws, low=draws)
def test_account_numbers_are_valid(country: str, high: int, low: int) -> None:
    assert stdnum_iban.is_valid(str(iban(country, high, low)))


def test_the_united_states_have_neither() -> None:
    assert vat_number("US", 1) is None
    assert iban("US", 1, 2) is None
