"""Read what a scoring model document states about blocking: rules, their parts, values on the stop list.

Invariant: a part names columns that it can be taken of.
Elsewhere: what the takes mean (`matching.block`), the rest of the document (`load`).
"""

from __future__ import annotations

from typing import Final

from matching.errors import ScoringModelInvalid
from matching.model import LIST_COLUMNS, PROFILE_COLUMNS
from matching.scoring_model.document import BlockingPart, BlockingRule
from matching.scoring_model.place import Place

__all__ = ["read_rule", "read_stop_values"]

_TEXT_TAKES: Final = ("whole", "start", "end", "words", "sound", "digits")
_LIST_TAKES: Final = (*_TEXT_TAKES, "user", "all", "two")


def read_rule(place: Place) -> BlockingRule:
    """Return a blocking rule."""
    place.refuse_unknown("name parts values_max any_order")
    parts = tuple(map(_read_part, place.places("parts")))
    if len(parts) > 4:
        raise ScoringModelInvalid(f"{place.place}.parts: at most 4")
    if all(part.is_optional for part in parts):
        raise ScoringModelInvalid(f"{place.place}.parts: one at least is not optional")
    any_order = place.stated.get("any_order", False)
    if not isinstance(any_order, bool):
        raise ScoringModelInvalid(f"{place.place}.any_order: has to be true or false")
    return BlockingRule(place.name(), parts, place.whole("values_max", 1, 8), any_order)


def _read_part(place: Place) -> BlockingPart:
    place.refuse_unknown("columns take length optional")
    columns, take, length = place.texts("columns"), place.text("take"), place.whole("length", 0, 64)
    if not columns:
        raise ScoringModelInvalid(f"{place.place}.columns: names none")
    for column in columns:
        if column not in PROFILE_COLUMNS:
            raise ScoringModelInvalid(f"{place.place}.columns: {column!r} is not a profile column")
        takes = _LIST_TAKES if column in LIST_COLUMNS else _TEXT_TAKES
        if take not in takes:
            raise ScoringModelInvalid(f"{place.place}.take: of {column} can be taken {', '.join(takes)}")
    if take in ("start", "end") and length < 1:
        raise ScoringModelInvalid(f"{place.place}.length: start and end need a length")
    is_optional = place.stated.get("optional", False)
    if not isinstance(is_optional, bool):
        raise ScoringModelInvalid(f"{place.place}.optional: has to be true or false")
    return BlockingPart(columns, take, length, is_optional)


def read_stop_values(root: Place, rules: tuple[BlockingRule, ...]) -> frozenset[tuple[str, str]]:
    """Return the values that make no blocking key, by the names of rules."""
    names = {rule.name for rule in rules}
    stated = Place(root.get("stop_values"), "scoring model.stop_values")
    for name in stated.stated:
        if name not in names:
            raise ScoringModelInvalid(f"{stated.place}: there is no blocking rule {name!r}")
    return frozenset((name, value) for name in stated.stated for value in stated.texts(name))
