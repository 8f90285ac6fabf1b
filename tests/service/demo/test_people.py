"""The made-up persons."""

from __future__ import annotations

from service.demo.layout import Role, slot_of
from service.demo.people import Person, mail_name, make_person

SALT = b"1"
PERSONS = {
    number: make_person(SALT, number)
    for number in range(600)
    if slot_of(number).role is not Role.ORGANISATION
}


def with_role(role: Role) -> list[tuple[int, Person]]:
    return [(number, person) for number, person in PERSONS.items() if slot_of(number).role is role]


def test_a_household_has_one_address_and_at_most_one_landline() -> None:
    for number, person in PERSONS.items():
        first = PERSONS[slot_of(number).household]

        assert (person.address, person.landline) == (first.address, first.landline)


def test_twins_share_birthday_and_family_name_but_not_the_given_name() -> None:
    twins = with_role(Role.TWIN)

    for (_, one), (_, other) in zip(twins[::2], twins[1::2], strict=True):
        assert (one.born, one.family) == (other.born, other.family)
        assert one.given != other.given or one.sex != other.sex


def test_a_junior_bears_the_senior_s_name_and_is_a_generation_younger() -> None:
    for (_, senior), (_, junior) in zip(with_role(Role.SENIOR), with_role(Role.JUNIOR), strict=True):
        assert (junior.given, junior.family) == (senior.given, senior.family)
        assert (junior.suffix, senior.suffix) == ("Jr", "Sr")
        assert 21 <= int(junior.born[:4]) - int(senior.born[:4]) <= 36


def test_some_moved_and_some_changed_their_family_name() -> None:
    moved = sum(person.old_address is not None for person in PERSONS.values()) / len(PERSONS)
    renamed = sum(person.old_family is not None for person in PERSONS.values()) / len(PERSONS)

    assert 0.1 < moved < 0.3
    assert 0.02 < renamed < 0.12


def test_an_e_mail_address_of_one_s_own_is_nobody_else_s() -> None:
    own = [
        email for person in PERSONS.values() for email in person.emails if not email.startswith("familie.")
    ]

    assert len(set(own)) == len(own)


def test_names_are_folded_as_in_e_mail_addresses() -> None:
    assert mail_name("Müller-O'Neill") == "muelleroneill"
