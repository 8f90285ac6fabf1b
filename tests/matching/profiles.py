"""Make profiles for tests: by column name, or random ones that are hard to compare.

Invariant: the same random generator state gives the same profile.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from matching.model import PROFILE_COLUMNS, TEXT_COLUMNS, Profile
from matching.standardise import standardise

__all__ = ["make_attributes", "make_profile", "make_random_profile", "standardise_random"]

_NAMES: Final = (
    "john jon johnny mary maria marie smith smyth smithe garcia lopez oneil mcdonald li van berg bill "
    "w j anna ana hans hsa karen kfre eliza"
).split()
_LIST_DRAWS: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "phones": lambda r: "49" + "".join(r.choice("12") for _ in range(r.randint(4, 9))),
    "identifiers": lambda r: (
        r.choice(["tax_id:", "national_id@se:", "x-a:", "lei:"]) + str(r.randint(1111, 1140))
    ),
    "emails": lambda r: (
        r.choice([*_NAMES, "info", "john.smith", "smith_john"]) + "@" + r.choice(["x.de", "y.com"])
    ),
    "house_numbers": lambda r: str(r.randint(1, 6)),
    "postcodes": lambda r: r.choice(["12345", "12346", "ab12cd"]),
    "cities": lambda r: r.choice(["bern", "berne", "basel", "paris"]),
    "regions": lambda r: r.choice(["ny", "ca"]),
    "org_tokens": lambda r: r.choice(["acme", "acne", "the", "group", "global", "bosch", "mill", "zeta"]),
}
_SCRIPTS: Final = (
    "Łukasz Öztürk", "Анна Иванова", "Αλέξανδρος Παπάς", "محمد علي", "李小龍", "山田 太郎", "김 민수",
    "Zoë\u0308 O’Neil",
    "e\u0301va Sz\u0151ke", "😀 Smith", "𝔄𝔫𝔫𝔞 Berg", "ß", "İsmail Işık",
    "ÆØÅ Ångström", "van der Berg",
    "Nguyễn Văn A",
    "DR. ANNA-MARIA MÜLLER", "x" * 300, "", " ", "\u200b", "n/a", "Dvořák ze Šumavy", "O'Brien-Smythe",
)  # fmt: skip


def make_profile(**columns: Any) -> Profile:
    """Return a profile with these columns; all others are absent."""
    unknown = set(columns) - set(PROFILE_COLUMNS)
    assert not unknown, unknown
    return tuple(columns.get(name) for name in PROFILE_COLUMNS)


def make_random_profile(r: random.Random) -> Profile:
    """Return a profile whose values often nearly agree with another one's; some are very long."""
    columns = {name: None if r.random() < 0.35 else _draw(name, r) for name in PROFILE_COLUMNS}
    if r.random() < 0.4:
        given, family = r.choice(
            [("john", "smith"), ("johnny", "smith"), ("anna", "van berg"), ("ana", "van berg")]
        )
        if r.random() < 0.3:
            given, family = family, given
        columns |= {"given": given, "family": family, "emails": (f"{given}.{family}@x.de".replace(" ", ""),)}
    return tuple(columns.values())


def make_attributes(r: random.Random) -> dict[str, object]:
    """Return attributes as a source states them: many scripts, combining and astral characters, junk."""
    stated: dict[str, object] = {
        "full_name": r.choice(_SCRIPTS) + " " + r.choice([*_NAMES, *_SCRIPTS]),
        "other_names": [r.choice(_SCRIPTS)],
        "birth_date": r.choice(
            ["1980-02-03", "03.02.1980", "1980", "1980-02", "0000-00-00", "1980-03-02", "?"]
        ),
        "email": r.choice(
            ["Jöhn.Smith+x@GMAIL.com", "info@x.de", "nobody", "张伟@例子.中国", "john.smith@gmail.com"]
        ),
        "phone": r.choice(["+49 30 123456", "030/123456", "0000000", "٠١٢٣٤٥٦٧٨٩", "+1 202 555 0143"]),
        "address": {
            "line": r.choice(
                ["Hauptstraße 5, 10115 Berlin", "ул. Ленина 5", "東京都千代田区1-1", "5 Main St"]
            )
        },
        "org_name": r.choice(
            ["ООО Ромашка", "Müller & Söhne GmbH", "株式会社 山田", "Acme Ltd", "Acme Group Limited"]
        ),
    }
    if r.random() < 0.5:
        del stated["full_name"]
        del stated["other_names"]
    return {name: value for name, value in stated.items() if r.random() < 0.8}


def _draw(name: str, r: random.Random) -> str | tuple[str, ...]:
    if name == "kind":
        return r.choice(["person", "organisation"])
    if name == "sex":
        return r.choice("fmx")
    if name == "suffix":
        return r.choice(["jr", "sr", "ii"])
    if name == "birth_date":
        day = f"{r.randint(1970, 1974)}-{r.choice(['01', '02', '12'])}-{r.choice(['01', '02', '12', '21'])}"
        return day[: r.choice([10, 10, 10, 7, 4])]
    if name in TEXT_COLUMNS:
        return " ".join(_draw_word(r) for _ in range(r.choice([1, 1, 1, 2, 3])))
    draw = _LIST_DRAWS.get(name, _draw_word)
    return tuple(sorted({draw(r) for _ in range(r.choice([1, 1, 1, 2, 3, 9]))}))


def _draw_word(r: random.Random) -> str:
    chance = r.random()
    if chance < 0.6:
        return r.choice(_NAMES)
    if chance < 0.7:
        return r.choice("abcdefgz")
    if chance < 0.98:
        return "".join(r.choice("abcdeimnorst") for _ in range(r.randint(1, 14)))
    return "".join(r.choice("abcde") for _ in range(r.randint(60, 300)))


def standardise_random(r: random.Random) -> Profile:
    """Return the standardised profile of `make_attributes`."""
    return standardise(make_attributes(r), region=r.choice([None, "DE", "US"])).profile
