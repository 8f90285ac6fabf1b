"""Addresses of mail, phone and web have one form each; fillers and role accounts tell nobody apart."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise import contacts
from matching.standardise.contacts import parse_phone, read_email, read_email_user, read_phone, read_website


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("John.Smith@Example-Shop.COM", "john.smith@example-shop.com"),
        ("mailto:a.b@acme.org", "a.b@acme.org"),
        ("John Smith <john@acme.org>", "john@acme.org"),
        ("john+news@acme.org", "john@acme.org"),
        ("J.o.h.n+x@GoogleMail.com", "john@gmail.com"),
        ("john@me.com", "john@icloud.com"),
        ("john@pm.me", "john@proton.me"),
        ("info@acme.org", "info@acme.org"),
        ("hans@münchen.de", "hans@xn--mnchen-3ya.de"),
        ("hans@xn--mnchen-3ya.de", "hans@xn--mnchen-3ya.de"),
        ("müller@acme.de", "muller@acme.de"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert read_email(text) == (address, None)


@pytest.mark.parametrize(
    "text",
    [
        "noreply@acme.com",
        "no-reply@acme.com",
        "none@none.com",
        "na@acme.com",
        "test@test.com",
        "a@a.a.aa",
        "noreply@example.com",
        "a@a.de",
        "unknown",
        "n/a",
        "---@acme.com",
        "x@shop.invalid",
    ],
)
def test_fillers_are_junk(text: str) -> None:
    assert read_email(text) == (None, "junk")


def test_an_address_in_a_domain_for_examples_counts() -> None:
    assert read_email("ada@example.org") == ("ada@example.org", None)


@pytest.mark.parametrize(
    "text", ["john", "john@", "@acme.com", "a b@acme.com", "john@acme", "john@acme..com", "j@ä@b.de"]
)
def test_what_is_no_address_is_unparseable(text: str) -> None:
    assert read_email(text) == (None, "unparseable")


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("j.smith82@acme.org", "jsmith"),
        ("smith_j@acme.org", "smithj"),
        ("12345@acme.org", "12345"),
        ("info@acme.org", None),
        ("kundenservice@acme.org", None),
        ("jo@acme.org", None),
    ],
)
def test_the_user_name_is_bare_letters_and_none_for_roles(address: str, user: str | None) -> None:
    assert read_email_user(address) == user


@pytest.mark.parametrize(
    ("text", "region", "digits"),
    [
        ("(202) 934-8842", "US", "12029348842"),
        ("1-202-934-8842", "US", "12029348842"),
        ("+1 202 934 8842", None, "12029348842"),
        ("2029348842 ext. 12", "US", "12029348842"),
        ("030 2345678", "DE", "49302345678"),
        ("0049 30 2345678", "DE", "49302345678"),
        ("0049 30 2345678", None, "49302345678"),
        ("+49 (0)30 2345678", None, "49302345678"),
        ("020 7946 0018", "GB", "442079460018"),
        ("(02) 9374 4000", "AU", "61293744000"),
        ("+39 06 698 12345", "IT", "390669812345"),
        ("06 698 12345", "IT", "390669812345"),
        ("٠٣٠ ٢٣٤٥٦٧٨", "DE", "49302345678"),
    ],
)
def test_a_number_is_read_with_its_region(text: str, region: str | None, digits: str) -> None:
    assert read_phone(text, region=region) == (digits, None)


def test_a_number_dialled_from_abroad_is_read_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "_parse_any", lambda text, region: None)

    assert parse_phone("0049 30 9018270", region="GB") == ("49", "309018270")
    assert parse_phone("011 44 20 7946 0018", region="US") == ("44", "2079460018")
    assert parse_phone("0049 30 9018270", region=None) == ("49", "309018270")


def test_a_number_of_unknown_country_stands_behind_a_zero() -> None:
    assert read_phone("0352 6553537", region=None) == ("03526553537", None)
    assert read_phone("202-934-8842", region=None) == ("02029348842", None)
    assert read_phone("934-8842", region="US") == ("09348842", None)


@pytest.mark.parametrize(
    "text",
    [
        "0000000",
        "000-000-0000",
        "1234567",
        "123-456-7890",
        "9999999999",
        "(555) 555-5555",
        "unknown",
        "n/a",
        ".....",
        "+ (  ) -",
    ],
)
def test_filler_numbers_are_junk(text: str) -> None:
    assert read_phone(text, region="US") == (None, "junk")


@pytest.mark.parametrize("text", ["12345x", "call me", "555", "+1", "7.73E+016", "9" * 70])
def test_what_is_no_number_is_left_out(text: str) -> None:
    assert read_phone(text, region="US")[0] is None


def test_the_plain_way_reads_what_the_library_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(20)
    regions = [
        "US",
        "CA",
        "GB",
        "DE",
        "FR",
        "NL",
        "AU",
        "IT",
        "ES",
        "AT",
        "CH",
        "IN",
        "BR",
        "MX",
        "JP",
        "PL",
        "AR",
    ]
    texts = [(_random_number(rng), rng.choice(regions)) for _ in range(1_000)]
    texts += [(_mistype(rng, text), region) for region in regions for text in _example_numbers(region) * 3]
    texts += [(_dial_abroad(rng, text), region) for region in regions for text in _example_numbers("SE") * 3]
    plain = [parse_phone(text, region=region) for text, region in texts]
    assert sum(number is not None for number in plain) > 400

    monkeypatch.setattr(contacts, "_parse_national", lambda digits, region: None)
    monkeypatch.setattr(contacts, "_parse_international", lambda digits: None)
    library = [parse_phone(text, region=region) for text, region in texts]

    assert plain == library


def _example_numbers(region: str) -> list[str]:
    number = phonenumbers.example_number(region)
    assert number is not None
    formats = phonenumbers.PhoneNumberFormat
    return [phonenumbers.format_number(number, form) for form in (formats.NATIONAL, formats.INTERNATIONAL)]


def _mistype(rng: random.Random, text: str) -> str:
    position = rng.randrange(len(text))
    return (
        text[:position] + rng.choice("0123456789") + text[position + 1 :]
        if text[position].isdigit()
        else text
    )


def _dial_abroad(rng: random.Random, text: str) -> str:
    """Return a number of another country as it is dialled, now and then from the wrong one."""
    return _mistype(rng, text.replace("+", rng.choice(["00", "00 ", "011", "0011 ", "+00"])))


def _random_number(rng: random.Random) -> str:
    start = rng.choice(
        [
            "",
            "0",
            "00",
            "1",
            "+1 ",
            "+44 ",
            "+49 ",
            "+49 0",
            "+61",
            "+39 0",
            "+39 ",
            "+52 1",
            "+54 9",
            "+",
            "011",
        ]
    )
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(5, 11)))
    return start + (digits if rng.random() < 0.5 else f"{digits[:3]} {digits[3:]}")


def test_example_numbers_of_every_country_keep_their_digits() -> None:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number(region)
        if number is None:
            continue
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]

        digits, code = read_phone(national, region=region)

        assert digits == expected or code == "junk"


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("https://www.acme.com/about?x=1", "acme.com"),
        ("WWW.Shop.Acme.co.uk", "acme.co.uk"),
        ("acme.de:8080", "acme.de"),
        ("http://münchen.de/", "xn--mnchen-3ya.de"),
    ],
)
def test_a_site_is_known_by_its_registered_name(text: str, site: str) -> None:
    assert read_website(text) == (site, None)


def test_shared_hosts_and_answers_are_junk_sites() -> None:
    assert read_website("https://facebook.com/acme") == (None, "junk")
    assert read_website("No") == (None, "junk")
    assert read_website("call us") == (None, "unparseable")


@given(st.text(max_size=80), st.sampled_from(["US", "DE", "XX", None]))
def test_any_text_gives_ascii_or_a_code(text: str, region: str | None) -> None:
    for value, code in (read_email(text), read_phone(text, region=region), read_website(text)):
        assert (value is None) == (code is not None)
        assert value is None or (value.isascii() and value)


@given(st.from_regex(r"[A-Za-z.+_0-9-]{1,20}@[A-Za-z0-9-]{1,10}\.[a-z]{2,4}", fullmatch=True))
def test_a_canonical_address_is_its_own_form(text: str) -> None:
    address, _ = read_email(text)

    assert address is None or read_email(address) == (address, None)
