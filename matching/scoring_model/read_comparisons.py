"""Read what a scoring model document states about comparing: word lists, frequencies, levels, classes.

Invariant: the shares of all levels of a comparison add to 1 within two in a hundred; every name refers to
something that the document states.
Elsewhere: conditions of levels (`matching.compare`), blocking (`read_blocking`), the whole (`load`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from matching.compare import Vocabulary, read_condition
from matching.errors import ScoringModelInvalid
from matching.model import PROFILE_COLUMNS, TEXT_COLUMNS
from matching.scoring_model.document import Comparison, DependentClass, Level, TermTable, TermUse
from matching.scoring_model.place import Place, refuse_repeats

__all__ = ["check_comparisons", "read_class", "read_comparison", "read_table", "read_vocabulary"]

_PATTERNS_MAX: Final = 1 << 62


def read_vocabulary(root: Place) -> Vocabulary:
    """Return the word lists by name."""
    lists = Place(root.get("word_lists"), "scoring model.word_lists")
    for name in lists.stated:
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ScoringModelInvalid(f"{lists.place}: name {name!r} has to be like [a-z][a-z0-9_]*")
        if not all(re.fullmatch("[a-z0-9_]{1,40}", word) for word in lists.texts(name)):
            raise ScoringModelInvalid(f"{lists.place}.{name}: words are 1 to 40 of a-z, 0-9 and _")
    return {name: lists.texts(name) for name in lists.stated}


def read_table(place: Place) -> TermTable:
    """Return a table of term frequencies."""
    place.refuse_unknown("name agreement values hashed")
    shares: list[dict[str, float]] = []
    for field in ("values", "hashed"):
        stated = Place(place.get(field), f"{place.place}.{field}")
        shares.append({value: stated.probability(value) for value in stated.stated})
    if not shares[0] and not shares[1]:
        raise ScoringModelInvalid(f"{place.place}: lists no value")
    return TermTable(place.name(), place.probability("agreement"), shares[0], shares[1])


def read_comparison(place: Place, vocabulary: Vocabulary, tables: Mapping[str, TermTable]) -> Comparison:
    """Return a comparison; its last level is the one that takes what is left."""
    place.refuse_unknown("name columns levels")
    columns = place.texts("columns")
    unknown = sorted(set(columns) - set(PROFILE_COLUMNS))
    if unknown or not columns:
        raise ScoringModelInvalid(
            f"{place.place}.columns: {', '.join(unknown) or 'none'} is not a profile column"
        )
    levels = tuple(_read_level(level, vocabulary, tables) for level in place.places("levels"))
    if levels[-1].condition is not None:
        raise ScoringModelInvalid(f"{place.place}.levels: the last level has to be the one without `when`")
    if any(level.condition is None for level in levels[:-1]):
        raise ScoringModelInvalid(f"{place.place}.levels: only the last level may be without `when`")
    if not 2 <= len(levels) <= 30:
        raise ScoringModelInvalid(f"{place.place}.levels: has to be 2 to 30 levels")
    refuse_repeats(f"{place.place}.levels", [level.label for level in levels])
    for side in ("m", "u"):
        total = sum(getattr(level, side) for level in levels)
        if not 0.98 <= total <= 1.02:
            raise ScoringModelInvalid(
                f"{place.place}.levels: the {side} of all levels add to {total:.4f}, not to 1"
            )
    return Comparison(place.name(), columns, levels)


def _read_level(place: Place, vocabulary: Vocabulary, tables: Mapping[str, TermTable]) -> Level:
    place.refuse_unknown("label when m u terms")
    condition = None
    if "when" in place.stated:
        condition = read_condition(place.stated["when"], place=f"{place.place}.when", vocabulary=vocabulary)
    terms = None
    if "terms" in place.stated:
        use = Place(place.stated["terms"], f"{place.place}.terms")
        use.refuse_unknown("table column percent")
        if use.get("table") not in tables:
            raise ScoringModelInvalid(f"{use.place}: there is no term table {use.get('table')!r}")
        if use.get("column") not in TEXT_COLUMNS:
            raise ScoringModelInvalid(f"{use.place}: column has to be a text column of the profile")
        terms = TermUse(use.get("table"), use.get("column"), use.whole("percent", 1, 100))
    label = place.text("label", pattern="[a-z0-9][a-z0-9 ,'-]*")
    return Level(label, condition, place.probability("m"), place.probability("u"), terms)


def check_comparisons(comparisons: tuple[Comparison, ...]) -> None:
    """Refuse comparisons that together need more than a pattern can number."""
    refuse_repeats("scoring model.comparisons", [comparison.name for comparison in comparisons])
    if math.prod(len(comparison.levels) + 1 for comparison in comparisons) > _PATTERNS_MAX:
        raise ScoringModelInvalid("scoring model.comparisons: more level patterns than 62 bits can number")
    if sum(any(level.terms for level in comparison.levels) for comparison in comparisons) > 7:
        raise ScoringModelInvalid("scoring model.comparisons: at most 7 may use term frequencies")


def read_class(place: Place, comparisons: tuple[Comparison, ...]) -> DependentClass:
    """Return a class of dependent pairs; it lists all levels of a comparison or none."""
    place.refuse_unknown("name counts_as rate levels")
    by_name = {comparison.name: comparison for comparison in comparisons}
    stated = Place(place.get("levels"), f"{place.place}.levels")
    shares: dict[str, tuple[float, ...]] = {}
    for name in stated.stated:
        if name not in by_name:
            raise ScoringModelInvalid(f"{stated.place}: there is no comparison {name!r}")
        labels = [level.label for level in by_name[name].levels]
        listed = Place(stated.stated[name], f"{stated.place}.{name}")
        if sorted(listed.stated) != sorted(labels):
            raise ScoringModelInvalid(f"{listed.place}: has to list exactly the levels {', '.join(labels)}")
        shares[name] = tuple(listed.probability(label) for label in labels)
        if not 0.98 <= sum(shares[name]) <= 1.02:
            raise ScoringModelInvalid(f"{listed.place}: the shares add to {sum(shares[name]):.4f}, not to 1")
    counts_as = place.text("counts_as", pattern="same|different")
    return DependentClass(place.name(), counts_as == "same", place.probability("rate"), shares)
