"""Frozen values of matching: what a standardised record looks like to every engine.

Invariant: a `Profile` is a positional tuple in the order of `PROFILE_COLUMNS`. Every text in it is
folded ASCII (`[a-z0-9]` and single spaces, plus the punctuation that a column names), none is empty:
an absent value is None, a list column is None or a non-empty tuple, sorted and free of repeats.
Elsewhere: making a profile (`matching.standardise`), comparing two (`matching.compare`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import orjson

__all__ = [
    "LIST_COLUMNS",
    "PROFILE_COLUMNS",
    "TEXT_COLUMNS",
    "Kind",
    "Millibits",
    "Profile",
    "column_position",
    "decode_profile",
    "encode_profile",
]

Millibits = int
"""A match weight: log2 Bayes factor times 1,000, a whole number."""

Profile = tuple[str | tuple[str, ...] | None, ...]
"""Standardised attributes of one source record, in the order of `PROFILE_COLUMNS`."""


class Kind(StrEnum):
    """What a record says it describes; absent when it does not say."""

    PERSON = "person"
    ORGANISATION = "organisation"


TEXT_COLUMNS: Final = (
    "kind",  # a `Kind`
    "given",  # first given name
    "given_canon",  # its nickname's canonical form: bill -> william; itself when it is no nickname
    "middle",  # further given names, space separated, in order
    "family",  # family name, particles kept as tokens, in order
    "suffix",  # jr, sr, ii, iii, iv
    "birth_date",  # YYYY-MM-DD, YYYY-MM or YYYY
    "birth_place",
    "sex",  # f, m, x
    "org",  # organisation name without its legal form
    "legal_form",  # canonical: gmbh, ltd, inc, sa ...
    "employer",  # org_name of a person
)

LIST_COLUMNS: Final = (
    "name_tokens",  # every token of the personal names, other names included
    "family_alts",  # other family names: maiden, alias, native script, other order
    "org_tokens",  # tokens of the organisation's names
    "org_alts",  # other organisation names without legal form, initials of the long form
    "emails",  # canonical addresses
    "email_users",  # their user names without separators and digits at the end
    "phones",  # digits of E.164, country code first
    "addresses",  # one text an address: unit, number, street, city, folded, abbreviations expanded
    "house_numbers",
    "streets",
    "units",
    "postcodes",  # without spaces
    "cities",
    "regions",  # state or region and country codes as stated
    "websites",  # registrable host names
    "identifiers",  # scheme:value, valid ones only
)

PROFILE_COLUMNS: Final = TEXT_COLUMNS + LIST_COLUMNS

_POSITION: Final = {name: position for position, name in enumerate(PROFILE_COLUMNS)}
_TEXT_COUNT: Final = len(TEXT_COLUMNS)


def column_position(name: str) -> int:
    """Return where the column stands in a `Profile`; KeyError for an unknown name."""
    return _POSITION[name]


def encode_profile(profile: Profile) -> bytes:
    """Return the profile as compact JSON: the same bytes for the same profile, always."""
    return orjson.dumps(profile)


def decode_profile(encoded: bytes) -> Profile:
    """Return the profile that `encode_profile` wrote."""
    values = orjson.loads(encoded)
    for position in range(_TEXT_COUNT, len(values)):
        if values[position] is not None:
            values[position] = tuple(values[position])
    return tuple(values)
