"""The made-up organisations."""

from __future__ import annotations

from service.demo.organisations import LEGAL_FORMS, make_organisation

ORGANISATIONS = [make_organisation(b"1", number) for number in range(300)]


def test_an_organisation_is_the_same_every_time() -> None:
    assert make_organisation(b"1", 7) == ORGANISATIONS[7]
    assert make_organisation(b"2", 7) != ORGANISATIONS[7]


def test_the_legal_form_is_one_of_the_country_s() -> None:
    forms = {organisation.address.country: set[str]() for organisation in ORGANISATIONS}
    for organisation in ORGANISATIONS:
        forms[organisation.address.country].add(organisation.legal_form)

    assert "GmbH" in forms["DE"]
    assert "GmbH" not in forms["GB"]
    assert set().union(*forms.values()) <= set(LEGAL_FORMS)


def test_host_names_are_ascii_and_the_e_mail_address_is_at_them() -> None:
    for organisation in ORGANISATIONS:
        assert organisation.website.isascii()
        assert organisation.email.endswith(organisation.website.removeprefix("www."))


def test_names_differ_as_in_life() -> None:
    assert len({organisation.name for organisation in ORGANISATIONS}) > 270
