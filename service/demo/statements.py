"""What a source wrote down of a customer: forms, gaps, slips and junk, each source in its own way.

Invariant: a statement is a function of the customer, the source, the variant and the draws; its attributes
are canonical (`given_name`, `email`, `address` ...).
Elsewhere: the truth (`service.demo.people`, `service.demo.organisations`), a source's own columns
(`service.demo.sources`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.demo.blemishes import (
    JUNK_DATES,
    JUNK_EMAILS,
    JUNK_NAMES,
    JUNK_PHONES,
    misread_date,
    mistype,
)
from service.demo.draws import chance
from service.demo.family_names import NATIVE_FAMILY
from service.demo.given_names import NATIVE_GIVEN, NICKNAMES
from service.demo.organisations import LEGAL_FORMS
from service.demo.schemes import iban, luhn_number, tax_number, vat_number

if TYPE_CHECKING:
    from service.demo.draws import Draws
    from service.demo.organisations import Organisation
    from service.demo.people import Person
    from service.demo.places import Address

__all__ = ["state_organisation", "state_person"]


@dataclass(frozen=True, slots=True)
class _Habits:
    """How often a source leaves out what, as bounds of a draw."""

    no_birth: int
    no_email: int
    no_phone: int
    no_address: int
    full_name: int
    native: int
    upper: int


_HABITS: Final = {
    "crm": _Habits(
        chance(0.35), chance(0.20), chance(0.22), chance(0.10), chance(0.05), chance(0.40), chance(0.03)
    ),
    "shop": _Habits(
        chance(0.60), chance(0.03), chance(0.45), chance(0.12), chance(0.80), chance(0.35), chance(0.01)
    ),
    "billing": _Habits(
        chance(0.15), chance(0.40), chance(0.35), chance(0.03), chance(0.02), chance(0.05), chance(0.08)
    ),
}
_NICKNAME: Final = chance(0.12)
_INITIAL: Final = chance(0.04)
_TYPO: Final = chance(0.04)
_DATE_SLIP: Final = chance(0.03)
_JUNK: Final = chance(0.01)
_JUNK_NAME: Final = chance(0.002)
_SPELLING: Final = chance(0.3)
_NATIVE_TOLD: Final = chance(0.2)
_MAIDEN_TOLD: Final = chance(0.3)
_SUFFIX: Final = chance(0.5)
_TITLE: Final = chance(0.06)
_UNIT: Final = chance(0.7)
_PARTED: Final = chance(0.25)
_LOCAL_CITY: Final = chance(0.3)
_HALF: Final = chance(0.5)
_TAXED: Final = chance(0.3)
_BANKED: Final = chance(0.4)
_CARD: Final = chance(0.35)
_VAT: Final = chance(0.75)
_NO_FORM: Final = chance(0.15)
_NATIVE_ORIGINS: Final = frozenset(("russian", "greek", "chinese", "japanese", "arabic"))
_UNSPACED: Final = frozenset(("chinese", "japanese"))
_LANGUAGES: Final = {"GB": "en", "US": "en", "DE": "de", "FR": "fr"}
_ABBREVIATIONS: Final = {
    "Road": "Rd",
    "Street": "St",
    "Avenue": "Ave",
    "Lane": "Ln",
    "Drive": "Dr",
    "Close": "Cl",
    "Court": "Ct",
    "Gardens": "Gdns",
    "Place": "Pl",
    "Square": "Sq",
}


def state_person(
    person: Person, source: str, variant: int, customer: int, draws: Draws, employer: str | None
) -> dict[str, Any]:
    """Return what the source states about the person; variants after the first may be out of date."""
    habits = _HABITS[source]
    attributes: dict[str, Any] = {}
    given, family = _forms_of_name(attributes, person, habits, draws, variant)
    _put_name(attributes, person, habits, draws, given, family)
    if source == "billing":
        attributes["kind"] = "person"
    elif source == "crm":
        if draws[0] < _HALF:
            attributes["sex"] = person.sex if draws[1] & 3 else ("female" if person.sex == "f" else "Male")
        if employer is not None and draws[1] < _HALF:
            attributes["org_name"] = employer
        if draws[2] < 6_000:
            attributes["preferred_language"] = _LANGUAGES[person.address.country]
    if draws[3] >= habits.no_birth:
        attributes["birth_date"] = _birth_date(person.born, draws[4])
    if draws[5] >= habits.no_email:
        attributes["email"] = _emails(person.emails, draws[6])
    if draws[7] >= habits.no_phone:
        attributes["phone"] = _phones(person, draws)
    if draws[10] >= habits.no_address:
        former = person.old_address if variant and draws[11] < _HALF else None
        where, local_city = (person.address, person.local_city) if former is None else (former, ())
        attributes["address"] = [_address(where, local_city, draws)]
    if identifiers := _identifiers(person, source, customer, draws):
        attributes["identifiers"] = identifiers
    return attributes


def state_organisation(organisation: Organisation, source: str, draws: Draws) -> dict[str, Any]:
    """Return what the source states about the organisation."""
    habits = _HABITS[source]
    name, form = organisation.name, organisation.legal_form
    if draws[20] < _TYPO:
        name = mistype(name, draws[20])
    if draws[21] & 3 == 0:
        name = name.replace(" & ", " und " if form in ("GmbH", "KG", "AG", "e.K.") else " and ")
    attributes: dict[str, Any] = {}
    if draws[22] >= _NO_FORM:
        spellings = LEGAL_FORMS[form]
        written = spellings[draws[23] % len(spellings) if draws[22] < _HALF else 0]
        if source == "crm" and draws[23] & 8:
            attributes["legal_form"] = written
        else:
            name = f"{name} {written}"
    attributes["org_name"] = name.upper() if draws[24] < habits.upper else name
    if source == "billing":
        attributes["kind"] = "organisation"
    if source == "crm" and draws[25] < _HALF:
        attributes["website"] = organisation.website if draws[25] & 1 else f"https://{organisation.website}/"
    if draws[5] >= habits.no_email:
        attributes["email"] = _emails((organisation.email,), draws[6])
    if draws[7] >= habits.no_phone:
        attributes["phone"] = [_phone(organisation.phone, draws[8])]
    if draws[10] >= habits.no_address:
        attributes["address"] = [_address(organisation.address, organisation.local_city, draws)]
    if source == "billing":
        own, country = organisation.draws, organisation.address.country
        identifiers = []
        if own[16] < _VAT and (vat := vat_number(country, own[14] << 16 | own[15])) is not None:
            identifiers.append({"scheme": "vat_id", "value": vat})
        if (bank := iban(country, own[17], own[18])) is not None and draws[13] < _HALF:
            identifiers.append({"scheme": "iban", "value": bank})
        if identifiers:
            attributes["identifiers"] = identifiers
    return attributes


def _forms_of_name(
    attributes: dict[str, Any], person: Person, habits: _Habits, draws: Draws, variant: int
) -> tuple[str, str]:
    """Return the given and family name in the form told to the source; other names go to `attributes`."""
    given, family = person.given, person.family
    if person.old_family is not None:
        if variant and draws[14] < _HALF:
            family = person.old_family
        elif draws[14] < _MAIDEN_TOLD:
            attributes["other_names"] = [person.old_family]
    if person.origin not in _NATIVE_ORIGINS:
        if draws[16] < _NICKNAME:
            if (forms := NICKNAMES.get(given)) is not None:
                given = forms[draws[16] % len(forms)]
            elif draws[16] < _INITIAL:
                given = f"{given[0]}."
        return given, family
    given_forms, family_forms = NATIVE_GIVEN[person.origin, given], NATIVE_FAMILY[person.origin, family]
    if draws[15] < habits.native:
        return given_forms[0], family_forms[0]
    if draws[17] < _NATIVE_TOLD:
        is_unspaced = person.origin in _UNSPACED
        native = (family_forms[0], given_forms[0]) if is_unspaced else (given_forms[0], family_forms[0])
        attributes["other_names"] = [("" if is_unspaced else " ").join(native)]
    if draws[15] & 1 and draws[16] < _SPELLING:
        return given_forms[-1], family_forms[-1]
    return given, family


def _put_name(
    attributes: dict[str, Any], person: Person, habits: _Habits, draws: Draws, given: str, family: str
) -> None:
    middle = person.middle if draws[21] & 1 else None
    suffix = person.suffix if draws[22] < _SUFFIX else None
    is_unspaced = person.origin in _UNSPACED and not given.isascii()
    if draws[17] > 65_535 - _TYPO:
        given = mistype(given, draws[17])
    if draws[18] < _TYPO:
        family = mistype(family, draws[18])
    elif draws[18] > 65_535 - _JUNK_NAME:
        given = JUNK_NAMES[draws[18] % len(JUNK_NAMES)]
    if draws[19] < habits.upper:
        given, family = given.upper(), family.upper()
    if draws[20] < habits.full_name:
        attributes["full_name"] = (
            f"{family}{given}" if is_unspaced else _full_name(person, given, middle, family, suffix, draws)
        )
        return
    attributes["given_name"] = given
    attributes["family_name"] = family
    if middle is not None:
        attributes["middle_name"] = middle if draws[21] & 2 else middle[0]
    if suffix is not None:
        attributes["name_suffix"] = suffix


def _full_name(
    person: Person, given: str, middle: str | None, family: str, suffix: str | None, draws: Draws
) -> str:
    all_given = given if middle is None else f"{given} {middle}"
    name = f"{family}, {all_given}" if draws[20] & 15 == 0 else f"{all_given} {family}"
    if suffix is not None:
        name = f"{name} {suffix}"
    if draws[21] < _TITLE:
        name = f"{'Dr' if draws[21] & 2 else 'Mr' if person.sex == 'm' else 'Mrs'} {name}"
    return name


def _birth_date(born: str, draw: int) -> str:
    if draw >= _DATE_SLIP + _JUNK:
        return born
    return misread_date(born, draw) if draw < _DATE_SLIP else JUNK_DATES[draw & 3]


def _phones(person: Person, draws: Draws) -> list[str]:
    if person.landline is None:
        return [_phone(person.mobile, draws[8])]
    at_home = _phone(person.landline, draws[8] ^ 0x5555)
    choice = draws[9] & 7
    if choice == 0:
        return [at_home]
    return [_phone(person.mobile, draws[8]), at_home] if choice > 4 else [_phone(person.mobile, draws[8])]


def _identifiers(person: Person, source: str, customer: int, draws: Draws) -> list[dict[str, str]]:
    if source != "billing":
        if draws[13] >= _CARD:
            return []
        return [{"scheme": "loyalty", "value": luhn_number(29_000_000_000 + customer * 37)}]
    own, account, country = person.draws, person.account, person.address.country
    identifiers = []
    if own[16] < _TAXED and (tax := tax_number(country, own[17], own[18], customer)) is not None:
        identifiers.append({"scheme": "tax_id", "value": mistype(tax, draws[12]) if draws[12] < 900 else tax})
    if own[15] < _BANKED and (bank := iban(country, account[14], account[15])) is not None:
        identifiers.append({"scheme": "iban", "value": bank})
    return identifiers


def _emails(emails: tuple[str, ...], draw: int) -> list[str]:
    if draw < _TYPO:
        return [mistype(emails[0], draw)]
    if draw > 65_535 - _JUNK:
        return [JUNK_EMAILS[draw % len(JUNK_EMAILS)]]
    if len(emails) == 1 or draw & 3 == 0:
        return [emails[0] if draw & 31 else emails[0].upper()]
    return list(emails) if draw & 1 else [emails[-1]]


def _phone(phone: tuple[str, str], draw: int) -> str:
    code, number = phone
    if draw < _JUNK:
        return JUNK_PHONES[draw % len(JUNK_PHONES)]
    if draw > 65_535 - _TYPO:
        number = mistype(number, draw)
    form = draw & 7
    if form < 3:
        return f"+{code}{number}"
    if form < 5 or (form == 5 and code != "44"):
        return f"+{code} {number[:4]} {number[4:]}"
    if code != "44":
        return f"00{code} {number}" if code != "1" else f"+1 ({number[:3]}) {number[3:6]}-{number[6:]}"
    return f"0{number}" if form == 6 else f"0{number[:4]} {number[4:]}"


def _address(where: Address, local_city: tuple[str, ...], draws: Draws) -> dict[str, str]:
    house_number, street, unit, city, region, postcode, country = where
    if draws[26] < _TYPO:
        street = mistype(street, draws[26])
    elif country in ("GB", "US"):
        if draws[26] & 3 == 0:
            name, _, kind = street.rpartition(" ")
            street = f"{name} {_ABBREVIATIONS.get(kind, kind)}"
    elif country == "DE" and draws[26] & 1:
        street = street.replace("straße", "str.")
    if local_city and draws[27] < _LOCAL_CITY:
        city = local_city[draws[27] % len(local_city)]
    elif draws[27] > 65_535 - _TYPO // 2:
        city = mistype(city, draws[27])
    if draws[28] < _TYPO:
        postcode = mistype(postcode, draws[28]) if draws[28] & 1 else postcode.replace(" ", "").lower()
    stated: dict[str, str] = {}
    if draws[29] < _PARTED:
        stated["house_number"], stated["street"] = house_number, street
        if unit is not None and draws[30] < _UNIT:
            stated["unit"] = unit
    else:
        line = f"{street} {house_number}" if country == "DE" else f"{house_number} {street}"
        if unit is not None and draws[30] < _UNIT:
            line = f"{unit}, {line}" if country == "GB" else f"{line} {unit}"
        stated["line"] = line
    stated["city"] = city
    if region is not None and draws[31] & 7:
        stated["region"] = region
    if draws[31] < 62_000:
        stated["postcode"] = postcode
    if draws[31] & 48:
        stated["country"] = country
    return stated
