"""Cities, streets, postcodes and telephone numbers."""

from __future__ import annotations

import re

import phonenumbers
import pytest

from service.demo.draws import roll
from service.demo.places import COUNTRIES, find_city, landline, make_address, mobile

POSTCODES = {
    "GB": re.compile(r"[A-Z]{1,2}\d{1,2} \d[A-Z]{2}"),
    "US": re.compile(r"\d{5}"),
    "DE": re.compile(r"\d{5}"),
    "FR": re.compile(r"\d{5}"),
}


@pytest.mark.parametrize("country", COUNTRIES)
def test_telephone_numbers_are_valid_in_their_country(country: str) -> None:
    valid = 0
    for number in range(200):
        draws = roll(b"phones", number)
        for code, local in (
            mobile(country, draws[0], draws[1]),
            landline(find_city(country, draws[2]), draws[3], draws[4]),
        ):
            valid += phonenumbers.is_valid_number(phonenumbers.parse(f"+{code}{local}"))

    assert valid >= 380


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_postcode_belongs_to_its_city_and_street(country: str) -> None:
    city = find_city(country, 40_000)
    one, again = (make_address(city, 1_234, house, 65_000) for house in (5, 5))

    assert POSTCODES[country].fullmatch(one.postcode)
    assert one.postcode.startswith(city.postcode_area)
    assert one == again


def test_strangers_rarely_share_an_address() -> None:
    addresses = set()
    for number in range(5_000):
        draws = roll(b"addresses", number)
        addresses.add(make_address(find_city("GB", draws[0]), draws[1], draws[2], draws[3]))

    assert len(addresses) > 4_950
