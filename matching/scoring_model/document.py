"""A scoring model as values: what one immutable JSON document states, from which both engines score, block and cut.

Invariant: whatever a weight needs (m and u, term frequencies, priors, dependent classes) is frozen in it; equal
versions mean equal documents, and so equal partitions.

The weight of a pair, in whole millibits (`matching.score.weigher`):
 1. each comparison finds the first of its levels that holds; absent on either side, it says nothing;
 2. base = sum of round(1000 log2(m/u)) over the levels found;
 3. a level with a term-frequency use adds log2(agreement / frequency) for the commoner of the two values,
    scaled and rounded to steps of 100 millibits;
 4. dependent classes are populations of pairs that agree for another reason than being the same customer
    (a household, two firms in one building). A class has a rate, its share of all pairs, and own level
    frequencies h; where it lists none, u holds. With them the ratio of match to non-match is
        prior m / (u + sum of rate h), or (prior m + sum of rate h) / u for classes that count as the same.

Elsewhere: reading the document (`load`), the measures that levels are made of (`matching.compare`), the default document
(`default_model.json`), hashing blocking values (`matching.block`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from matching.compare import Condition, Vocabulary
from matching.model import Millibits

__all__ = [
    "TERM_STEPS_MAX",
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
]

TERM_STEP_MILLIBITS: Final = 100
TERM_STEPS_MAX: Final = 127


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

    def blocks_like(self, other: ScoringModel) -> bool:
        """Tell whether both give any profile the same blocking keys, usable up to the same number of holders."""
        return (self.blocking_rules, self.stop_values, self.holders_max) == (
            other.blocking_rules,
            other.stop_values,
            other.holders_max,
        )

    def find_prior(self, left_source: str, right_source: str) -> Millibits:
        """Return the prior of a pair between these sources, in any order."""
        low, high = sorted((left_source, right_source))
        for stated in self.source_priors:
            if (stated.left, stated.right) == (low, high):
                return stated.millibits
        return self.prior_millibits
