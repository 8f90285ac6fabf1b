"""Read official and business identifiers as `scheme:value`, checked where the scheme has check digits.

Invariant: two spellings of one identifier give one text; what fails its check is never matched on.
Schemes and their checks: `iban` (ISO 13616), `lei` (ISO 17442), `vat_id` (by its country prefix),
`duns` (nine digits); `tax_id`, `national_id`, `passport`, `driving_licence`, `loyalty` and `x-...` have
no check that holds everywhere. The issuer tells values of `loyalty`, `passport`, `driving_licence`,
`national_id` and `x-...` apart: they stand as `scheme@issuer:value` when it is stated.
Elsewhere: which schemes are exclusive (the scoring model).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Protocol

from stdnum import get_cc_module, numdb
from stdnum.exceptions import ValidationError

from matching.standardise.fold import fold, fold_wide
from matching.standardise.junk import is_junk_digits, is_junk_text

__all__ = ["SCHEMES", "is_known_scheme", "read_identifier"]

SCHEMES: Final = frozenset(
    {"tax_id", "vat_id", "national_id", "passport", "driving_licence", "iban", "lei", "duns", "loyalty"}
)

_ISSUED: Final = frozenset({"passport", "driving_licence", "national_id", "loyalty"})
_OWN_SCHEME: Final = re.compile(r"x-[a-z0-9][a-z0-9_-]{0,58}")
_NOT_ALNUM: Final = re.compile(r"[^a-z0-9]+")
_VALUE_CHARS_MIN: Final = 4
_VALUE_CHARS_MAX: Final = 64
_VAT_PREFIX: Final = re.compile(r"[a-z]{2}(?=[a-z0-9]*\d)")
_SPECIMENS: Final = frozenset(
    {"078051120", "219099999", "457555462", "123456789", "12345678", "c01x00t47", "l01x00t47"}
)

_IBANS: Final = numdb.get("iban")
_IBAN_PART: Final = re.compile(r"([1-9][0-9]*)!([nac])")
_BASE_36: Final = str.maketrans({chr(65 + number): str(10 + number) for number in range(26)})

_Reading = tuple[str | None, str | None]


def is_known_scheme(scheme: str) -> bool:
    """Tell whether the scheme is on the documented list or a source's own (`x-...`)."""
    return scheme in SCHEMES or _OWN_SCHEME.fullmatch(scheme) is not None


def read_identifier(scheme: str, value: str, *, issuer: str | None = None) -> _Reading:
    """Return `scheme:value` or `scheme@issuer:value`, and a warning code; either may be None.

    Codes: `unknown_scheme`, `unparseable`, `junk`, `check_digit`.
    """
    if not is_known_scheme(scheme):
        return None, "unknown_scheme"
    if value.isascii() and value.isalnum():
        bare = folded = value.lower()
    else:
        bare = _NOT_ALNUM.sub("", (value if value.isascii() else fold_wide(value)).lower())
        folded = fold(value) or "none"
    if not bare or bare in _SPECIMENS or is_junk_text(bare) or (folded != bare and is_junk_text(folded)):
        return None, "junk"
    if bare.isdigit() and is_junk_digits(bare):
        return None, "junk"
    if not _VALUE_CHARS_MIN <= len(bare) <= _VALUE_CHARS_MAX:
        return None, "unparseable"
    if (problem := _check(scheme, bare)) is not None:
        return None, problem
    if issuer and (scheme in _ISSUED or scheme[0] == "x") and (named := fold(issuer)):
        return f"{scheme}@{named.replace(' ', '')}:{bare}", None
    return f"{scheme}:{bare}", None


def _check(scheme: str, bare: str) -> str | None:
    if scheme == "iban":
        return None if _is_iban(bare.upper()) else "check_digit"
    if scheme == "lei":
        return None if _sums_to_one(bare.upper()) else "check_digit"
    if scheme == "duns":
        return None if bare.isdigit() and len(bare) == 9 else "unparseable"
    if scheme == "vat_id" and _VAT_PREFIX.match(bare):
        module = _find_vat_module(bare[:2])
        return None if module is None or _is_valid(module, bare) else "check_digit"
    return None


def _is_iban(number: str) -> bool:
    """Tell what `stdnum.iban` tells, which looks its tables up anew for each number."""
    structure, module = _find_iban_rules(number[:2])
    return (
        structure is not None
        and _sums_to_one(number[4:] + number[:4])
        and structure.fullmatch(number, 4) is not None
        and (module is None or _is_valid(module, number))
    )


def _sums_to_one(number: str) -> bool:
    """Tell whether the check digits of ISO 7064 Mod 97, 10 are right."""
    return int(number.translate(_BASE_36)) % 97 == 1


class _Checker(Protocol):
    def validate(self, number: str) -> str: ...


def _is_valid(module: _Checker, bare: str) -> bool:
    try:
        module.validate(bare.upper())
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=1 << 11)
def _find_iban_rules(country: str) -> tuple[re.Pattern[str] | None, _Checker | None]:
    """Return what a country's account numbers look like behind the check digits, and its own check."""
    found, properties = _IBANS.info(country)[0]
    if not properties or found != country:
        return None, None
    signs = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Za-z0-9]"}
    parts = _IBAN_PART.findall(properties.get("bban", ""))
    structure = "".join(f"{signs[sign]}{{{length}}}" for length, sign in parts)
    return re.compile(structure), get_cc_module(country.lower(), "iban")


@lru_cache(maxsize=64)
def _find_vat_module(country: str) -> _Checker | None:
    try:
        return get_cc_module("gr" if country == "el" else country, "vat")
    except ValueError:
        return None
