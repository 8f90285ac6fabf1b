"""Take postal addresses apart into number, street, unit, postcode, city and region, without a gazetteer.

Invariant: abbreviations and their long forms give one text (`St`, `Street`; `Hauptstr.`,
`Hauptstrasse`); what was stated as a part wins over what is found in the line.
How a line is read: (1) commas part segments, a building's name in front is set aside; (2) postcode,
region and city are taken from the end where they are not stated; (3) unit and house number are taken
out; (4) the words left are the street.
Elsewhere: the words of streets (`streets`), codes of countries and states (`regions`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from matching.standardise.fold import fold
from matching.standardise.junk import is_junk_text
from matching.standardise.regions import STATE_CODES, code_country, code_state, is_country
from matching.standardise.streets import (
    DIRECTIONS,
    STREET_TYPES,
    expand_city,
    expand_street,
    is_post_box,
    is_title,
)

__all__ = ["PostalAddress", "read_address"]


class PostalAddress(NamedTuple):
    """An address in folded pieces, in the order of the profile's columns; an absent piece is None."""

    text: str | None
    house_number: str | None
    street: str | None
    unit: str | None
    postcode: str | None
    city: str | None
    region: str | None


_UNIT_WORDS: Final = frozenset(
    """apt apartment appartement app flat unit suite ste room rm wohnung whg top appt piso lot villa studio
    no nr bus etg kv kw lok""".split()
)
_FLOOR_WORDS: Final = frozenset({"floor", "fl", "level", "stock", "og"})
_NUMBERED_WORDS: Final = _UNIT_WORDS | _FLOOR_WORDS
_PART_WORDS: Final = _NUMBERED_WORDS | frozenset("building bldg block tower house entrance".split())
_NUMBER_WORDS: Final = frozenset("d dom no nr n num numero haus nummer house".split())
_NUMBER_LETTERS: Final = frozenset("abcdefgh")
_NUMBER: Final = re.compile(r"\d+[a-z]?")
_NUMBER_TAIL: Final = frozenset({"bis", "ter", "quater"})
_UNIT_SIGN: Final = re.compile(r"#\s*(\w+)")
_SLASHED_UNIT: Final = re.compile(r"(\d+[A-Za-z]?)\s*/\s*(\d+)")
_UNIT_FIRST_REGIONS: Final = frozenset({"au", "nz", "AU", "NZ"})
_SPLIT: Final = re.compile(r"[,;\n]")

_LINE_CHARS_MAX: Final = 400
_PIECE_CHARS_MAX: Final = 100
_POSTCODE_CHARS_MAX: Final = 16
_WORDS_MAX: Final = 40

_ZERO_PADDED: Final = {"us": 5, "de": 5, "fr": 5, "es": 5, "it": 5}

_PREFIXED_POSTCODE: Final = re.compile(r"[a-z]{1,2}(\d{4,6})")
_POSTCODE_PAIR: Final = re.compile(r"(?:[a-z]{1,2}\d[a-z\d]? \d[a-z]{2}|[a-z]\d[a-z] \d[a-z]\d)")


def read_address(
    stated: Mapping[str, str], *, region: str | None
) -> tuple[PostalAddress | None, tuple[str, ...]]:
    """Return the address and the parts of it that were junk; None when nothing is left of it.

    Args:
        stated: parts by name (`line`, `street`, `city` ...), cleaned texts.
        region: ISO 3166 code of the source, for the notation where the address names no country.
    Cost: about 6 µs for an address of one line.
    """
    junk: list[str] = []
    country = city = state = postcode = unit = number = None
    if "country" in stated:
        country = _read_piece(stated["country"], "country", junk)
        country = code_country(country) if country else None
    if "city" in stated:
        city = _read_piece(stated["city"], "city", junk)
    if "region" in stated:
        state = _read_piece(stated["region"], "region", junk)
    if "postcode" in stated:
        postcode = _read_postcode(stated["postcode"], country or (region or "").lower(), junk)
    if "unit" in stated:
        unit = _read_piece(stated["unit"], "unit", junk)
    if "house_number" in stated:
        number = _read_piece(stated["house_number"], "house_number", junk)
    words: list[str] = []
    name = "street" if "street" in stated else "line"
    source = stated.get(name)
    if source:
        source = source[:_LINE_CHARS_MAX]
        folded = fold(source)
        if folded is None or is_junk_text(folded):
            junk.append(name)
        elif name == "line" and (city is None or postcode is None or _SPLIT.search(source)):
            words, found_city, found_state, found_postcode, found_unit = _read_line(
                source, has_city=city is not None, has_postcode=postcode is not None
            )
            city, state, postcode = city or found_city, state or found_state, postcode or found_postcode
            unit = unit or found_unit
        else:
            words = folded.split()[:_WORDS_MAX]
        if "/" in source or "#" in source:
            words, marked = _take_marked_unit(source, words, country or region)
            unit = unit or marked
    if number:
        number = _strip_number(number)
    if words:
        words, found_unit, number = _take_numbers(words, number)
        unit = unit or found_unit
    unit = _strip_unit(unit) if unit else None
    street = expand_street(" ".join(words)) if words else None
    city = expand_city(city) if city else None
    state = code_state(state) if state else country
    text = " ".join([part for part in (unit, number, street, city) if part])
    if not text and not postcode and not state:
        return None, tuple(junk)
    whole = text if street and len(text) > 3 else None
    return PostalAddress(whole, number, street, unit, postcode, city, state), tuple(junk)


def _read_piece(text: str, name: str, junk: list[str]) -> str | None:
    folded = _fold_piece(text)
    if folded is None:
        junk.append(name)
    return folded


# Cities, regions, countries and streets repeat; see `names` for why whole addresses are not cached.
@lru_cache(maxsize=16_384)
def _fold_piece(text: str) -> str | None:
    folded = fold(text[:_PIECE_CHARS_MAX])
    return None if folded is None or (is_junk_text(folded) and not folded.isdigit()) else folded


def _read_postcode(text: str, country: str, junk: list[str]) -> str | None:
    folded = fold(text[:_PIECE_CHARS_MAX])
    if folded is None or not folded.strip("0 ") or (not folded.isdigit() and is_junk_text(folded)):
        junk.append("postcode")
        return None
    code = folded.replace(" ", "")[:_POSTCODE_CHARS_MAX]
    if not code.isdigit():
        prefixed = _PREFIXED_POSTCODE.fullmatch(code)
        return code if prefixed is None else prefixed[1]
    if len(code) == 9 and "-" in text:
        return code[:5]
    width = _ZERO_PADDED.get(country)
    return code.zfill(width) if width and len(code) == width - 1 else code


def _read_line(
    line: str, *, has_city: bool, has_postcode: bool
) -> tuple[list[str], str | None, str | None, str | None, str | None]:
    """Return street words, then city, state, postcode and unit as far as the line states them."""
    segments = [words for part in _SPLIT.split(line) if (words := (fold(part) or "").split())]
    if len(segments) > 1 and is_country(" ".join(segments[-1])):
        segments.pop()
    city: list[str] = []
    state = postcode = None
    if not has_postcode and segments:
        segments[-1], postcode, city = _take_postcode(segments[-1], is_alone=len(segments) == 1)
        segments = [words for words in segments if words]
    if not has_city and segments:
        tail = segments[-1]
        if tail[-1] in STATE_CODES and (len(segments) > 1 or (len(tail) > 2 and postcode is not None)):
            state = tail.pop()
            segments = [words for words in segments if words]
        if len(segments) > 1 and not city and not _is_street(segments[-1]):
            city = segments.pop()
        elif len(segments) == 1 and not city:
            segments[0], city = _cut_after_type(segments[0])
    segments = _join_numbers(segments)
    street = next((words for words in segments if _is_numbered(words)), segments[0] if segments else [])
    unit = next((words for words in segments if words is not street and words[0] in _UNIT_WORDS), None)
    return street[:_WORDS_MAX], " ".join(city) or None, state, postcode, " ".join(unit) if unit else None


def _join_numbers(segments: list[list[str]]) -> list[list[str]]:
    """Return the segments with a house number that stands alone (`Via Roma, 10`) put to its street."""
    if len(segments) > 1 and not _has_digit(segments[0]):
        last = segments[1][-1]
        is_number = _NUMBER.fullmatch(last) is not None and len(last) < 5
        if is_number and (
            len(segments[1]) == 1 or (len(segments[1]) == 2 and segments[1][0] in _NUMBER_WORDS)
        ):
            return [[*segments[0], last], *segments[2:]]
    return segments


def _is_numbered(words: list[str]) -> bool:
    return len(words) > 1 and _has_digit(words) and (len(words) > 2 or words[0] not in _PART_WORDS)


def _has_digit(words: list[str]) -> bool:
    return any(word[0].isdigit() or word[-1].isdigit() for word in words)


def _take_postcode(words: list[str], *, is_alone: bool) -> tuple[list[str], str | None, list[str]]:
    """Return the words before a postcode, the postcode, and the city when it stands behind it."""
    count = len(words)
    last = words[-1]
    if count > 1 and _POSTCODE_PAIR.fullmatch(f"{words[-2]} {last}"):
        return words[:-2], words[-2] + last, []
    if last.isdigit() and len(last) == 5 and (count > 2 or not is_alone):
        return words[:-1], last, []
    if count > 2 and words[-2].isdigit() and len(words[-2]) == 5 and len(last) == 4 and last.isdigit():
        return words[:-2], words[-2], []
    if is_alone or count == 1:
        return words, None, []
    first, second = words[0], words[1]
    if first.isdigit() and len(first) in (4, 5) and not _is_street(words[1:]):
        return [], first, words[1:]
    # `00-590 Warszawa`, `110 00 Praha`
    is_pair = count > 2 and {len(first), len(second)} == {2, 3} and (first + second).isdigit()
    if is_pair and not _is_street(words[2:]):
        return [], first + second, words[2:]
    return words, None, []


def _is_street(words: list[str]) -> bool:
    return (
        words[0][0].isdigit()
        or words[0] in _UNIT_WORDS
        or any(word in STREET_TYPES and not is_title(word) for word in words)
    )


def _cut_after_type(words: list[str]) -> tuple[list[str], list[str]]:
    """Part `445 overpass rd san ramon` behind the street's type; unchanged where that is not certain."""
    if not words[0][0].isdigit():
        return words, []
    for position in range(2, len(words) - 1):
        if words[position] in STREET_TYPES:
            after = words[position + 1 :]
            if any(
                word[0].isdigit() or word in _UNIT_WORDS or word in DIRECTIONS or word in STREET_TYPES
                for word in after
            ):
                return words, []
            return words[: position + 1], after
    return words, []


def _take_marked_unit(source: str, words: list[str], region: str | None) -> tuple[list[str], str | None]:
    """Return the words without a unit that stands before a slash or behind a number sign, and the unit."""
    slashed = signed = None
    if "/" in source and region in _UNIT_FIRST_REGIONS:
        words, slashed = _take_slashed_unit(source, words)
    if "#" in source:
        words, signed = _take_signed_unit(source, words)
    return words, slashed or signed


def _take_slashed_unit(source: str, words: list[str]) -> tuple[list[str], str | None]:
    found = _SLASHED_UNIT.match(source)
    if found is None or words[:2] != [found[1].lower(), found[2]]:
        return words, None
    return words[1:], found[1].lower()


def _take_signed_unit(source: str, words: list[str]) -> tuple[list[str], str | None]:
    found = _UNIT_SIGN.search(source)
    sign = fold(found[1]) if found else None
    if sign is None or sign not in words:
        return words, sign
    position = len(words) - 1 - words[::-1].index(sign)
    start = position - 1 if position and words[position - 1] in _UNIT_WORDS else position
    return words[:start] + words[position + 1 :], sign


def _take_numbers(words: list[str], stated: str | None) -> tuple[list[str], str | None, str | None]:
    """Return the words without unit and house number, the unit, the number (the stated one wins)."""
    unit = None
    if not _NUMBERED_WORDS.isdisjoint(words):
        words, unit = _take_unit(words)
    if not words or is_post_box(words):
        return words, unit, stated
    rest, number = _take_number(words)
    if number is not None and stated in (None, number):
        return rest, unit, number
    return words, unit, stated


def _take_number(words: list[str]) -> tuple[list[str], str | None]:
    """Return the street's words and the house number in front of or behind them."""
    if _NUMBER.fullmatch(words[0]):
        number, rest = words[0], words[1:]
        # `12 14 High Street` is a range, `12 bis` and `12 a` belong together.
        while len(rest) > 1 and (rest[0] in _NUMBER_TAIL or (rest[0].isdigit() and number.isdigit())):
            rest = rest[1:]
        # Not `e`, which is East there, and not `12 C Street`.
        if len(rest) > 1 and rest[0] in _NUMBER_LETTERS and rest[0] != "e" and rest[1] not in STREET_TYPES:
            number, rest = number + rest[0], rest[1:]
        return rest, _strip_number(number)
    last = len(words) - 1
    if last > 0 and _NUMBER.fullmatch(words[last]):
        while last > 1 and words[last - 1].isdigit():
            last -= 1
        if last == 1 and words[0] in STREET_TYPES:
            # `Route 9` is a street.
            return words, None
        return words[:last], _strip_number(words[last])
    if last > 1 and words[last] in _NUMBER_LETTERS and words[last - 1].isdigit():
        return words[: last - 1], _strip_number(words[last - 1] + words[last])
    return words, None


def _take_unit(words: list[str]) -> tuple[list[str], str | None]:
    for position, word in enumerate(words):
        if position + 1 < len(words) and word in _UNIT_WORDS and _is_unit_value(words[position + 1]):
            if word in ("no", "nr"):
                return words[:position] + words[position + 1 :], None
            return words[:position] + words[position + 2 :], _strip_unit(words[position + 1])
        if position and word in _FLOOR_WORDS:
            if words[position - 1][0].isdigit() and position > 1:
                return words[: position - 1] + words[position + 1 :], _strip_unit(words[position - 1])
            if position + 1 < len(words) and _is_unit_value(words[position + 1]):
                return words[:position] + words[position + 2 :], _strip_unit(words[position + 1])
    return words, None


def _is_unit_value(word: str) -> bool:
    return word[0].isdigit() or len(word) == 1 or word[-1].isdigit()


def _strip_unit(unit: str) -> str:
    words = [word for word in unit.split() if word not in _UNIT_WORDS and word not in _FLOOR_WORDS]
    return "".join(words).lstrip("0") or unit


def _strip_number(number: str) -> str:
    return number.replace(" ", "").lstrip("0") or "0"
