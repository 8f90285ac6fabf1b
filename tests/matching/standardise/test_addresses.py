"""Postal addresses come apart alike, in one line or in parts, abbreviated or written out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise.addresses import PostalAddress, read_address


def read(**stated: str) -> PostalAddress:
    address, _ = read_address(stated, region=None)
    assert address is not None
    return address


@pytest.mark.parametrize(
    ("line", "number", "street", "unit"),
    [
        ("123 Main St Apt 4B", "123", "main street", "4b"),
        ("Suite 245 0263 Sanchez Well", "263", "sanchez well", "245"),
        ("660 Patrick Ridges # 5", "660", "patrick ridges", "5"),
        ("Flat 3, 12 High St", "12", "high street", "3"),
        ("100 Main St 3rd Floor", "100", "main street", "3rd"),
        ("6371 E Foothill Dr", "6371", "east foothill drive", None),
        ("12 St James Ave", "12", "saint james avenue", None),
        ("5 Dr Martin Luther King Blvd", "5", "doctor martin luther king boulevard", None),
        ("1 5th Ave", "1", "fifth avenue", None),
        ("1 Fifth Avenue", "1", "fifth avenue", None),
        ("221B Baker Street", "221b", "baker street", None),
        ("12-14 High Street", "12", "high street", None),
        ("Hauptstr. 12 a", "12a", "hauptstrasse", None),
        ("Hauptstraße 12a", "12a", "hauptstrasse", None),
        ("Haupt Str 12, Whg 3", "12", "hauptstrasse", "3"),
        ("12 bis rue de la Paix", "12", "rue de la paix", None),
        ("12 av. Foch", "12", "avenue foch", None),
        ("Via Roma, 10", "10", "via roma", None),
        ("C/ Mayor 5", "5", "calle mayor", None),
        ("ул. Ленина, д. 5, кв. 12", "5", "lenina", "12"),
        ("Skyline Apartments, 705 Sheppard Ave", "705", "sheppard avenue", None),
        ("P.O. Box 1234", None, "po box 1234", None),
        ("Postfach 1234", None, "po box 1234", None),
        ("Route 9", None, "route 9", None),
    ],
)
def test_a_line_gives_number_street_and_unit(
    line: str, number: str | None, street: str, unit: str | None
) -> None:
    address = read(line=line, city="Somewhere", postcode="12345")

    assert (address.house_number, address.street, address.unit) == (number, street, unit)


@pytest.mark.parametrize(
    ("line", "street", "city", "region", "postcode"),
    [
        ("123 Main Street, Las Vegas NV 89132", "main street", "las vegas", "nv", "89132"),
        ("9304 W. 15th St La Blanca, FL 60527", "west 15th street", "la blanca", "fl", "60527"),
        ("638 Downey St, Salem, OR", "downey street", "salem", "or", None),
        ("445 Overpass Rd San Ramon", "overpass road", "san ramon", None, None),
        ("350 Fifth Avenue, New York, NY 10118, United States", "fifth avenue", "new york", "ny", "10118"),
        (
            "1600 Pennsylvania Avenue NW\nWashington, DC 20500-0003",
            "pennsylvania avenue northwest",
            "washington",
            "dc",
            "20500",
        ),
        ("Berliner Straße 5, 10115 Berlin, Deutschland", "berlinerstrasse", "berlin", None, "10115"),
        ("12 High St, London, CO15 4SU", "high street", "london", None, "co154su"),
        ("Dluga 5, 00-590 Warszawa", "dluga", "warszawa", None, "00590"),
    ],
)
def test_the_end_of_a_line_gives_what_is_not_stated(
    line: str, street: str, city: str, region: str | None, postcode: str | None
) -> None:
    address = read(line=line)

    assert (address.street, address.city, address.region, address.postcode) == (
        street,
        city,
        region,
        postcode,
    )


def test_parts_and_line_give_the_same_address() -> None:
    parts = read(house_number="12", street="Main St.", city="St Louis", postcode="63101")
    line = read(line="12 Main Street", city="Saint Louis", postcode="63101")

    assert parts == line
    assert parts.text == "12 main street saint louis"


def test_a_stated_part_wins_over_the_line() -> None:
    address = read(line="12 Main Street", house_number="14", city="Reno", postcode="89501")

    assert address.house_number == "14"


def test_a_house_number_in_the_street_is_found() -> None:
    address = read(street="111 Queens Park", line="111 Queens Park", city="Dundee")

    assert (address.house_number, address.street) == ("111", "queens park")


def test_a_number_before_a_slash_is_the_unit_in_australia() -> None:
    assert read_address({"line": "4/12 Smith St"}, region="AU")[0] == read(line="Unit 4 12 Smith Street")


def test_postcodes_lose_spaces_country_and_the_four_digits_behind() -> None:
    assert read(postcode="co15 4su").postcode == "co154su"
    assert read(postcode="62701-1234").postcode == "62701"
    assert read(postcode="D-10115").postcode == "10115"
    assert read(postcode="1012 AB").postcode == "1012ab"


def test_a_zero_that_a_spreadsheet_took_is_put_back() -> None:
    assert read(postcode="2101", country="USA").postcode == "02101"
    assert read(postcode="2101", country="AU").postcode == "2101"


def test_regions_are_codes_and_the_country_stands_in_where_none_is_stated() -> None:
    assert read(city="Sydney", region="New South Wales").region == "nsw"
    assert read(city="Berlin", country="Deutschland").region == "de"
    assert read(city="Reno", country="US", region="Nevada").region == "nv"


def test_junk_parts_are_left_out_and_told() -> None:
    address, junk = read_address({"line": "unknown", "city": "n/a", "postcode": "00000"}, region=None)

    assert address is None
    assert sorted(junk) == ["city", "line", "postcode"]


PARTS = st.sampled_from(["line", "street", "house_number", "unit", "city", "postcode", "region", "country"])
WORDS = st.sampled_from(
    "12 Main St Apt 4 , # / box po 5th e n str 10115 CO15 4SU NY USA Straße a - флат 東 floor".split()
)


@given(
    st.dictionaries(PARTS, st.text(max_size=60) | st.lists(WORDS, max_size=12).map(" ".join)),
    st.sampled_from(["AU", None]),
)
def test_any_parts_give_folded_pieces(stated: dict[str, str], region: str | None) -> None:
    address, junk = read_address(stated, region=region)

    assert set(junk) <= set(stated)
    if address is not None:
        pieces = [getattr(address, name) for name in PostalAddress._fields]
        assert all(piece is None or re.fullmatch(r"[a-z0-9]+(?: [a-z0-9]+)*", piece) for piece in pieces)
