"""Take organisation names apart: the name proper, its legal form in one spelling, other forms of it.

Invariant: `Acme Ltd`, `ACME Limited` and `The Acme Limited` give one name and one legal form; a name
that consists of a legal form alone keeps it as its name.
Elsewhere: people's names (`names`), the organisation a person works for is told apart in `record`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from matching.standardise.fold import fold, spell_umlauts
from matching.standardise.junk import is_junk_text

__all__ = ["OrganisationName", "read_legal_form", "read_organisation_name"]


class OrganisationName(NamedTuple):
    """An organisation's name in folded pieces; an absent piece is None, lists are sorted, free of repeats."""

    name: str | None
    legal_form: str | None
    alternatives: tuple[str, ...] | None
    tokens: tuple[str, ...] | None


_FORMS: Final = {
    tuple(spelling.split()): canonical.strip()
    for line in """
    ltd: ltd|limited|private limited|pvt ltd|pvt limited|private ltd|pte ltd|pty ltd|pty limited
    ltd: proprietary limited|co ltd|company limited|pte|pvt|ltd co|sdn bhd|sendirian berhad
    plc: plc|public limited company|p l c
    llc: llc|l l c|limited liability company|limited liability co|lc|pllc
    llp: llp|l l p|limited liability partnership
    lp: lp|l p|limited partnership
    inc: inc|incorporated|incorporation
    corp: corp|corporation
    co: co|company|cie|compagnie|comp
    gmbh: gmbh|g m b h|gesellschaft mit beschrankter haftung|gesellschaft mbh|ges m b h|gesmbh|ggmbh|mbh
    gmbh co kg: gmbh co kg|gmbh and co kg|gmbh and co|gmbh u co kg|ag and co kg|ag co kg
    ug: ug|ug haftungsbeschrankt|unternehmergesellschaft
    ag: ag|aktiengesellschaft|a g
    kg: kg|kommanditgesellschaft|and co kg|co kg
    ohg: ohg|offene handelsgesellschaft
    gbr: gbr
    ev: e v|ev|eingetragener verein
    eg: eg|e g
    se: se|societas europaea
    kgaa: kgaa|kg aa|se and co kgaa|ag and co kgaa
    sa: sa|s a|societe anonyme|sociedad anonima|sociedade anonima|s a de c v|sa de cv|s a b de c v
    sa: sab de cv
    sas: sas|s a s|sasu|societe par actions simplifiee
    sarl: sarl|s a r l|sàrl|societe a responsabilite limitee|eurl
    sci: sci
    snc: snc|s n c
    srl: srl|s r l|societa a responsabilita limitata|srls|sociedad de responsabilidad limitada|s de r l
    spa: spa|s p a|societa per azioni
    sl: sl|s l|slu|s l u|sociedad limitada
    lda: lda|limitada|ltda
    bv: bv|b v|bvba|besloten vennootschap
    nv: nv|n v|naamloze vennootschap
    vof: vof|v o f
    ab: ab|aktiebolag
    as: as|a s|aksjeselskap|aktieselskab|asa
    aps: aps|anpartsselskab
    oy: oy|oyj|osakeyhtio
    spzoo: sp z o o|sp z oo|spolka z ograniczona odpowiedzialnoscia|sp zoo|spzoo|spolka z o o
    spolka akcyjna: spolka akcyjna
    sro: s r o|sro|spol s r o
    kft: kft|korlatolt felelossegu tarsasag
    zrt: zrt|nyrt|rt
    doo: doo|d o o
    dd: d d
    ooo: ooo|obshchestvo s ogranichennoy otvetstvennostyu|tov
    oao: oao|otkrytoe aktsionernoe obshchestvo|open joint stock company|ojsc
    zao: zao|closed joint stock company|cjsc
    pao: pao|public joint stock company|pjsc
    ao: jsc|joint stock company|aktsionernoe obshchestvo
    kk: kk|k k|kabushiki kaisha|kabushiki gaisha
    gk: gk|godo kaisha
    ae: a e|anonymi etaireia
    epe: e p e|epe
    uab: uab
    sia: sia
    pt: pt|tbk
    trust: charitable trust
    """.strip().splitlines()
    for canonical, _, spellings in [line.strip().partition(":")]
    for spelling in [fold(part) or "" for part in spellings.split("|")]
}  # fmt: skip
_FORM_WORDS_MAX: Final = max(map(len, _FORMS))
_LEADING_SPELLINGS: Final = frozenset(
    text.strip()
    for text in """
    ooo|oao|zao|pao|ao|uab|sia|pt|tov|ojsc|cjsc|pjsc|jsc|joint stock company|open joint stock company|
    public joint stock company|closed joint stock company|obshchestvo s ogranichennoy otvetstvennostyu|
    compagnie|limited liability company|kk|gk|ltd|co ltd|sp z oo|sp z o o
    """.split("|")
)
_FORM_ENDINGS: Final = frozenset(spelling[-1] for spelling in _FORMS)

_WORDS: Final = {
    short: long
    for line in """
    academy: acad | and: und et | associates: assocs | association: assoc assn | brothers: bros
    center: ctr centre centr | chemicals: chem | community: comm | department: dept
    distribution: dist | elementary: elem | engineering: eng engr | foundation: fdn
    gesellschaft: ges | government: govt | group: grp | holding: hldg | holdings: hldgs
    hospital: hosp | industries: ind inds | institute: inst | insurance: ins
    international: intl internat int | laboratories: labs | laboratory: lab | management: mgmt mgt
    manufacturers: mfrs | manufacturing: mfg | national: natl nat | pharmaceuticals: pharm
    saint: st | school: sch | service: svc | services: svcs serv | systems: sys
    technologies: technol techs | technology: tech | university: univ
    """.splitlines()
    for entry in line.split("|")
    for long, _, shorts in [entry.strip().partition(": ")]
    for short in shorts.split()
}
# What follows a name without a space in scripts that have none, so folding would glue it to the name.
_NATIVE_FORMS: Final = {
    "株式会社": " kk ",
    "㈱": " kk ",
    "有限会社": " ltd ",
    "合同会社": " gk ",
    "股份有限公司": " co ltd ",
    "有限责任公司": " ltd ",
    "有限公司": " ltd ",
    "주식회사": " co ltd ",
    "유한회사": " ltd ",
}
_STOP_WORDS: Final = frozenset({"the", "and", "of", "for", "de", "der", "die", "das"})
_SPELLED_ACRONYM: Final = re.compile(r"(?<![A-Za-z])(?:[A-Za-z]\.\s?){2,}")
_TRADING_AS: Final = re.compile(
    r"\b(?:d[./]?b[./]?a\b\.?|t/a\b|trading as\b|doing business as\b|f/?k/?a\b|formerly(?: known as)?\b"
    r"|a/?k/?a\b|also known as\b|c/o\b)"
)
# One of these stands in whatever that finds; asking for them first costs a tenth.
_TRADING_HINTS: Final = ("/", "dba", "b.a", "ing as", "business as", "fka", "formerly", "aka", "known as")
_BRACKETED: Final = re.compile(r"\(([^()]*)\)")
_NAME_WORDS_MAX: Final = 24
_INITIALS_MIN: Final = 3
_ALTERNATIVES_MAX: Final = 8


def read_organisation_name(
    text: str | None, *, others: Sequence[str] = (), legal_form: str | None = None
) -> tuple[OrganisationName | None, tuple[int, ...]]:
    """Return the name, and which of [text, *others] were junk by position; None when no name is left."""
    names: list[str] = []
    spellings: list[str] = []
    junk: list[int] = []
    form = read_legal_form(legal_form) if legal_form else None
    for position, stated in enumerate([text, *others]):
        if stated is None:
            continue
        found = False
        for part in _split_names(stated):
            words, part_form = _read_part(part)
            if words:
                names.append(words)
                if (spelled := spell_umlauts(part)) is not None and (written := _read_part(spelled)[0]):
                    spellings.append(written)
                form = form or part_form
                found = True
        if not found:
            junk.append(position)
    if not names:
        return None, tuple(junk)
    alternatives = {*names[1:], *spellings} | _spell_initials(names[0])
    alternatives.discard(names[0])
    tokens = {word for name in (*names, *spellings) for word in name.split()}
    kept = tokens - _STOP_WORDS
    return OrganisationName(
        name=names[0],
        legal_form=form,
        alternatives=tuple(sorted(alternatives)[:_ALTERNATIVES_MAX]) or None,
        tokens=tuple(sorted(kept or tokens)),
    ), tuple(junk)


def read_legal_form(text: str) -> str | None:
    """Return the canonical legal form (`Aktiengesellschaft` gives `ag`); an unknown one comes back folded."""
    folded = fold(_join_acronyms(text))
    if folded is None or is_junk_text(folded):
        return None
    return _FORMS.get(tuple(folded.split()), folded)


def _split_names(text: str) -> list[str]:
    """Return the names of an organisation that trades under another one than its own."""
    lower = text.lower()
    for hint in _TRADING_HINTS:
        if hint in lower:
            # Lower case may be longer than the text, so its parts are taken instead of the text's.
            return _TRADING_AS.split(lower)
    return [text]


def _read_part(text: str) -> tuple[str | None, str | None]:
    """Return the name without its legal form, and that form."""
    if "(" in text:
        text = _BRACKETED.sub(r" \1 ", text)
    if not text.isascii():
        for native, spelled in _NATIVE_FORMS.items():
            text = text.replace(native, spelled)
    if "&" in text or "+" in text:
        text = text.replace("&", " and ").replace("+", " and ")
    folded = fold(_join_acronyms(text) if "." in text else text)
    if folded is None or is_junk_text(folded):
        return None, None
    words = folded.split()[:_NAME_WORDS_MAX]
    if len(words) > 1 and words[-1] == "the":
        words.pop()
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    words, form = _strip_form(words)
    return " ".join([_WORDS.get(word, word) for word in words]), form


def _strip_form(words: list[str]) -> tuple[list[str], str | None]:
    form: str | None = None
    while len(words) > 1 and words[-1] in _FORM_ENDINGS:
        for length in range(min(_FORM_WORDS_MAX, len(words) - 1), 0, -1):
            canonical = _FORMS.get(tuple(words[-length:]))
            if canonical is not None:
                # The last form stated is the weightiest: `Co Ltd`, `Company Inc`.
                form = form or canonical
                words = words[:-length]
                break
        else:
            break
    if form is None:
        for length in range(min(_FORM_WORDS_MAX, len(words) - 1), 0, -1):
            if " ".join(words[:length]) in _LEADING_SPELLINGS:
                return words[length:], _FORMS.get(tuple(words[:length]), words[0])
    while len(words) > 1 and words[-1] == "and":
        words = words[:-1]
    return words, form


def _join_acronyms(text: str) -> str:
    """Return the text with `I.B.M.` as `IBM `, so that folding keeps it one word."""
    return _SPELLED_ACRONYM.sub(lambda found: found[0].replace(".", "").replace(" ", "") + " ", text)


def _spell_initials(name: str) -> set[str]:
    words = [word for word in name.split() if word not in _STOP_WORDS]
    if len(words) < _INITIALS_MIN:
        return set()
    initials = "".join([word[0] for word in words])
    return {initials} if len(initials) <= 6 and initials.isalpha() else set()
