"""Recognise values that stand for "nothing stated": placeholders, keyboard rows, repeated signs.

Invariant: a value called junk here is never matched on. The lists are deliberately short and whole-value:
a word inside a longer name is never junk.
Elsewhere: junk that only one attribute has stands with that attribute (`dates`, `contacts`,
`identifiers`).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_junk_digits", "is_junk_name", "is_junk_text"]

_PLACEHOLDERS: Final = frozenset(
    text.strip()
    for line in """
    unknown|unk|unbekannt|inconnu|inconnue|desconocido|desconocida|sconosciuto|onbekend|nieznany|neizvestno
    n a|not available|not applicable|not known|not given|not provided|not specified|not stated|not supplied
    no name|noname|no data|no value|no address|no fixed address|no email|no phone|none given|none provided
    none|null|nil|nul|nan|undefined|void|empty|blank|missing|default|dummy|dummy data|placeholder|sample
    test|tests|testing|tester|test test|test user|test customer|test account|test name|test company|testtest
    tbd|tba|tbc|tbd tbd|to be determined|to be confirmed|to be advised|anonymous|anonym|anon|anonymised
    anonymized|redacted|withheld|deleted|removed|do not use|duplicate|delete|delete me|refused|declined
    keine angabe|k a|ohne|sin nombre|sans nom|no consta|firstname|lastname|first name|last name|surname
    first name last name|given name|family name|company name|name|city|street|address|guest|customer|kunde
    foo|bar|foobar|foo bar|lorem ipsum|abc|abcd|abcde|abcdef|aaa bbb|asdf|asdfg|asdfgh|asdfghjkl|asdasd|asd
    qwe|qwer|qwert|qwerty|qwertz|azerty|qwertyuiop|yxcv|yxcvbnm|zxcv|zxcvbnm|jkl|hjkl|fghj|dfgh|sdf|sdfg
    """.split("\n")
    for text in line.split("|")
) - {""}

# Surnames that people bear. Beside a real given name they are kept when written as a name is (`Null`,
# not `null` or `NULL`, which is how machines and clerks write "nothing").
_BORNE_SURNAMES: Final = frozenset(
    {
        "null",
        "none",
        "test",
        "tester",
        "void",
        "blank",
        "name",
        "street",
        "guest",
        "bar",
        "nil",
        "default",
        "kunde",
    }
)

_REPEATED: Final = re.compile(r"(.)\1+")
_SHORT_NOTHING: Final = frozenset({"na", "NA"})


def is_junk_text(folded: str) -> bool:
    """Tell whether a folded text as a whole says nothing: a placeholder or one sign over and over."""
    return folded in _PLACEHOLDERS or (folded[:1] == folded[-1:] and _is_repeated(folded))


def is_junk_name(raw: str, folded: str, *, beside_given: bool = False) -> bool:
    """Tell whether a personal name is junk; `beside_given` when it is a surname next to a real given name.

    Digits alone are no name. `Na` is a name, `na` and `NA` are not; `Null`, `Test` and the like are
    surnames beside a given name.
    """
    if raw in _SHORT_NOTHING or (not folded.isalpha() and folded.replace(" ", "").isdigit()):
        return True
    if not is_junk_text(folded):
        return False
    return not (beside_given and folded in _BORNE_SURNAMES and raw.istitle())


def is_junk_digits(digits: str) -> bool:
    """Tell whether digits are a filler: all the same, or counted up or down by one."""
    return digits in _COUNTED or (digits[0] == digits[-1] and digits.count(digits[0]) == len(digits))


def _is_repeated(folded: str) -> bool:
    squeezed = folded.replace(" ", "")
    # Not two: `Oo`, `Aa` and `Ii` are names, `11` is a house.
    return len(squeezed) > 2 and _REPEATED.fullmatch(squeezed) is not None


_COUNTED: Final = frozenset(
    row[start : start + length]
    for row in ("01234567890123456789", "98765432109876543210")
    for start in range(10)
    for length in range(5, 11)
)
