"""Write the words of streets and cities in one form: abbreviations expanded, optional words gone.

Invariant: `St` and `Street`, `Hauptstr.` and `Haupt Strasse` give one text; expanding twice changes
nothing that matters: both sides of a comparison went through the same table once.
Elsewhere: which words of an address are its street (`addresses`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["DIRECTIONS", "STREET_TYPES", "expand_city", "expand_street", "is_post_box", "is_title"]


def _table(text: str) -> dict[str, str]:
    """Return {short form: long form} of lines `long: short short`."""
    pairs: dict[str, str] = {}
    for line in text.strip().splitlines():
        long, _, shorts = line.strip().partition(":")
        pairs.update(dict.fromkeys(shorts.split(), long))
    return pairs


_TYPES: Final = _table("""
    alley: aly
    arcade: arc
    avenue: ave av aven avenu avn
    avenida: avda avd
    boulevard: blvd bd boul bvd blv boulv
    circle: cir circ
    circuit: cct cct cirt
    close: cl
    court: ct crt
    crescent: cres cresc crs cr
    cove: cv
    drive: dr drv
    esplanade: esp
    estate: est
    expressway: expy expwy
    freeway: fwy
    gardens: gdns gdn
    grove: gr grv gro
    heights: hts
    highway: hwy hgwy
    lane: ln
    loop: lp
    motorway: mwy
    parade: pde
    park: pk
    parkway: pkwy pky pwy
    place: pl plc
    plaza: plz
    platz: pltz
    point: pt
    road: rd
    ridge: rdg
    route: rte
    square: sq sqr
    station: stn sta
    strasse: str
    street: st strt stret streat
    terrace: ter terr tce tr
    trail: trl
    turnpike: tpke
    view: vw
    walk: wlk
    way: wy
""")
_WORDS: Final = _table("""
    north: n
    south: s
    east: e
    west: w
    northeast: ne
    northwest: nw
    southeast: se
    southwest: sw
    mount: mt
    fort: ft
    building: bldg bld
    center: ctr centre cntr
    apartments: apts
    county: cnty
    doctor: doktor
    first: 1st
    second: 2nd
    third: 3rd
    fourth: 4th
    fifth: 5th
    sixth: 6th
    seventh: 7th
    eighth: 8th
    ninth: 9th
    tenth: 10th
    saint: ste sankt skt
""")
STREET_TYPES: Final = frozenset(_TYPES.values()) | frozenset(_TYPES)
DIRECTIONS: Final = frozenset(
    "north south east west northeast northwest southeast southwest n s e w ne nw se sw".split()
)
_TITLE_FIRST: Final = {"st": "saint", "dr": "doctor", "ste": "sainte"}
# In front of a street's name, where many languages have its type; elsewhere the letters mean something else.
_LEADING_TYPES: Final = _table("""
    avenue: av ave
    avenida: avda avd
    boulevard: bd bld blvd boul
    calle: c cl cll
    chemin: ch che
    impasse: imp
    place: pl
    plaza: pza plza
    route: rte
    rue: r
    allee: all
""")
_STREET_WORDS: Final = frozenset({"ul", "ulica", "ulitsa"})
"""Words for a street that are stated or not, as one likes."""

_BOX_STARTS: Final = frozenset("p po post pobox postbox postfach boite bp apartado".split())
_BOX: Final = re.compile(
    r"\b(?:p ?o ?box|post ?box|po ?bx|postfach|boite postale|bp|apartado(?: de correos)?) (\w+)"
)
_CITY_WORDS: Final = {
    "st": "saint", "ste": "sainte", "mt": "mount", "ft": "fort", "n": "north", "s": "south", "e": "east",
    "w": "west", "sankt": "saint",
}  # fmt: skip


def is_post_box(words: list[str]) -> bool:
    """Tell whether folded words state a post-office box rather than a street."""
    return words[0] in _BOX_STARTS and _BOX.match(" ".join(words)) is not None


def is_title(word: str) -> bool:
    """Tell whether the word may be a title in a street's name as well as its type (`St`, `Dr`)."""
    return word in _TITLE_FIRST


# Streets and cities repeat; see `names` for why whole addresses are not cached.
@lru_cache(maxsize=16_384)
def expand_street(street: str) -> str:
    """Return the street of folded words in its one form; a post-office box as `po box 12`."""
    words = street.split()
    if words[0] in _BOX_STARTS and (box := _BOX.match(street)):
        return f"po box {box[1]}"
    if len(words) > 1 and words[0] in _STREET_WORDS:
        del words[0]
    last_type = max((at for at, word in enumerate(words) if word in STREET_TYPES and at), default=0)
    expanded: list[str] = []
    for position, word in enumerate(words):
        # In front of a street's type, or as first of several words, `St` and `Dr` are parts of a name.
        is_title = position < last_type or (position == 0 and len(words) > 1)
        if is_title and word in _TITLE_FIRST:
            long = _TITLE_FIRST[word]
        elif position == 0 and not last_type and len(words) > 1 and word in _LEADING_TYPES:
            long = _LEADING_TYPES[word]
        else:
            long = _expand_word(word, position)
        if long == "strasse" and expanded:
            expanded[-1] += long
        else:
            expanded.append(long)
    return " ".join(expanded)


def _expand_word(word: str, position: int) -> str:
    if position and word in _TYPES:
        return _TYPES[word]
    if len(word) > 5 and word.endswith("str"):
        return word + "asse"
    return _WORDS.get(word, word)


@lru_cache(maxsize=16_384)
def expand_city(city: str) -> str:
    """Return the city of folded words with its first word expanded (`st louis`, `mt vernon`)."""
    words = city.split()
    if words[0] in _CITY_WORDS:
        words[0] = _CITY_WORDS[words[0]]
    return " ".join(words)
