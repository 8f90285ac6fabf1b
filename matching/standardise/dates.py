"""Read a birth date in any common notation as `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.

Invariant: a date that comes back exists in the calendar and is no known placeholder.
The room reads no clock: a two-digit year is placed by a fixed window, and says so as a warning code.
Elsewhere: swapped day and month as evidence (`matching.compare`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from matching.standardise.fold import fold_wide

__all__ = ["read_birth_date"]

# Parish and archive registers are customers of somebody; what is older is a typing error or a filler.
_YEAR_MIN: Final = 1500
_YEAR_MAX: Final = 2100

_TWO_DIGIT_YEAR_MAX: Final = 25
"""Two-digit years up to this are 20yy, others 19yy."""

# Zero dates of spreadsheets, Unix, Mac OS, Windows and SQL Server, and what forms are filled with.
_PLACEHOLDERS: Final = frozenset(
    """1900-01-01 1900-01 1900 1970-01-01 1899-12-30 1899-12-31 1904-01-01 1601-01-01 1753-01-01 1582-10-15
    2099-12-31 2100-01-01 2100-12-31""".split()
)
_MONTH_FIRST_REGIONS: Final = frozenset({"US", "PR", "GU", "VI", "AS", "MP", "PH", "FM", "MH", "PW"})

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        """jan january januar janvier enero gennaio januari
        feb february februar fevrier febrero febbraio februari
        mar march marz maerz mars marzo maart mrz
        apr april avril abril aprile
        may mai mayo maggio mei
        jun june juni juin junio giugno
        jul july juli juillet julio luglio
        aug august aout agosto augustus
        sep sept september septembre septiembre settembre
        oct october oktober octobre octubre ottobre okt
        nov november novembre noviembre
        dec december dezember decembre diciembre dicembre dez""".split("\n"),
        start=1,
    )
    for name in names.split()
}
_DAYS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_TIME_TAIL: Final = re.compile(r"[T ]\d{1,2}:\d\d.*$", re.DOTALL)
_NUMBERS: Final = re.compile(r"(\d{1,4})\s*[-/. ]\s*(\d{1,2})\s*(?:[-/. ]\s*(\d{1,4}))?\.?")
_WORD: Final = re.compile(r"[a-z]+|\d+")
_ORDINAL_ENDINGS: Final = frozenset({"st", "nd", "rd", "th", "of", "de", "del", "er"})

_Reading = tuple[str | None, str | None]


def read_birth_date(text: str, *, region: str | None) -> _Reading:
    """Return the date and a warning code; either may be None.

    `03/04/1980` is read month first in the United States and its neighbours in usage, day first
    elsewhere, with `ambiguous_date`; so is a two-digit year. Codes: `unparseable`, `junk`,
    `ambiguous_date` (the date is used all the same).
    """
    return _read(text, month_first=region in _MONTH_FIRST_REGIONS)


# Birth dates come from some 40,000 days, so nearly every call is answered from here.
@lru_cache(maxsize=32_768)
def _read(text: str, *, month_first: bool) -> _Reading:
    text = fold_wide(text)
    if ":" in text:
        text = _TIME_TAIL.sub("", text)
    text = text.strip()
    if text.isdigit():
        return _read_digits(text)
    found = _NUMBERS.fullmatch(text)
    if found is None:
        return _read_words(text)
    first, second, third = found.groups()
    if third is None:
        return _read_month(first, second)
    if len(first) > 2:
        return _read_year_first(int(first), int(second), third)
    return _read_three(int(first), int(second), third, month_first=month_first and "." not in text)


def _read_digits(text: str) -> _Reading:
    if len(text) == 8:
        iso = _dated(int(text[:4]), int(text[4:6]), int(text[6:]))
        return iso if iso[0] else _dated(int(text[4:]), int(text[2:4]), int(text[:2]))
    if len(text) == 6:
        return _dated(int(text[:4]), int(text[4:]), 0)
    if len(text) == 4:
        return _dated(int(text), 0, 0)
    return None, "junk" if not text.strip("0") else "unparseable"


def _read_month(first: str, second: str) -> _Reading:
    if len(first) == 4:
        return _dated(int(first), int(second), 0)
    return None, "unparseable"


def _read_year_first(year: int, second: int, third: str) -> _Reading:
    if len(third) > 2:
        return None, "unparseable"
    if second > 12 and 0 < int(third) <= 12:
        date, problem = _dated(year, int(third), second)
        return date, problem or "ambiguous_date"
    return _dated(year, second, int(third))


def _read_three(first: int, second: int, third: str, *, month_first: bool) -> _Reading:
    year, code = _place_year(third)
    day, month = (second, first) if month_first else (first, second)
    if month > 12 and day <= 12:
        day, month = month, day
    elif day <= 12 and day != month:
        code = "ambiguous_date"
    date, problem = _dated(year, month, day)
    return date, problem or code


def _read_words(text: str) -> _Reading:
    day = month = 0
    year = ""
    for word in _WORD.findall(text.lower()):
        if word.isdigit():
            if len(word) == 4 or day:
                if year:
                    return None, "unparseable"
                year = word
            else:
                day = int(word)
        elif word in _MONTHS and not month:
            month = _MONTHS[word]
        elif word not in _ORDINAL_ENDINGS:
            return None, "unparseable"
    if not year or not month:
        return None, "unparseable"
    placed, code = _place_year(year)
    date, problem = _dated(placed, month, day)
    return date, problem or code


def _place_year(digits: str) -> tuple[int, str | None]:
    year = int(digits)
    if len(digits) > 2:
        return year, None
    return (2000 if year <= _TWO_DIGIT_YEAR_MAX else 1900) + year, "ambiguous_date"


def _dated(year: int, month: int, day: int) -> _Reading:
    """Return the date, `00` for an unknown month or day, or why it is none."""
    if month > 12 or day > _DAYS[month or 1] or (not month and day):
        return None, "unparseable"
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return None, "unparseable"
    if not _YEAR_MIN <= year <= _YEAR_MAX:
        return None, "junk"
    date = f"{year:04}-{month:02}-{day:02}" if day else f"{year:04}-{month:02}" if month else f"{year:04}"
    return (None, "junk") if date in _PLACEHOLDERS else (date, None)
