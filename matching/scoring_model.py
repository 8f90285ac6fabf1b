"""Read a scoring model: one immutable JSON document from which both engines score, block and cut.

Invariant: a `ScoringModel` exists only for a document that keeps every rule of this room; its `version`
is a hash of the canonical document, so equal versions mean equal partitions. Whatever a weight needs (m
and u, term frequencies, priors, dependent classes) is frozen in it.

The weight of a pair, in whole millibits (`matching.score.weigher`):
 1. each comparison finds the first of its levels that holds; absent on either side, it says nothing;
 2. base = sum of round(1000 log2(m/u)) over the levels found;
 3. a level with a term-frequency use adds log2(agreement / frequency) for the commoner of the two values,
    scaled and rounded to steps of 100 millibits;
 4. dependent classes are populations of pairs that agree for another reason than being the same customer
    (a household, two firms in one building). A class has a rate, its share of all pairs, and own level
    frequencies h; where it lists none, u holds. With them the ratio of match to non-match is
        prior m / (u + sum of rate h), or (prior m + sum of rate h) / u for classes that count as the same.

Elsewhere: the measures that levels are made of (`matching.compare`), the default document
(`default_model.json`), hashing blocking values (`matching.block`).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final

import orjson

from matching.compare import Condition, Vocabulary, read_condition
from matching.errors import ScoringModelInvalid
from matching.model import LIST_COLUMNS, PROFILE_COLUMNS, TEXT_COLUMNS, Millibits

__all__ = [
    "TERM_STEP_MILLIBITS",
    "BlockingPart",
    "BlockingRule",
    "Comparison",
    "DependentClass",
    "Level",
    "ScoringModel",
    "SourcePrior",
    "TermTable",
    "TermUse",
    "default_scoring_model",
    "load_scoring_model",
]

TERM_STEP_MILLIBITS: Final = 100
TERM_STEPS_MAX: Final = 127
_PATTERNS_MAX: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class TermUse:
    """That a level is adjusted by how common the value is: table, column looked up, percent of the effect."""

    table: str
    column: str
    percent: int


@dataclass(frozen=True, slots=True)
class Level:
    """One degree of agreement. `condition` is None for the last level, which takes what is left."""

    label: str
    condition: Condition | None
    m: float
    u: float
    terms: TermUse | None

    @property
    def millibits(self) -> Millibits:
        """round(1000 log2(m/u))."""
        return round(1000 * math.log2(self.m / self.u))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Levels from most to least agreement over `columns`; absent when a side has none of the columns."""

    name: str
    columns: tuple[str, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class DependentClass:
    """Pairs that agree for a reason of their own: `rate` is their share of all pairs, `shares` their h."""

    name: str
    counts_as_same: bool
    rate: float
    shares: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class BlockingPart:
    """How one part of a blocking value is taken from any of these columns; takes: see `matching.block`.

    A profile without a value gives no blocking value, or, where the part is optional, one without it.
    """

    columns: tuple[str, ...]
    take: str
    length: int
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class BlockingRule:
    """Parts whose values together make a blocking value; at most `values_max` of a record are used.

    With `any_order` the parts are sorted, so that crossed values make the same blocking value.
    """

    name: str
    parts: tuple[BlockingPart, ...]
    values_max: int
    any_order: bool


@dataclass(frozen=True, slots=True)
class TermTable:
    """How common the values of an attribute are in the population; `hashed` holds the rare ones."""

    name: str
    agreement: float
    values: Mapping[str, float]
    hashed: Mapping[str, float]

    @property
    def rarest(self) -> float:
        """The smallest listed frequency, which a value not listed counts as."""
        return min([*self.values.values(), *self.hashed.values()])


@dataclass(frozen=True, slots=True)
class SourcePrior:
    """The prior of pairs between two sources (or within one), smaller name first."""

    left: str
    right: str
    millibits: Millibits


@dataclass(frozen=True, slots=True, eq=False)
class ScoringModel:
    """A validated scoring model document; see the module for how its numbers become a weight.

    Two are equal when their documents are.
    """

    version: str
    document: bytes
    description: str
    population: int
    prior_millibits: Millibits
    source_priors: tuple[SourcePrior, ...]
    same_as_millibits: Millibits
    comparisons: tuple[Comparison, ...]
    classes: tuple[DependentClass, ...]
    term_tables: Mapping[str, TermTable]
    vocabulary: Vocabulary
    blocking_rules: tuple[BlockingRule, ...]
    stop_values: frozenset[tuple[str, str]]
    holders_max: int
    link_thresholds_millibits: tuple[Millibits, ...]
    component_max: int
    cut_millibits: Millibits
    clip_millibits: Millibits
    exclusive: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScoringModel) and other.document == self.document

    def __hash__(self) -> int:
        return hash(self.version)

    @property
    def link_min_millibits(self) -> Millibits:
        """The lowest weight at which a candidate pair is a link."""
        return self.link_thresholds_millibits[0]

    def find_prior(self, left_source: str, right_source: str) -> Millibits:
        """Return the prior of a pair between these sources, in any order."""
        low, high = sorted((left_source, right_source))
        for stated in self.source_priors:
            if (stated.left, stated.right) == (low, high):
                return stated.millibits
        return self.prior_millibits


def load_scoring_model(text: bytes) -> ScoringModel:
    """Return the scoring model that a JSON document states.

    Raises:
        ScoringModelInvalid: the document breaks a rule; the message says which and where.
    """
    try:
        stated = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise ScoringModelInvalid(f"the scoring model is not JSON: {exc}") from exc
    document = orjson.dumps(stated, option=orjson.OPT_SORT_KEYS)
    root = _Place(stated, "scoring model")
    root.refuse_unknown(
        "format description population prior_millibits source_priors same_as_millibits word_lists "
        "term_tables comparisons dependent_classes blocking stop_values holders_max "
        "link_thresholds_millibits component_max cut_millibits clip_millibits exclusive"
    )
    if root.whole("format", 1, 1) != 1:  # pragma: no cover - whole() refuses others
        raise ScoringModelInvalid("scoring model: format 1 is the only one")
    vocabulary = _read_vocabulary(root)
    tables = {table.name: table for table in map(_read_table, root.places("term_tables"))}
    comparisons = tuple(_read_comparison(p, vocabulary, tables) for p in root.places("comparisons"))
    _check_comparisons(comparisons)
    rules = tuple(map(_read_rule, root.places("blocking")))
    _refuse_repeats("blocking rules", [rule.name for rule in rules])
    thresholds = tuple(root.whole_list("link_thresholds_millibits"))
    if not thresholds or any(low >= high for low, high in pairwise(thresholds)):
        raise ScoringModelInvalid("scoring model.link_thresholds_millibits: has to rise and not to be empty")
    return ScoringModel(
        version=hashlib.sha256(document).hexdigest()[:16],
        document=document,
        description=root.text("description", maximum=2000),
        population=root.whole("population", 1, 10**12),
        prior_millibits=root.whole("prior_millibits", -60_000, 0),
        source_priors=_read_priors(root),
        same_as_millibits=root.whole("same_as_millibits", 0, 60_000),
        comparisons=comparisons,
        classes=tuple(_read_class(p, comparisons) for p in root.places("dependent_classes", empty=True)),
        term_tables=tables,
        vocabulary=vocabulary,
        blocking_rules=rules,
        stop_values=_read_stop_values(root, rules),
        holders_max=root.whole("holders_max", 1, 10_000),
        link_thresholds_millibits=thresholds,
        component_max=root.whole("component_max", 2, 10_000),
        cut_millibits=root.whole("cut_millibits", -60_000, 60_000),
        clip_millibits=root.whole("clip_millibits", 1, 60_000),
        exclusive=_read_exclusive(root),
    )


@cache
def default_scoring_model() -> ScoringModel:
    """Return the model that ships: persons and organisations together, good without training."""
    return load_scoring_model(files("matching").joinpath("default_model.json").read_bytes())


class _Place:
    """An object of the document together with where it stands, for messages."""

    def __init__(self, stated: object, place: str) -> None:
        if not isinstance(stated, dict):
            raise ScoringModelInvalid(f"{place}: has to be an object")
        self.stated: dict[str, Any] = stated
        self.place = place

    def refuse_unknown(self, allowed: str) -> None:
        unknown = sorted(set(self.stated) - set(allowed.split()))
        if unknown:
            raise ScoringModelInvalid(f"{self.place}: unknown field {', '.join(unknown)}")

    def get(self, field: str) -> Any:
        if field not in self.stated:
            raise ScoringModelInvalid(f"{self.place}: {field} is missing")
        return self.stated[field]

    def text(self, field: str, *, maximum: int = 63, pattern: str = ".*") -> str:
        value = self.get(field)
        if not isinstance(value, str) or len(value) > maximum or not re.fullmatch(pattern, value, re.DOTALL):
            raise ScoringModelInvalid(
                f"{self.place}.{field}: has to be a text of at most {maximum} like {pattern}"
            )
        return value

    def name(self, field: str = "name") -> str:
        return self.text(field, pattern="[a-z][a-z0-9_]*")

    def whole(self, field: str, low: int, high: int) -> int:
        value = self.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a whole number from {low} to {high}")
        return value

    def probability(self, field: str) -> float:
        return _read_probability(self.get(field), f"{self.place}.{field}")

    def whole_list(self, field: str) -> list[int]:
        value = self.get(field)
        if not isinstance(value, list) or any(isinstance(x, bool) or not isinstance(x, int) for x in value):
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a list of whole numbers")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        value = self.get(field)
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a list of texts")
        _refuse_repeats(f"{self.place}.{field}", value)
        return tuple(value)

    def places(self, field: str, *, empty: bool = False) -> list[_Place]:
        value = self.get(field)
        if not isinstance(value, list) or not (value or empty):
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a list that is not empty")
        return [_Place(item, f"{self.place}.{field}[{index}]") for index, item in enumerate(value)]


def _read_probability(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1e-12 <= value <= 1:
        raise ScoringModelInvalid(f"{place}: has to be a number from 1e-12 to 1")
    return float(value)


def _refuse_repeats(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ScoringModelInvalid(f"{what}: a name stands there twice")


def _read_vocabulary(root: _Place) -> Vocabulary:
    lists = _Place(root.get("word_lists"), "scoring model.word_lists")
    for name in lists.stated:
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ScoringModelInvalid(f"{lists.place}: name {name!r} has to be like [a-z][a-z0-9_]*")
        if not all(re.fullmatch("[a-z0-9_]{1,40}", word) for word in lists.texts(name)):
            raise ScoringModelInvalid(f"{lists.place}.{name}: words are 1 to 40 of a-z, 0-9 and _")
    return {name: lists.texts(name) for name in lists.stated}


def _read_table(place: _Place) -> TermTable:
    place.refuse_unknown("name agreement values hashed")
    shares: list[dict[str, float]] = []
    for field in ("values", "hashed"):
        stated = _Place(place.get(field), f"{place.place}.{field}")
        shares.append({value: stated.probability(value) for value in stated.stated})
    if not shares[0] and not shares[1]:
        raise ScoringModelInvalid(f"{place.place}: lists no value")
    return TermTable(place.name(), place.probability("agreement"), shares[0], shares[1])


def _read_comparison(place: _Place, vocabulary: Vocabulary, tables: Mapping[str, TermTable]) -> Comparison:
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
    _refuse_repeats(f"{place.place}.levels", [level.label for level in levels])
    for side in ("m", "u"):
        total = sum(getattr(level, side) for level in levels)
        if not 0.98 <= total <= 1.02:
            raise ScoringModelInvalid(
                f"{place.place}.levels: the {side} of all levels add to {total:.4f}, not to 1"
            )
    return Comparison(place.name(), columns, levels)


def _read_level(place: _Place, vocabulary: Vocabulary, tables: Mapping[str, TermTable]) -> Level:
    place.refuse_unknown("label when m u terms")
    condition = None
    if "when" in place.stated:
        condition = read_condition(place.stated["when"], place=f"{place.place}.when", vocabulary=vocabulary)
    terms = None
    if "terms" in place.stated:
        use = _Place(place.stated["terms"], f"{place.place}.terms")
        use.refuse_unknown("table column percent")
        if use.get("table") not in tables:
            raise ScoringModelInvalid(f"{use.place}: there is no term table {use.get('table')!r}")
        if use.get("column") not in TEXT_COLUMNS:
            raise ScoringModelInvalid(f"{use.place}: column has to be a text column of the profile")
        terms = TermUse(use.get("table"), use.get("column"), use.whole("percent", 1, 100))
    label = place.text("label", pattern="[a-z0-9][a-z0-9 ,'-]*")
    return Level(label, condition, place.probability("m"), place.probability("u"), terms)


def _check_comparisons(comparisons: tuple[Comparison, ...]) -> None:
    _refuse_repeats("scoring model.comparisons", [comparison.name for comparison in comparisons])
    if math.prod(len(comparison.levels) + 1 for comparison in comparisons) > _PATTERNS_MAX:
        raise ScoringModelInvalid("scoring model.comparisons: more level patterns than 62 bits can number")
    if sum(any(level.terms for level in comparison.levels) for comparison in comparisons) > 7:
        raise ScoringModelInvalid("scoring model.comparisons: at most 7 may use term frequencies")


def _read_class(place: _Place, comparisons: tuple[Comparison, ...]) -> DependentClass:
    place.refuse_unknown("name counts_as rate levels")
    by_name = {comparison.name: comparison for comparison in comparisons}
    stated = _Place(place.get("levels"), f"{place.place}.levels")
    shares: dict[str, tuple[float, ...]] = {}
    for name in stated.stated:
        if name not in by_name:
            raise ScoringModelInvalid(f"{stated.place}: there is no comparison {name!r}")
        labels = [level.label for level in by_name[name].levels]
        listed = _Place(stated.stated[name], f"{stated.place}.{name}")
        if sorted(listed.stated) != sorted(labels):
            raise ScoringModelInvalid(f"{listed.place}: has to list exactly the levels {', '.join(labels)}")
        shares[name] = tuple(listed.probability(label) for label in labels)
        if not 0.98 <= sum(shares[name]) <= 1.02:
            raise ScoringModelInvalid(f"{listed.place}: the shares add to {sum(shares[name]):.4f}, not to 1")
    counts_as = place.text("counts_as", pattern="same|different")
    return DependentClass(place.name(), counts_as == "same", place.probability("rate"), shares)


def _read_rule(place: _Place) -> BlockingRule:
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


_TEXT_TAKES: Final = ("whole", "start", "end", "words", "sound", "digits")
_LIST_TAKES: Final = (*_TEXT_TAKES, "user", "all", "two")


def _read_part(place: _Place) -> BlockingPart:
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


def _read_stop_values(root: _Place, rules: tuple[BlockingRule, ...]) -> frozenset[tuple[str, str]]:
    names = {rule.name for rule in rules}
    stated = _Place(root.get("stop_values"), "scoring model.stop_values")
    for name in stated.stated:
        if name not in names:
            raise ScoringModelInvalid(f"{stated.place}: there is no blocking rule {name!r}")
    return frozenset((name, value) for name in stated.stated for value in stated.texts(name))


def _read_priors(root: _Place) -> tuple[SourcePrior, ...]:
    priors: list[SourcePrior] = []
    for place in root.places("source_priors", empty=True):
        place.refuse_unknown("left right millibits")
        left, right = sorted((place.text("left"), place.text("right")))
        priors.append(SourcePrior(left, right, place.whole("millibits", -60_000, 0)))
    _refuse_repeats("scoring model.source_priors", [f"{prior.left}|{prior.right}" for prior in priors])
    return tuple(priors)


def _read_exclusive(root: _Place) -> tuple[str, ...]:
    schemes = root.texts("exclusive")
    if not all(re.fullmatch(r"[a-z0-9][a-z0-9_\-]{0,62}@?", scheme) for scheme in schemes):
        raise ScoringModelInvalid(
            "scoring model.exclusive: schemes are like [a-z0-9][a-z0-9_-]*, "
            "with @ behind where an issuer has to be stated"
        )
    return schemes
