"""Read countries and their states as codes, from codes and names as people state them.

Invariant: a text that is not known comes back folded, so that equal statements stay equal.
Elsewhere: where in an address they stand (`addresses`).
"""

from __future__ import annotations

from typing import Final

from matching.standardise.fold import fold

__all__ = ["STATE_CODES", "code_country", "code_state", "is_country", "read_country"]

_PIECE_CHARS_MAX: Final = 100

_UNITED_STATES: Final = """al alabama|ak alaska|az arizona|ar arkansas|ca california|co colorado
    |ct connecticut|de delaware
    |dc district of columbia|fl florida|ga georgia|hi hawaii|id idaho|il illinois|in indiana|ia iowa
    |ks kansas|ky kentucky|la louisiana|me maine|md maryland|ma massachusetts|mi michigan|mn minnesota
    |ms mississippi|mo missouri|mt montana|ne nebraska|nv nevada|nh new hampshire|nj new jersey
    |nm new mexico|ny new york|nc north carolina|nd north dakota|oh ohio|ok oklahoma|or oregon
    |pa pennsylvania|ri rhode island|sc south carolina|sd south dakota|tn tennessee|tx texas|ut utah
    |vt vermont|va virginia|wa washington|wv west virginia|wi wisconsin|wy wyoming|pr puerto rico"""
_COMMONWEALTH: Final = """nsw new south wales|vic victoria|qld queensland|tas tasmania|sa south australia
    |nt northern territory|act australian capital territory|on ontario|qc quebec|bc british columbia
    |ab alberta|mb manitoba|sk saskatchewan|ns nova scotia|nb new brunswick
    |nl newfoundland and labrador|pe prince edward island"""
_STATES: Final = {
    name.strip(): code
    for entry in f"{_UNITED_STATES}|{_COMMONWEALTH}|wa western australia".split("|")
    for code, _, name in [entry.strip().partition(" ")]
}
STATE_CODES: Final = frozenset(_STATES.values())
_COUNTRIES: Final = {
    name.strip(): code
    for entry in """us usa|us united states|us united states of america|us u s a|us u s|us america|gb uk
    |gb united kingdom|gb great britain|gb england|gb scotland|gb wales|gb northern ireland|gb gbr
    |de germany|de deutschland|de deu|de ger|at austria|at osterreich|at oesterreich|at aut
    |ch switzerland|ch schweiz|ch suisse|ch svizzera|ch che|fr france|fr fra|es spain|es espana|es esp
    |it italy|it italia|it ita|nl netherlands|nl nederland|nl the netherlands|nl holland|nl nld
    |be belgium|be belgie|be belgique|be bel|pt portugal|pt prt|pl poland|pl polska|pl pol
    |cz czech republic|cz czechia|se sweden|se sverige|dk denmark|dk danmark|no norway|no norge
    |fi finland|fi suomi|ie ireland|ie irl|au australia|au aus|nz new zealand|ca canada|ca can
    |mx mexico|mx mex|br brazil|br brasil|in india|cn china|jp japan|jp nippon|kr south korea|kr korea
    |ru russia|ru rossiya|ru russian federation|ua ukraine|ua ukraina|tr turkey|tr turkiye|gr greece
    |gr ellada|hu hungary|ro romania|kh cambodia|za south africa|sg singapore|lu luxembourg""".split("|")
    for code, _, name in [entry.strip().partition(" ")]
}


def code_country(folded: str) -> str:
    """Return the two-letter code of a folded country (`deutschland` gives `de`)."""
    return _COUNTRIES.get(folded, folded)


def code_state(folded: str) -> str:
    """Return the code of a folded state of North America or Australia (`new york` gives `ny`)."""
    return _STATES.get(folded, folded)


def is_country(folded: str) -> bool:
    """Tell whether the folded text is a known name of a country; bare codes are too short to be sure."""
    return folded in _COUNTRIES


def read_country(text: str) -> str | None:
    """Return the two-letter code of a country stated as code or name; other texts come back folded."""
    folded = fold(text[:_PIECE_CHARS_MAX])
    return None if folded is None else code_country(folded)
