"""The stored statement has one shape, whatever shape was sent; wrong types are refused by name."""

from __future__ import annotations

import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.errors import AttributesInvalid
from matching.standardise.statement import ADDRESS_PARTS, LIST_ATTRIBUTES, TEXT_ATTRIBUTES, clean_attributes

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ADDRESS_PARTS, "scheme", "value", "issuer", "iban"]) | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from([*TEXT_ATTRIBUTES, *LIST_ATTRIBUTES]) | st.text(max_size=5), VALUES, max_size=6
)


def test_every_shape_of_the_same_content_gives_the_same_bytes() -> None:
    one = {
        "phone": "030 1234",
        "email": ["a@b.org", "a@b.org", ""],
        "identifiers": {"iban": "DE89", "duns": 150483782},
        "address": {"postcode": 10115, "city": " Berlin "},
    }
    other = {
        "address": [{"city": "Berlin", "postcode": "10115", "planet": "Earth"}, None, {}],
        "identifiers": [
            {"value": "150483782", "scheme": "DUNS", "issuer": ""},
            {"scheme": "iban", "value": "DE89"},
        ],
        "email": ("a@b.org",),
        "phone": ["030 1234", None],
        "full_name": "  ",
        "given_name": None,
        "clicks": 7,
    }

    assert orjson.dumps(clean_attributes(one)) == orjson.dumps(clean_attributes(other))
    assert clean_attributes(one) == {
        "address": [{"city": "Berlin", "postcode": "10115"}],
        "email": ["a@b.org"],
        "identifiers": [{"scheme": "duns", "value": "150483782"}, {"scheme": "iban", "value": "DE89"}],
        "phone": ["030 1234"],
    }


def test_values_stay_as_stated() -> None:
    assert clean_attributes({"full_name": " Jürgen  MÜLLER "}) == {"full_name": "Jürgen  MÜLLER"}


def test_numbers_and_dates_become_text_where_files_lose_it() -> None:
    assert clean_attributes({"address": {"postcode": 2101.0, "house_number": 12}})["address"] == [
        {"house_number": "12", "postcode": "2101"}
    ]
    assert clean_attributes({"birth_date": datetime.date(1980, 5, 17)}) == {"birth_date": "1980-05-17"}
    assert clean_attributes({"birth_date": datetime.datetime(1980, 5, 17, 1, tzinfo=datetime.UTC)}) == {
        "birth_date": "1980-05-17"
    }
    assert clean_attributes({"phone": 4930123456}) == {"phone": ["4930123456"]}


def test_an_address_may_be_one_text_with_line_breaks() -> None:
    assert clean_attributes({"address": "12 Main St\r\nReno"}) == {"address": [{"line": "12 Main St, Reno"}]}


def test_control_characters_and_lone_surrogates_are_replaced() -> None:
    assert clean_attributes({"full_name": "Ann\x00a\x1b Smith\ud800"}) == {"full_name": "Ann a  Smith\ufffd"}


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"given_name": 7}, "given_name"),
        ({"given_name": ["Ann"]}, "given_name"),
        ({"birth_date": True}, "birth_date"),
        ({"email": [{"a": 1}]}, "email[0]"),
        ({"email": ["a@b.org", 7]}, "email[1]"),
        ({"phone": {"home": "1"}}, "phone"),
        ({"address": 7}, "address[0]"),
        ({"address": {"postcode": float("nan")}}, "address[0].postcode"),
        ({"address": [{"city": 7.5}, {"city": []}]}, "address[1].city"),
        ({"identifiers": "DE89"}, "identifiers"),
        ({"identifiers": ["DE89"]}, "identifiers[0]"),
        ({"identifiers": [{"value": "DE89"}]}, "identifiers[0].scheme"),
        ({"identifiers": {"iban": True}}, "identifiers.value"),
        ({"email": ["a@b.org"] * 101}, "email"),
    ],
)
def test_a_wrong_shape_is_refused_and_names_the_attribute_only(
    attributes: dict[str, object], path: str
) -> None:
    with pytest.raises(AttributesInvalid) as refused:
        clean_attributes(attributes)

    assert str(refused.value).startswith(f"{path}:")
    assert "DE89" not in str(refused.value)
    assert "a@b" not in str(refused.value)


@given(ATTRIBUTES)
def test_any_content_is_cleaned_once_for_all_or_refused(attributes: dict[str, object]) -> None:
    try:
        cleaned = clean_attributes(attributes)
    except AttributesInvalid:
        return

    assert clean_attributes(cleaned) == cleaned
    assert list(cleaned) == sorted(cleaned)
    assert orjson.loads(orjson.dumps(cleaned)) == cleaned
    assert all(cleaned.values())
