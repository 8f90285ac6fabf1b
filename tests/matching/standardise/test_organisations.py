"""Organisations' names lose their legal form and its spelling, and keep every name they trade under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise.fold import fold
from matching.standardise.organisations import OrganisationName, read_legal_form, read_organisation_name


def read(text: str, *others: str, legal_form: str | None = None) -> OrganisationName:
    name, _ = read_organisation_name(text, others=others, legal_form=legal_form)
    assert name is not None
    return name


@pytest.mark.parametrize(
    ("text", "name", "form"),
    [
        ("Acme Ltd", "acme", "ltd"),
        ("ACME Limited", "acme", "ltd"),
        ("The Acme Co., Ltd.", "acme", "ltd"),
        ("Acme Pty. Ltd.", "acme", "ltd"),
        ("The Acme Company, Inc.", "acme", "inc"),
        ("Müller & Söhne GmbH & Co. KG", "muller and sohne", "gmbh co kg"),
        ("Siemens Aktiengesellschaft", "siemens", "ag"),
        ("ACME S. A. de C.V.", "acme", "sa"),
        ("Budex Sp. z o.o.", "budex", "spzoo"),
        ("ACME s.r.o.", "acme", "sro"),
        ("OAO Gazprom", "gazprom", "oao"),
        ("Open Joint Stock Company Gazprom", "gazprom", "oao"),
        ("ООО «Ромашка»", "romashka", "ooo"),
        ("株式会社トヨタ", "toyota", "kk"),
        ("Toyota Kabushiki Kaisha", "toyota", "kk"),
        ("I.B.M. Corp.", "ibm", "corp"),
        ("AT&T Inc.", "at and t", "inc"),
        ("Deutsche Bank (Schweiz) AG", "deutsche bank schweiz", "ag"),
        ("flying biscuit, the", "flying biscuit", None),
        ("Smith Bros. Mfg.", "smith brothers manufacturing", None),
        ("AG Services", "ag services", None),
        ("Inc", "inc", None),
    ],
)
def test_a_name_parts_from_its_legal_form(text: str, name: str, form: str | None) -> None:
    organisation = read(text)

    assert (organisation.name, organisation.legal_form) == (name, form)


def test_the_initials_of_a_long_name_are_another_name() -> None:
    assert read("International Business Machines Corp.").alternatives == ("ibm",)
    assert read("Business Machines Corp.").alternatives is None


def test_what_an_organisation_trades_as_is_another_name() -> None:
    assert read("Smith Holdings LLC d/b/a Joe's Diner").alternatives == ("joes diner",)
    assert read("Smith t/a Corner Shop").alternatives == ("corner shop",)


def test_other_names_and_umlauts_written_out_are_other_names() -> None:
    organisation = read("Müller GmbH", "Autohaus Nord AG")

    assert organisation.alternatives == ("autohaus nord", "mueller")
    assert organisation.tokens == ("autohaus", "mueller", "muller", "nord")


def test_a_stated_legal_form_wins() -> None:
    assert read("Acme Ltd", legal_form="Public Limited Company").legal_form == "plc"


def test_legal_forms_have_one_spelling() -> None:
    assert read_legal_form("G.m.b.H.") == "gmbh"
    assert read_legal_form("Société Anonyme") == "sa"
    assert read_legal_form("Genossenschaft") == "genossenschaft"
    assert read_legal_form("n/a") is None


def test_small_words_are_no_tokens() -> None:
    assert read("Bank of the West").tokens == ("bank", "west")


def test_junk_names_are_told_by_position() -> None:
    assert read_organisation_name("n/a", others=("Acme", "-")) == (read("Acme"), (0, 2))
    assert read_organisation_name("unknown") == (None, (0,))


@given(st.text(max_size=80), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_gives_folded_pieces(text: str, others: list[str]) -> None:
    organisation, _ = read_organisation_name(text, others=others)

    if organisation is not None:
        pieces = [organisation.name, *(organisation.alternatives or ()), *(organisation.tokens or ())]
        assert all(piece and fold(piece) == piece for piece in pieces)
        assert organisation.name not in (organisation.alternatives or ())


@given(st.from_regex(r"[A-Za-z ]{3,30}", fullmatch=True))
def test_a_standardised_name_is_its_own_form_until_a_legal_form_is_left(text: str) -> None:
    organisation, _ = read_organisation_name(text)

    if organisation is not None and organisation.name is not None:
        again, _ = read_organisation_name(f"{organisation.name} Ltd")
        assert again is None or again.legal_form == "ltd"
