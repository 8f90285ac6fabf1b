"""Identifiers have one spelling a scheme, and none that fails its check is matched on."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban, lei, numdb

from matching.standardise.identifiers import SCHEMES, is_known_scheme, read_identifier


@pytest.mark.parametrize(
    ("scheme", "value", "identifier"),
    [
        ("iban", "DE89 3704 0044 0532 0130 00", "iban:de89370400440532013000"),
        ("lei", "5493001KJTIIGC8Y1R12", "lei:5493001kjtiigc8y1r12"),
        ("vat_id", "DE 136695976", "vat_id:de136695976"),
        ("vat_id", "EL094259216", "vat_id:el094259216"),
        ("vat_id", "98765411", "vat_id:98765411"),
        ("national_id", "411-01-8157", "national_id:411018157"),
        ("duns", "15-048-3782", "duns:150483782"),
        ("x-crm", "ab/12", "x-crm:ab12"),
        ("loyalty", "№ 77 12 34", "loyalty:no771234"),
    ],
)
def test_an_identifier_has_one_spelling(scheme: str, value: str, identifier: str) -> None:
    assert read_identifier(scheme, value) == (identifier, None)


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("iban", "DE88370400440532013000"),
        ("iban", "DE8937040044053201300"),
        ("lei", "5493001KJTIIGC8Y1R13"),
        ("vat_id", "DE136695977"),
    ],
)
def test_a_wrong_check_digit_keeps_an_identifier_out(scheme: str, value: str) -> None:
    assert read_identifier(scheme, value) == (None, "check_digit")


@pytest.mark.parametrize(
    "value", ["000-00-0000", "123456789", "111111", "n/a", "unknown", "-", "078-05-1120"]
)
def test_fillers_and_specimens_are_junk(value: str) -> None:
    assert read_identifier("national_id", value) == (None, "junk")


def test_a_value_too_short_or_too_long_is_unparseable() -> None:
    assert read_identifier("passport", "a7x") == (None, "unparseable")
    assert read_identifier("passport", "a7" * 40) == (None, "unparseable")
    assert read_identifier("duns", "1504837820") == (None, "unparseable")


def test_an_unknown_scheme_is_told() -> None:
    assert read_identifier("ssn", "411-01-8157") == (None, "unknown_scheme")
    assert not is_known_scheme("x-")
    assert all(is_known_scheme(scheme) for scheme in SCHEMES)


def test_the_issuer_tells_values_of_some_schemes_apart() -> None:
    assert read_identifier("passport", "C01X00T478", issuer="DE") == ("passport@de:c01x00t478", None)
    assert read_identifier("x-club", "4711-1", issuer="Acme AG") == ("x-club@acmeag:47111", None)
    assert read_identifier("lei", "5493001KJTIIGC8Y1R12", issuer="GLEIF")[0] == "lei:5493001kjtiigc8y1r12"


@given(
    st.sampled_from([*sorted(SCHEMES), "x-own", "ssn"]),
    st.text(max_size=80),
    st.none() | st.text(max_size=20),
)
def test_any_value_gives_an_identifier_or_a_code(scheme: str, value: str, issuer: str | None) -> None:
    identifier, code = read_identifier(scheme, value, issuer=issuer)

    assert (identifier is None) == (code is not None)
    assert identifier is None or re.fullmatch(r"[a-z_-]+(?:@[a-z0-9]+)?:[a-z0-9]{4,64}", identifier)


@given(st.sampled_from(["vat_id", "iban", "lei"]), st.from_regex(r"[A-Z]{2}[0-9A-Z]{2,20}", fullmatch=True))
def test_any_prefix_is_checked_without_an_error(scheme: str, value: str) -> None:
    _, code = read_identifier(scheme, value)

    assert code in {None, "check_digit", "junk"}


def test_account_numbers_of_every_country_are_checked_as_the_library_checks_them() -> None:
    rng = random.Random(5)
    countries = sorted({low: properties for _, low, _, properties, _ in numdb.get("iban").prefixes}.items())
    signs = {"n": "0123456789", "a": "ABCXYZ", "c": "019ABCXYZ"}
    kept = 0
    for country, properties in [*countries, ("ZZ", {"bban": "12!n"})]:
        for attempt in range(6):
            parts = re.findall(r"(\d+)!([nac])", properties["bban"])
            account = "".join(rng.choice(signs[sign]) for length, sign in parts for _ in range(int(length)))
            number = country + iban.calc_check_digits(country + "00" + account) + account
            if attempt > 3:
                number = number[: rng.randint(5, len(number) - 1)] + rng.choice("019AZ")

            identifier, _ = read_identifier("iban", number)

            assert (identifier is not None) == iban.is_valid(number), country
            kept += identifier is not None
    assert kept > 200


@given(st.text("0123456789ABCXYZ", min_size=4, max_size=20))
def test_legal_entities_are_checked_as_the_library_checks_them(value: str) -> None:
    _, code = read_identifier("lei", value)

    assert code == "junk" or (code is None) == lei.is_valid(value)
