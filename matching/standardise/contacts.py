"""Read e-mail addresses, phone numbers and web sites in one canonical form each.

Invariant: two spellings that reach the same mailbox or line give the same text; role accounts have no
user name; a number whose country is unknown starts with 0, which no number of E.164 does.
Elsewhere: postal addresses (`addresses`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

from matching.standardise.fold import fold_wide
from matching.standardise.junk import is_junk_digits, is_junk_text

__all__ = ["parse_phone", "read_email", "read_email_user", "read_phone", "read_website"]

_Reading = tuple[str | None, str | None]

_EMAIL: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}@(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
)
_BRACKETED: Final = re.compile(r"<([^<>]+)>\s*$")
_EMAIL_CHARS_MAX: Final = 254

# Domains that name one mailbox: what is written there arrives here.
_DOMAIN_ALIASES: Final = {
    "googlemail.com": "gmail.com",
    "mac.com": "icloud.com",
    "me.com": "icloud.com",
    "pm.me": "proton.me",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
_DOTLESS_DOMAINS: Final = frozenset({"gmail.com"})

_JUNK_DOMAINS: Final = frozenset(
    """test.com test.de test.test domain.com none.com noemail.com nomail.com no.com
    na.com nowhere.com abc.com xyz.com asdf.com
    mailinator.com unknown.com invalid.com noreply.com""".split()
)
# Not the domains reserved for examples: who tries the service on made-up customers gives them those addresses.
_JUNK_TOP_DOMAINS: Final = (".invalid", ".localhost")
_JUNK_USERS: Final = frozenset(
    """no noreply donotreply dontreply noemail nomail none null na test unknown nobody noone nil noaddress
    mailerdaemon notprovided notgiven invalid anonymous xxx abc asdf fake""".split()
)
_ROLES: Final = frozenset(
    """info information sales office contact admin administrator support service services help helpdesk hello
    mail email post billing accounts accounting accountspayable invoice invoices orders order shop store team
    webmaster postmaster hostmaster
    marketing press media jobs hr careers reception enquiries inquiries enquiry
    customerservice kundenservice kontakt buero buchhaltung rechnung vertrieb verkauf verwaltung sekretariat
    contacto ventas facturacion administracion commercial direction secretariat compta contatto vendite
    amministrazione privacy security abuse legal purchasing einkauf finance booking bookings reservations
    general director manager""".split()
)
_NO_LETTERS: Final = re.compile(r"[^a-z0-9]+")
_USER_CHARS_MIN: Final = 3


def read_email(text: str) -> _Reading:
    """Return the canonical address and a warning code (`unparseable`, `junk`); either may be None.

    Lower case, without `mailto:` and a display name, without a plus-tag; dots in the user name are
    dropped where the provider ignores them; aliases of one provider are one domain; a domain in
    another script becomes its ASCII form.
    """
    if text.endswith(">") and (found := _BRACKETED.search(text)):
        text = found.group(1).strip()
    text = text.lower().removeprefix("mailto:").rstrip(".")
    if not text.isascii():
        text = _to_ascii(text)
    if len(text) > _EMAIL_CHARS_MAX or _EMAIL.fullmatch(text) is None:
        return None, "junk" if _is_nothing(text) else "unparseable"
    user, _, domain = text.rpartition("@")
    domain = _DOMAIN_ALIASES.get(domain, domain)
    tag = user.find("+", 1)
    if tag > 0:
        user = user[:tag]
    if domain in _DOTLESS_DOMAINS:
        user = user.replace(".", "")
    return (None, "junk") if not user or _is_junk_email(user, domain) else (f"{user}@{domain}", None)


def read_email_user(address: str) -> str | None:
    """Return the user name of a canonical address in bare letters: `j.smith82` gives `jsmith`.

    None for role accounts (`info`, `sales`) and for fewer than three characters, which tell nobody apart.
    """
    user = _keep_letters(address[: address.rindex("@")])
    user = user.rstrip("0123456789") or user
    return None if len(user) < _USER_CHARS_MIN or user in _ROLES else user


def _is_junk_email(user: str, domain: str) -> bool:
    if domain in _JUNK_DOMAINS or domain.endswith(_JUNK_TOP_DOMAINS):
        return True
    letters = _keep_letters(user)
    if not letters or letters in _JUNK_USERS:
        return True
    return user == domain.partition(".")[0] and (len(user) < 3 or is_junk_text(letters))


def _keep_letters(user: str) -> str:
    """Return the letters and digits of a user name of an address, which is lower-case ASCII."""
    if user.isalnum():
        return user
    bare = user.replace(".", "").replace("_", "").replace("-", "")
    return bare if bare.isalnum() else _NO_LETTERS.sub("", bare)


def _is_nothing(text: str) -> bool:
    words = _NO_LETTERS.sub(" ", text).strip()
    return not words or is_junk_text(words)


def _to_ascii(text: str) -> str:
    user, at, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return fold_wide(user).lower().replace(" ", "") + at + domain


# --- phones ---------------------------------------------------------------------------------------

_PHONE_SEPARATORS: Final = b" \t\n\r\f\v\x1c\x1d\x1e\x1f().-/"
_PLAIN_PHONE_CHARS_MIN: Final = 5
_PLAIN_PHONE_CHARS_MAX: Final = 30
_NON_DIGITS: Final = re.compile(r"\D+")
_SUBSCRIBER_DIGITS_MIN: Final = 7
_PHONE_CHARS_MAX: Final = 60


def read_phone(text: str, *, region: str | None) -> _Reading:
    """Return the digits of E.164, country code first, and a warning code; either may be None.

    A possible number is kept whether or not its range is in use. Without a region, or where only the
    local part is stated, the digits are kept behind one 0 (at least seven). An extension is dropped.
    Cost: 4 µs for the plain notation of most countries, 60 µs for what `phonenumbers` must work out.
    """
    if len(text) > _PHONE_CHARS_MAX:
        return None, "unparseable"
    number = parse_phone(text, region=region)
    if number is None:
        digits = _NON_DIGITS.sub("", fold_wide(text))
        if len(digits) < 5 and _is_nothing(text.lower()):
            return None, "junk"
        if not digits:
            return None, "unparseable"
        digits = digits.lstrip("0")
        if not digits or is_junk_digits(digits):
            return None, "junk"
        if _SUBSCRIBER_DIGITS_MIN <= len(digits) <= 15 and "+" not in text and not _has_words(text):
            return (None, "junk") if _is_filler(digits) else ("0" + digits, None)
        return None, "unparseable"
    country_code, national = number
    return (None, "junk") if _is_filler(national) else (country_code + national, None)


def parse_phone(text: str, *, region: str | None) -> tuple[str, str] | None:
    """Return country code and national digits as `phonenumbers` would, None for no possible number."""
    if region is None and text[:2] == "00":
        text = "+" + text[2:]
    is_international = text[:1] == "+"
    digits = _plain_digits(text[1:] if is_international else text)
    if digits:
        plain: tuple[str, str] | None = None
        if is_international:
            plain = _parse_international(digits)
        elif region:
            plain = _parse_national(digits, region)
        if plain is not None:
            return plain
    return _parse_any(text, region)


def _plain_digits(text: str) -> str:
    """Return the digits of a number in plain notation (ASCII digits and separators), empty for another."""
    if not text.isascii() or not _PLAIN_PHONE_CHARS_MIN <= len(text) <= _PLAIN_PHONE_CHARS_MAX:
        return ""
    digits = text if text.isdigit() else text.encode().translate(None, _PHONE_SEPARATORS).decode()
    return digits if digits.isdigit() else ""


def _parse_any(text: str, region: str | None) -> tuple[str, str] | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return str(number.country_code), phonenumbers.national_significant_number(number)


class _Plan(NamedTuple):
    """What is needed of a country's numbering plan to read its plain notation."""

    country_code: str
    trunk_prefix: re.Pattern[str]
    international_prefix: re.Pattern[str]
    lengths: frozenset[int]
    pattern: re.Pattern[str]


_NEVER: Final = re.compile(r"(?!)")


def _parse_national(digits: str, region: str) -> tuple[str, str] | None:
    plan = _find_plan(region)
    if plan is None:
        return None
    abroad = plan.international_prefix.match(digits)
    if abroad is not None:
        return _parse_international(digits[abroad.end() :])
    prefix = plan.trunk_prefix.match(digits)
    if prefix is not None:
        # Prefixes that carry more than themselves (a carrier, an area to insert) are the library's.
        if prefix.end() != 1 or prefix.lastindex is not None:
            return None
        digits = digits[1:]
        if plan.trunk_prefix.match(digits):
            return None
    elif digits.startswith(plan.country_code):
        return None
    return _accept(digits, plan)


def _parse_international(digits: str) -> tuple[str, str] | None:
    plan = _find_plan_of_code(digits[:3]) if digits else None
    if plan is None:
        return None
    national = digits[len(plan.country_code) :]
    return None if plan.trunk_prefix.match(national) else _accept(national, plan)


def _accept(national: str, plan: _Plan) -> tuple[str, str] | None:
    # Only what the plan's own pattern knows is certain to be what the library would return.
    if len(national) in plan.lengths and plan.pattern.fullmatch(national):
        return plan.country_code, national
    return None


@lru_cache(maxsize=1024)
def _find_plan_of_code(start: str) -> _Plan | None:
    """Return the plan of the country code with which these three digits start, None for none of our own."""
    if start[0] == "0":
        return None
    for length in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(start[:length]))
        if regions is not None:
            return _find_plan(regions[0])
    return None


@lru_cache(maxsize=512)
def _find_plan(region: str) -> _Plan | None:
    """Return the plan of a region, None where the plain way would not read what the library reads."""
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.general_desc is None or metadata.country_code is None:
        return None
    main = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code][0]
    if region != main:
        # North America has one plan; elsewhere regions that share a code have traps of their own.
        return _find_plan(main) if region == "CA" else None
    if metadata.general_desc.national_number_pattern is None:
        return None
    prefix, international = metadata.national_prefix_for_parsing, metadata.international_prefix
    return _Plan(
        country_code=str(metadata.country_code),
        trunk_prefix=re.compile(prefix) if prefix else _NEVER,
        international_prefix=re.compile(international) if international else _NEVER,
        lengths=frozenset(length for length in metadata.general_desc.possible_length if length > 0),
        pattern=re.compile(metadata.general_desc.national_number_pattern),
    )


def _is_filler(national: str) -> bool:
    """Tell whether the national digits are a filler; the last seven alike are one whatever the area is."""
    tail = national[-_SUBSCRIBER_DIGITS_MIN:]
    if tail[0] == tail[-1] and tail.count(tail[0]) == len(tail):
        return True
    return tail == "1234567" or is_junk_digits(national)


def _has_words(text: str) -> bool:
    return sum(char.isalpha() for char in text) > 4


# --- web sites ------------------------------------------------------------------------------------

# Second-level domains under which names are registered; the commonest of the public suffix list.
_SECOND_LEVEL: Final = frozenset(
    {"co", "com", "org", "net", "ac", "gov", "edu", "ltd", "plc", "or", "ne", "go", "gv"}
)
_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_HOST_CHARS_MAX: Final = 253
_NO_SITE: Final = frozenset({"no", "yes", "true", "false"})
_SHARED_HOSTS: Final = frozenset(
    """facebook.com linkedin.com instagram.com twitter.com x.com youtube.com google.com yelp.com wordpress.com
    blogspot.com""".split()
)


def read_website(text: str) -> _Reading:
    """Return the host name under which the site is registered (`shop.acme.co.uk` gives `acme.co.uk`)."""
    address = text.lower().strip()
    address = address.partition("://")[2] or address
    host = re.split(r"[/?#\s]", address, maxsplit=1)[0].rpartition("@")[2].partition(":")[0].strip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None, "unparseable"
    if len(host) > _HOST_CHARS_MAX or _HOST.fullmatch(host) is None:
        return None, "junk" if host in _NO_SITE or is_junk_text(
            _NO_LETTERS.sub(" ", host).strip() or "none"
        ) else "unparseable"
    labels = host.split(".")
    length = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    site = ".".join(labels[-length:])
    return (None, "junk") if site in _JUNK_DOMAINS or site in _SHARED_HOSTS else (site, None)
