"""Spoil a text as people and machines do: slips of the keyboard, of the reader, of the form.

Invariant: a function of (text, draw); a text of one character or none is left as it is.
Elsewhere: how often each field is spoiled (`service.demo.statements`).
"""

from __future__ import annotations

from typing import Final

__all__ = ["JUNK_DATES", "JUNK_EMAILS", "JUNK_NAMES", "JUNK_PHONES", "misread_date", "mistype"]

JUNK_EMAILS: Final = (
    "noreply@example.com",
    "none@none.com",
    "n/a",
    "no@email.com",
    "unknown@unknown.com",
    "-",
)
JUNK_PHONES: Final = ("0000000", "00000000000", "123456789", "n/a", "9999999999", "0")
JUNK_DATES: Final = ("1900-01-01", "1900-01-01", "1970-01-01", "0000-00-00")
JUNK_NAMES: Final = ("n/a", "unknown", "test", "-", "XXX", "TBC")

_NEIGHBOURS: Final = {
    **dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuioiisdfghjklkxcvbnmn", strict=True)),
    **dict(zip("1234567890", "2345678909", strict=True)),
}
_MISREAD: Final = (
    ("rn", "m"),
    ("m", "rn"),
    ("cl", "d"),
    ("l", "1"),
    ("o", "0"),
    ("e", "c"),
    ("i", "l"),
    ("5", "S"),
)


def mistype(text: str, draw: int) -> str:
    """Return the text with one slip: a neighbour's key, two letters swapped, one lost, doubled or misread."""
    if len(text) < 2:
        return text
    place = draw // 8 % (len(text) - 1)
    kind = draw & 7
    if kind < 2:
        letter = text[place + 1]
        return text[: place + 1] + _NEIGHBOURS.get(letter.lower(), letter) + text[place + 2 :]
    if kind < 4:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if kind == 4:
        return text[: place + 1] + text[place + 2 :]
    if kind == 5:
        return text[: place + 1] + text[place:]
    right, wrong = _MISREAD[draw // 8 % len(_MISREAD)]
    return text.replace(right, wrong, 1) if right in text else text[:place] + text[place + 1 :]


def misread_date(day: str, draw: int) -> str:
    """Return a date with day and month swapped, one digit wrong, or only its year."""
    if draw % 3 == 0 and int(day[8:]) <= 12:
        return f"{day[:5]}{day[8:]}-{day[5:7]}"
    if draw % 3 == 1:
        return day[:4]
    digit = 3 if draw & 8 else 9
    return f"{day[:digit]}{(int(day[digit]) + 1) % 10 or 1}{day[digit + 1 :]}"
