"""Who the made-up persons are: the truth behind their records.

Invariant: a person is a function of (salt, number); members of a household share what households share.
Elsewhere: what a source wrote down of them (`service.demo.statements`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from service.demo.draws import chance, roll, spread, zipf_weights
from service.demo.family_names import FAMILY_NAMES
from service.demo.given_names import GIVEN_NAMES
from service.demo.layout import Role, slot_of
from service.demo.places import find_city, landline, make_address, mobile

if TYPE_CHECKING:
    from service.demo.draws import Draws
    from service.demo.places import Address

__all__ = ["Person", "mail_name", "make_person"]


@dataclass(slots=True)
class Person:
    """A person as it is, in Latin script; `old_` is what held before its life event.

    `draws` are the person's own and decide what its identifiers are; `account` those of its bank account,
    which partners may share.
    """

    origin: str
    sex: str
    given: str
    middle: str | None
    family: str
    old_family: str | None
    suffix: str | None
    born: str
    emails: tuple[str, ...]
    mobile: tuple[str, str]
    landline: tuple[str, str] | None
    address: Address
    old_address: Address | None
    local_city: tuple[str, ...]
    account: Draws
    draws: Draws


_ORIGIN_SHARES: Final = {
    ("english", "GB"): 46,
    ("english", "US"): 19,
    ("german", "DE"): 15,
    ("french", "FR"): 7,
    ("russian", "DE"): 2,
    ("russian", "GB"): 2,
    ("greek", "GB"): 1.5,
    ("chinese", "GB"): 1.5,
    ("chinese", "US"): 1.5,
    ("japanese", "US"): 1,
    ("arabic", "GB"): 2,
    ("arabic", "FR"): 1.5,
}
_ORIGINS: Final = spread(tuple(_ORIGIN_SHARES), _ORIGIN_SHARES.values())
_FAMILY: Final = {
    origin: spread(pool, zipf_weights(len(pool), offset=9, exponent=0.95))
    for origin, pool in FAMILY_NAMES.items()
}
_GIVEN: Final = {
    who: spread(pool, zipf_weights(len(pool), offset=5, exponent=0.9)) for who, pool in GIVEN_NAMES.items()
}
_PROVIDERS: Final = {
    "GB": spread(
        ("gmail.com", "hotmail.co.uk", "outlook.com", "btinternet.com", "yahoo.co.uk"), (50, 18, 14, 8, 10)
    ),
    "US": spread(("gmail.com", "yahoo.com", "outlook.com", "icloud.com", "aol.com"), (58, 16, 12, 10, 4)),
    "DE": spread(("gmx.de", "web.de", "gmail.com", "t-online.de", "posteo.de"), (28, 24, 32, 13, 3)),
    "FR": spread(("gmail.com", "orange.fr", "free.fr", "laposte.net", "outlook.fr"), (48, 20, 14, 8, 10)),
}
_BIRTH_YEARS: Final = {
    Role.SINGLE: (1936, 71),
    Role.PARTNER_A: (1945, 35),
    Role.PARTNER_B: (1945, 35),
    Role.CHILD: (1984, 22),
    Role.SENIOR: (1938, 22),
    Role.TWIN: (1984, 22),
}
_DAYS: Final = tuple(
    date.fromordinal(date(2023, 1, 1).toordinal() + day).isoformat()[4:] for day in range(365)
)
_MOVED: Final = chance(0.18)
_SHARED_LINE: Final = chance(0.6)
_SAME_FAMILY: Final = chance(0.75)
_RENAMED: Final = chance(0.3)
_RENAMED_SINGLE: Final = chance(0.05)
_SHARED_MAIL: Final = chance(0.12)
_JOINT: Final = chance(0.35)
_MIDDLE: Final = chance(0.35)
_FOLD: Final = str.maketrans(
    {
        "&": "",
        ".": "",
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        "é": "e",
        "è": "e",
        "ë": "e",
        "ê": "e",
        "ç": "c",
        "ï": "i",
    }
    | {"ô": "o", "ş": "s", "ı": "i", "ó": "o", "î": "i", "'": "", " ": "", "-": ""}
)


@lru_cache(maxsize=16_384)
def mail_name(name: str) -> str:
    """Return a name as people write it in an e-mail address."""
    return name.lower().translate(_FOLD)


def make_person(salt: bytes, customer: int) -> Person:
    """Return the person with this number; its slot must not be that of an organisation."""
    household, role = slot_of(customer)
    home = roll(salt + b"h", household)
    own = home if role is Role.SINGLE else roll(salt + b"p", customer)
    origin, country = _ORIGINS[home[0]]
    family = home_family = _FAMILY[origin][home[1]]
    old_family: str | None = None
    sex = "f" if own[20] & 1 else "m"
    suffix: str | None = None
    given_draw, born_year = own[21], 0
    if role in _BIRTH_YEARS:
        first, span = _BIRTH_YEARS[role]
        born_year = first + own[22] % span
    if role is Role.SINGLE:
        if sex == "f" and own[23] < _RENAMED_SINGLE:
            old_family = _FAMILY[origin][own[24]]
    elif role is Role.PARTNER_A:
        sex = "m" if home[19] & 7 else sex
    elif role is Role.PARTNER_B:
        sex = "f" if home[19] & 7 else sex
        if home[18] < _SAME_FAMILY:
            old_family = _FAMILY[origin][own[24]] if own[23] < _RENAMED else None
        else:
            family = _FAMILY[origin][own[24]]
    elif role is Role.TWIN:
        born_year = _BIRTH_YEARS[role][0] + home[17] % 22
        # The second twin must not get the first one's name.
        given_draw = home[21] ^ 0x8000 if customer & 1 else home[21]
    elif role in (Role.SENIOR, Role.JUNIOR):
        sex, given_draw = "m", home[21]
        suffix = "Sr" if role is Role.SENIOR else "Jr"
        if role is Role.JUNIOR:
            senior = roll(salt + b"p", household)
            born_year = _BIRTH_YEARS[Role.SENIOR][0] + senior[22] % 22 + 22 + own[22] % 14
    born_day = home[16] if role is Role.TWIN else own[25]
    born = f"{born_year}{_DAYS[born_day % 365]}"
    given = _GIVEN[origin, sex][given_draw]
    middle = _GIVEN[origin, sex][own[26]] if own[27] < _MIDDLE and country in ("GB", "US") else None

    city = find_city(country, home[2])
    address = make_address(city, home[3], home[4], home[5])
    moved = home[6] < _MOVED
    old_city = find_city(country, home[7]) if home[6] & 1 else city
    line = landline(city, home[9], home[10]) if home[11] < _SHARED_LINE else None
    emails = _make_emails(customer, given, family, own, country)
    if home[12] < _SHARED_MAIL and role is not Role.SINGLE:
        family_mail = f"familie.{mail_name(home_family)}{household}@{_PROVIDERS[country][home[13]]}"
        emails = (family_mail,) if own[28] & 1 else (emails[0], family_mail)
    return Person(
        origin,
        sex,
        given,
        middle if middle != given else None,
        family,
        old_family if old_family != family else None,
        suffix,
        born,
        emails,
        mobile(country, own[29], own[30]),
        line,
        address,
        make_address(old_city, home[8], home[15], own[19]) if moved else None,
        city.local_forms,
        home if home[14] < _JOINT else own,
        own,
    )


def _make_emails(customer: int, given: str, family: str, own: Draws, country: str) -> tuple[str, ...]:
    # The number makes an address its owner's alone, as addresses are; some add it to initials only.
    first, last, style = mail_name(given), mail_name(family), own[13] % 8
    tag = customer * 7_919 % 1_000_003 + customer // 1_000_003 * 1_000_003
    domain = _PROVIDERS[country][own[12]]
    if style < 4:
        user = f"{first}.{last}{tag}"
    elif style < 6:
        user = f"{first[:1]}{last}{tag}"
    elif style == 6:
        user = f"{last}_{first}{tag}"
    else:
        return (f"{first}@{last}-{tag}.net",)
    if own[11] & 7:
        return (f"{user}@{domain}",)
    return f"{user}@{domain}", f"{first}.{last}@work-{tag % 9_973}.com"
