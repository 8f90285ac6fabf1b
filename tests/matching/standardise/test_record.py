"""A whole record becomes a profile that keeps every promise of `matching.model`, or is refused by name."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matching.errors import AttributesInvalid
from matching.model import (
    LIST_COLUMNS,
    PROFILE_COLUMNS,
    TEXT_COLUMNS,
    column_position,
    decode_profile,
    encode_profile,
)
from matching.standardise import AttributeWarning, Standardised, clean_attributes, standardise
from matching.standardise.statement import ADDRESS_PARTS, LIST_ATTRIBUTES, TEXT_ATTRIBUTES

PERSON = {
    "given_name": "Bill",
    "family_name": "O'Brien",
    "birth_date": "1980-05-17",
    "email": "Bill.OBrien+shop@GoogleMail.com",
    "phone": "030 2345678",
    "address": {"line": "Hauptstr. 12a", "city": "Berlin", "postcode": "10115", "country": "DE"},
}
ALLOWED = re.compile(r"[a-z0-9 .@:_!#$%&'*+/=?^`{|}~-]+")


def column(found: Standardised, name: str) -> object:
    return found.profile[column_position(name)]


def stated(found: Standardised) -> dict[str, object]:
    return {
        name: value for name, value in zip(PROFILE_COLUMNS, found.profile, strict=True) if value is not None
    }


def test_a_person_fills_its_columns() -> None:
    found = standardise(PERSON, region="DE")

    assert found.warnings == ()
    assert stated(found) == {
        "kind": "person",
        "given": "bill",
        "given_canon": "william",
        "family": "obrien",
        "birth_date": "1980-05-17",
        "name_tokens": ("bill", "obrien"),
        "emails": ("billobrien@gmail.com",),
        "email_users": ("billobrien",),
        "phones": ("49302345678",),
        "addresses": ("12a hauptstrasse berlin",),
        "house_numbers": ("12a",),
        "streets": ("hauptstrasse",),
        "postcodes": ("10115",),
        "cities": ("berlin",),
        "regions": ("de",),
    }


def test_an_organisation_fills_its_columns() -> None:
    found = standardise(
        {
            "org_name": "Acme Trading Company Ltd",
            "other_names": ["ATC"],
            "website": "www.acme.co.uk",
            "identifiers": {"duns": "150483782"},
        },
        region="GB",
    )

    assert stated(found) == {
        "kind": "organisation",
        "org": "acme trading",
        "legal_form": "ltd",
        "org_tokens": ("acme", "atc", "trading"),
        "org_alts": ("atc",),
        "websites": ("acme.co.uk",),
        "identifiers": ("duns:150483782",),
    }


def test_a_person_with_an_organisation_is_employed_there() -> None:
    found = standardise({"full_name": "Ann Smith", "org_name": "Acme Ltd"}, region=None)

    assert (column(found, "kind"), column(found, "employer"), column(found, "org")) == (
        "person",
        "acme",
        None,
    )


def test_the_stated_kind_wins() -> None:
    found = standardise({"kind": "Organization", "full_name": "Ann Smith Ltd"}, region=None)

    assert (column(found, "kind"), column(found, "org"), column(found, "given")) == (
        "organisation",
        "ann smith",
        None,
    )


def test_without_a_name_the_kind_stays_open() -> None:
    assert column(standardise({"email": "a.b@acme.org"}, region=None), "kind") is None
    assert column(standardise({"full_name": "unknown"}, region=None), "kind") is None


def test_a_wrong_kind_is_told() -> None:
    assert standardise({"kind": "robot"}, region=None).warnings == (AttributeWarning("kind", "unparseable"),)


@pytest.mark.parametrize(
    ("stated_sex", "sex"),
    [("Female", "f"), ("weiblich", "f"), ("M", "m"), (1, "m"), ("divers", "x"), ("U", None)],
)
def test_sex_is_one_letter(stated_sex: object, sex: str | None) -> None:
    found = standardise({"sex": stated_sex}, region=None)

    assert (column(found, "sex"), found.warnings) == (sex, ())


def test_junk_and_unparseable_values_are_told_by_attribute_and_left_out() -> None:
    found = standardise(
        {
            "full_name": "n/a",
            "birth_date": "1900-01-01",
            "email": ["ann@acme.org", "noreply@acme.org", "ann@"],
            "phone": ["0000000", "call me"],
            "address": [{"city": "unknown"}, {"city": "Reno"}],
            "identifiers": [{"scheme": "iban", "value": "DE88370400440532013000"}],
            "website": "-.-",
        },
        region="US",
    )

    assert found.warnings == (
        AttributeWarning("full_name", "junk"),
        AttributeWarning("address[0].city", "junk"),
        AttributeWarning("email[1]", "junk"),
        AttributeWarning("email[2]", "unparseable"),
        AttributeWarning("birth_date", "junk"),
        AttributeWarning("phone[0]", "junk"),
        AttributeWarning("phone[1]", "unparseable"),
        AttributeWarning("website", "junk"),
        AttributeWarning("identifiers[0]", "check_digit"),
    )
    assert stated(found) == {"emails": ("ann@acme.org",), "email_users": ("ann",), "cities": ("reno",)}


def test_a_phone_is_read_in_the_country_of_the_address_where_the_source_has_no_region() -> None:
    found = standardise({"phone": "(202) 934-8842", "address": {"country": "United States"}}, region=None)

    assert column(found, "phones") == ("12029348842",)


def test_no_more_than_twenty_values_of_a_list_are_matched_on() -> None:
    found = standardise({"email": [f"ann{number}@acme.org" for number in range(30)]}, region=None)

    assert found.warnings == (AttributeWarning("email[20]", "too_many"),)
    assert len(found.profile[column_position("emails")] or ()) == 20


def test_the_stored_statement_gives_the_same_profile() -> None:
    assert standardise(clean_attributes(PERSON), region="DE") == standardise(PERSON, region="DE")


def test_a_region_in_lower_case_is_the_same_region() -> None:
    assert standardise(PERSON, region="de") == standardise(PERSON, region="DE")


def test_a_native_spelling_shares_the_tokens_of_the_transliterated_name() -> None:
    native = standardise({"full_name": "Владимир Жуков"}, region=None)
    latin = standardise({"full_name": "Vladimir Zhukov"}, region=None)

    assert native == latin


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        [
            "Ann Smith",
            "Smith, Ann",
            "1980-05-17",
            "5/6/80",
            "ann@acme.org",
            "+49 30 2345678",
            "12 Main St, Reno NV 89501",
            "王伟",
            "Acme Ltd",
            "DE89370400440532013000",
            "n/a",
            "\x00",
            "ﷺ" * 40,
            "a" * 3000,
            "0" * 50,
        ]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ADDRESS_PARTS, "scheme", "value", "issuer", "iban"]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from([*TEXT_ATTRIBUTES, *LIST_ATTRIBUTES]) | st.text(max_size=5), VALUES, max_size=8
)
TEXTS = st.dictionaries(
    st.sampled_from([*TEXT_ATTRIBUTES, "email", "phone", "other_names", "address"]),
    st.text(max_size=40),
    max_size=8,
)


@given(ATTRIBUTES | TEXTS, st.sampled_from([None, "US", "DE", "AU", "XX", ""]))
@example({"address": {"line": ", , 89132"}}, "US")
@example({"full_name": "Dr."}, None)
@example({"kind": "person", "other_names": ["-"]}, None)
def test_anything_gives_a_profile_that_keeps_the_promises_or_is_refused(
    attributes: dict[str, object], region: str | None
) -> None:
    try:
        found = standardise(attributes, region=region)
    except AttributesInvalid:
        return

    assert len(found.profile) == len(PROFILE_COLUMNS)
    for name in TEXT_COLUMNS:
        value = found.profile[column_position(name)]
        assert value is None or (
            isinstance(value, str) and ALLOWED.fullmatch(value) and value == value.strip()
        )
    for name in LIST_COLUMNS:
        values = found.profile[column_position(name)]
        assert values is None or (
            isinstance(values, tuple) and values and list(values) == sorted(set(values))
        )
        assert all(ALLOWED.fullmatch(value) for value in values or ())
    assert decode_profile(encode_profile(found.profile)) == found.profile
    assert standardise(attributes, region=region) == found


@given(TEXTS)
def test_warnings_name_attributes_and_never_values(attributes: dict[str, object]) -> None:
    paths = re.compile(r"[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)?")

    found = standardise(attributes, region=None)

    assert all(paths.fullmatch(warning.attribute) for warning in found.warnings)
    assert all(warning.attribute.partition("[")[0] in attributes for warning in found.warnings)
