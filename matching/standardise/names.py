"""Take personal names apart: given, middle and family names, suffix, and every other form they have.

Invariant: titles and degrees never reach the result; the same name written `Family, Given`, with
titles or with a native spelling beside it shares its tokens. Name order is believed as stated: only a
comma, a family name in capitals or a Han or Hangul name turn it; a surname of East Asia in first place
is kept as another family name, not swapped.
Elsewhere: the nickname table (`nicknames.txt`), organisations' names (`organisations`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from matching.standardise.fold import fold, has_ideographs, spell_umlauts
from matching.standardise.junk import is_junk_name

__all__ = ["PersonName", "canonical_given_name", "read_person_name"]

_TITLES: Final = frozenset(
    """mr mrs ms miss mx messrs mister dr doctor prof professor sir lady lord dame rev reverend hon
    honourable honorable capt captain col colonel maj lt sgt cpl pvt adm father sister brother rabbi
    imam president senator herr frau fraulein frl fraeulein dipl diplom ing mag med jur phil nat habil
    mme mlle monsieur madame mademoiselle me maitre sra srta senor senora senorita sig signor signora
    signorina dott dottssa dottoressa pan pani pana dhr mevr mevrouw meneer mw hr fru froken shri smt
    sri sheikh shaikh sheik gospodin gospozha prinz graf grafin freiherr freifrau drs ir""".split()
)
# Titles only with their full stop: folding takes it away, and `Sr` is a suffix too.
_DOTTED_TITLES: Final = re.compile(r"\s*(?:Sr|Fr|Hr)\.\s+(?=\S{2})")

_DEGREES: Final = frozenset(
    """phd md mba msc bsc ba ma esq esquire dds dvm rn cpa obe mbe cbe kbe qc kc jd llm llb mag bakk mp usn
    ret fca""".split()
)
_SUFFIXES: Final = {
    "jr": "jr", "jnr": "jr", "junior": "jr", "sr": "sr", "snr": "sr", "senior": "sr", "ii": "ii",
    "iii": "iii", "iv": "iv", "2nd": "ii", "3rd": "iii", "4th": "iv", "fils": "jr", "pere": "sr",
    "filho": "jr",
}  # fmt: skip
_ROMAN: Final = frozenset({"ii", "iii", "iv"})
_STATED_SUFFIXES: Final = _SUFFIXES | {
    "i": "i",
    "1st": "i",
    "v": "v",
    "5th": "v",
    "vi": "vi",
    "2": "ii",
    "3": "iii",
}

_PARTICLES: Final = frozenset(
    """van von vom der den de del della dello di da dal dos das do du des la le las los lo el al ul as abu
    bin ben ibn bint ter ten te zu zum zur af av san santa st saint y e dela vander vanden mac mc""".split()
)
_CONNECTORS: Final = frozenset({"y", "e"})

# In front of a name in Latin letters these are as a rule family names (Kim Jong-un, Nguyen Van A).
_LEADING_SURNAMES: Final = frozenset(
    """kim lee park choi jung jeong kang cho yoon jang lim han shin seo kwon hwang song hong wang li zhang
    liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo zheng liang xie tang deng feng
    cao peng zeng xiao nguyen tran pham huynh hoang phan vu vo dang bui ngo duong""".split()
)
_GIVEN_NAMES_TOO: Final = frozenset({"kim", "lee", "han", "lin", "song", "he", "dang", "jung"})
_ASIDE: Final = re.compile(r"[(\[\"“„«]([^)\]\"”“»]*)[)\]\"”“»]|(?<=\s)'([^']+)'(?=\s)")
_ALIASES: Final = re.compile(r"\b(?:nee|geb|geboren|born|a\.?k\.?a\.?|alias)\b\.?", re.IGNORECASE)

# Between the parts of a foreign name in Han or Kana, which keeps its own order.
_NAME_DOTS: Final = frozenset("\u00b7\u2027\u30fb\uff65")

_ALTERNATIVES_MAX: Final = 12


class PersonName(NamedTuple):
    """A personal name in folded pieces; an absent piece is None, lists are sorted and free of repeats."""

    given: str | None
    given_canon: str | None
    middle: str | None
    family: str | None
    suffix: str | None
    family_alts: tuple[str, ...] | None
    tokens: tuple[str, ...] | None


class _Pieces(NamedTuple):
    given: list[str]
    family: list[str]
    suffix: str | None
    asides: list[str]


def read_person_name(
    *,
    given: str | None,
    middle: str | None,
    family: str | None,
    suffix: str | None,
    full: str | None,
    others: Sequence[str],
) -> tuple[PersonName | None, tuple[str, ...]]:
    """Return the name and the attributes that were junk; None when no word of a name is left.

    The parts win over `full`, which fills what they leave open and adds its words. `others` (maiden
    names, aliases, native spellings) add to `family_alts` and `tokens`.
    """
    junk: list[str] = []
    given_words: Sequence[str] = _read_given(given, "given_name", junk) if given else ()
    middle_words = _read_given(middle, "middle_name", junk) if middle else ()
    alternatives: set[str] = set()
    asides: list[str] = []
    family_words: Sequence[str] = ()
    stated_suffix = _STATED_SUFFIXES.get(fold(suffix) or "") if suffix else None
    if family:
        folded = fold(family)
        if folded is None or (
            folded not in _ROMAN and is_junk_name(family, folded, beside_given=bool(given_words))
        ):
            junk.append("family_name")
        else:
            family_words, found = _read_family(folded)
            stated_suffix = stated_suffix or found
            if not family.isascii():
                _add_spelling(family, alternatives)
    if full and (not (given and family) or full != f"{given} {family}"):
        pieces = _read_full(full, junk, given=given_words)
        family_words, given_words = _fill(pieces, family_words, given_words, alternatives)
        asides += pieces.asides
        stated_suffix = stated_suffix or pieces.suffix
        if not full.isascii() and not family:
            _add_spelling(full.split()[-1] if full.split() else full, alternatives)
    for position, other in enumerate(others):
        asides += _read_other(other, f"other_names[{position}]", junk, alternatives)
    if not (given_words or middle_words or family_words or alternatives or asides):
        return None, tuple(junk)
    return _compose(given_words, middle_words, family_words, stated_suffix, alternatives, asides), tuple(junk)


def canonical_given_name(given: str) -> str:
    """Return the full form of a nickname or variant (`bill` gives `william`), else the name itself."""
    return _read_nicknames().get(given, given)


def _compose(
    given: Sequence[str],
    middle: Sequence[str],
    family: Sequence[str],
    suffix: str | None,
    alternatives: set[str],
    asides: list[str],
) -> PersonName:
    first = given[0] if given else None
    family_name = " ".join(family) or None
    words = {*given, *middle, *family, *asides}
    if alternatives:
        words.update(" ".join(alternatives).split())
    if len(family) > 1:
        _add_compound(family, alternatives)
    if alternatives:
        alternatives.discard(family_name or "")
    return PersonName(
        first,
        canonical_given_name(first) if first else None,
        " ".join((*given[1:], *middle)) or None,
        family_name,
        suffix,
        tuple(sorted(alternatives)[:_ALTERNATIVES_MAX]) or None,
        tuple(sorted(words)) or None,
    )


def _add_compound(family: Sequence[str], alternatives: set[str]) -> None:
    """Add the forms under which a family name of several words is also met: joined, bare, each half."""
    alternatives.add("".join(family))
    core = [word for word in family if word not in _PARTICLES]
    alternatives.update(word for word in core if len(word) > 1)
    if 1 < len(core) < len(family):
        alternatives.add(" ".join(core))


def _add_spelling(name: str, alternatives: set[str]) -> None:
    spelled = spell_umlauts(name)
    if spelled is not None and (folded := fold(spelled)):
        alternatives.add(folded)


def _fill(
    pieces: _Pieces, family: Sequence[str], given: Sequence[str], alternatives: set[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Return family and given words, completed from a full name."""
    known = {*family, *given}
    if not known:
        if pieces.family and pieces.given and _is_leading_surname(pieces.given):
            alternatives.add(pieces.given[0])
        return pieces.family, pieces.given
    rest = [word for word in pieces.given + pieces.family if word not in known]
    if not family and rest:
        if given and known.isdisjoint(pieces.family):
            return pieces.family, [*given, *(word for word in pieces.given if word not in known)]
        return rest, given
    if not given:
        return family, rest
    if pieces.family and pieces.family[-1] not in known:
        alternatives.add(" ".join(pieces.family))
    return family, [*given, *(word for word in pieces.given if word not in known)]


def _is_leading_surname(given: list[str]) -> bool:
    first = given[0]
    return first in _LEADING_SURNAMES and (len(given) > 1 or first not in _GIVEN_NAMES_TOO)


# Given names repeat; whole names and addresses are not cached, so that nothing of one person stays
# in memory after it was forgotten.
@lru_cache(maxsize=16_384)
def _given_words(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the words of a given name without titles, and whether it was junk."""
    folded = fold(_DOTTED_TITLES.sub("", text))
    if folded is None:
        return (), True
    if is_junk_name(text, folded):
        return (), True
    return tuple(_strip_titles(folded.split())), False


def _strip_titles(words: list[str]) -> list[str]:
    start = 0
    while start < len(words) - 1 and (
        words[start] in _TITLES or (words[start] == "the" and words[start + 1] in _TITLES)
    ):
        start += 1
    return words[start:]


def _read_given(text: str, attribute: str, junk: list[str]) -> tuple[str, ...]:
    words, is_junk = _given_words(text)
    if is_junk:
        junk.append(attribute)
    return words


def _read_family(folded: str) -> tuple[list[str], str | None]:
    words = folded.split()
    if len(words) == 1:
        # A suffix that slipped into the next field is still one.
        return ([], words[0]) if words[0] in _ROMAN else (words, None)
    return _strip_end(words, len_min=1)


def _strip_end(words: list[str], *, len_min: int) -> tuple[list[str], str | None]:
    suffix = None
    while len(words) > len_min:
        if words[-1] in _SUFFIXES:
            suffix = _SUFFIXES[words[-1]]
        elif words[-1] not in _DEGREES:
            break
        words = words[:-1]
    return words, suffix


def _read_full(text: str, junk: list[str], *, given: Sequence[str] = ()) -> _Pieces:
    """Return the pieces of a whole name; `given` are given names stated beside it."""
    asides: list[str] = []
    if not text.replace(" ", "").isalpha():
        for bracketed, quoted in _ASIDE.findall(text):
            asides += (fold(_ALIASES.sub(" ", bracketed or quoted)) or "").split()
        text = _DOTTED_TITLES.sub("", _ASIDE.sub(" ", text), count=1)
    folded = fold(text)
    if folded is None or is_junk_name(text.strip(), folded):
        junk.append("full_name")
        return _Pieces([], [], None, [])
    if "," in text:
        if given and folded.startswith(given[0] + " "):
            # `William Palmer, Earl of Selborne` is not turned: its given name stands in front.
            text, _, tail = text.partition(",")
            asides += (fold(tail) or "").split()
            folded = fold(text) or folded
        elif (turned := _read_turned(text)) is not None:
            return _Pieces(turned[1], turned[0], turned[2], asides)
    elif not text.isascii() and has_ideographs(text) and _NAME_DOTS.isdisjoint(text):
        native_family, native_given = _read_ideographs(text)
        return _Pieces(native_given, native_family, None, asides)
    words, suffix = _strip_end(_strip_titles(folded.split()), len_min=2)
    if len(words) == 1:
        lone = ([], words) if not _is_given_name(words[0]) else (words, [])
        return _Pieces(*lone, suffix, asides)
    split = _capitals(text, len(words)) or _family_start(words)
    if split < 0:
        return _Pieces(words[-split:], words[:-split], suffix, asides)
    return _Pieces(words[:split], words[split:], suffix, asides)


def _read_turned(text: str) -> tuple[list[str], list[str], str | None] | None:
    """Return family, given and suffix of `Family, Given`; None when the comma parts something else."""
    head, *tail = text.split(",")
    family, suffix = _strip_end((fold(head) or "").split(), len_min=1)
    rest, found = _strip_end((fold(" ".join(tail)) or "").split(), len_min=0)
    rest = _strip_titles(rest)
    if not family or not rest:
        return None
    return family, rest, suffix or found


def _capitals(text: str, count: int) -> int:
    """Return where a family name in capitals starts (negative: where it ends, in front), 0 for none."""
    if text.isupper() or text.islower():
        return 0
    words = text.split()
    if len(words) != count or _is_capital(words[0]) == _is_capital(words[-1]):
        return 0
    upper = [_is_capital(word) for word in words]
    return -upper.index(False) if upper[0] else upper.index(True)


def _is_capital(word: str) -> bool:
    return len(word) > 2 and word.isupper()


def _family_start(words: list[str]) -> int:
    start = len(words) - 1
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 2 if words[start - 1] in _CONNECTORS and start > 2 else 1
    return start


def _read_ideographs(text: str) -> tuple[list[str], list[str]]:
    """Return family and given words of a Han or Hangul name: the first syllable is the family name."""
    parts = [words for part in text.split() if (words := (fold(part) or "").split())]
    if len(parts) > 1:
        return parts[0], ["".join(word for words in parts[1:] for word in words)]
    syllables = [word for char in text if (word := fold(char))]
    return syllables[0].split(), ["".join(syllables[1:]).replace(" ", "")] if len(syllables) > 1 else []


def _read_other(text: str, attribute: str, junk: list[str], alternatives: set[str]) -> list[str]:
    """Return the words of another name; its family name joins the alternatives."""
    found: list[str] = []
    pieces = _read_full(text, found)
    if found:
        junk.append(attribute)
        return []
    if pieces.family:
        alternatives.add(" ".join(pieces.family))
    elif len(pieces.given) == 1:
        alternatives.add(pieces.given[0])
    return [*pieces.given, *pieces.family, *pieces.asides]


def _is_given_name(word: str) -> bool:
    return word in _read_nicknames()


@cache
def _read_nicknames() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in files(__package__).joinpath("nicknames.txt").read_text("ascii").splitlines():
        canonical, parted, variants = line.partition(":")
        if parted and not line.startswith("#"):
            table.update(dict.fromkeys(variants.split(), canonical))
            table[canonical] = canonical
    return table
