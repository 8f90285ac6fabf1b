"""What sources write down of their customers."""

from __future__ import annotations

from service.demo.draws import roll
from service.demo.organisations import make_organisation
from service.demo.people import make_person
from service.demo.statements import state_organisation, state_person


def test_a_clean_draw_states_the_person_as_it_is() -> None:
    person = make_person(b"1", 0)
    draws = (40_000,) * 32

    stated = state_person(person, "crm", 0, 0, draws, None)

    assert (stated["given_name"], stated["family_name"]) == (person.given, person.family)
    assert stated["birth_date"] == person.born
    assert stated["address"][0]["city"] == person.address.city


def test_only_later_variants_are_out_of_date() -> None:
    number = next(n for n in range(200) if make_person(b"1", n).old_address is not None)
    person = make_person(b"1", number)
    assert person.old_address is not None
    draws = list((40_000,) * 32)
    draws[11] = 0

    first, second = (
        state_person(person, "crm", variant, number, tuple(draws), None)["address"][0] for variant in (0, 1)
    )

    assert first["postcode"] == person.address.postcode
    assert second["postcode"] == person.old_address.postcode


def test_an_employer_stands_beside_the_person_s_name() -> None:
    person = make_person(b"1", 0)

    stated = state_person(person, "crm", 0, 0, (0,) * 32, "Miller Plumbing")

    assert stated["org_name"] == "Miller Plumbing"


def test_an_organisation_has_no_personal_name() -> None:
    for number in range(86, 100):
        organisation = make_organisation(b"1", number)
        stated = state_organisation(organisation, "billing", roll(b"1s", number))

        assert "org_name" in stated
        assert stated["kind"] == "organisation"
        assert not stated.keys() & {"given_name", "family_name", "full_name", "birth_date"}
