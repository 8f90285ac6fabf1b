"""Tell matches, random pairs and dependent pairs apart by their level patterns alone: pattern EM.

The candidates are a mixture: A pairs of one customer with level frequencies m; random pairs, of which all
pairs have the known frequencies u; and for each dependent class of the model (households, namesakes ...) C
pairs with frequencies h. Expectation and maximisation run over distinct patterns, so the cost follows these
and not the pairs.

 1. start: m and h as the base model states them; A a quarter of the profiles, each C a few pairs;
 2. each pattern's pairs are shared out by rate: match A m; random N u / 2^t; class C h, with its terms t
    where it has no frequencies of its own for a comparison that uses them;
 3. A and C are the sums of what they got; m and h its level frequencies, with pseudo-pairs of the base
    model's; u never moves: candidates are no sample of random pairs.

Invariant: sums run in the order of the patterns; what stands on no pair stays what the base model says.
Elsewhere: why it is fitted at all (docs/decisions/0018), that it finds the true number of matches
(tests/matching/train/test_fit.py). Source: Winkler, EM for the Fellegi-Sunter model, 1988, without training blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from matching.score import PatternWeigher
from matching.scoring_model import ScoringModel
from matching.train.patterns import Integers, PatternCounts

__all__ = ["Mixture", "fit_mixture"]

_STEPS: Final = 60
_MATCH_PSEUDO_PAIRS: Final = 200
_CLASS_PSEUDO_PAIRS: Final = 1_000
_CLASS_START_PAIRS: Final = 100
_CLASS_START_SHARE: Final = 1e-6
_PAIRS_MIN: Final = 1e-3
_TERM_BITS: Final = (-6, 12)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mixture:
    """What the candidates are made of; frequencies by comparison, then by level."""

    match_count: float
    m: Sequence[Floats]
    class_counts: Sequence[float]  # in the order of the model's classes
    h: Sequence[Sequence[Floats]]


class _Patterns:
    """Distinct patterns: levels of each comparison, term bits of each comparison that uses terms, pairs."""

    def __init__(self, model: ScoringModel, weigher: PatternWeigher, counted: PatternCounts) -> None:
        level_counts = [len(comparison.levels) + 1 for comparison in model.comparisons]
        levels = np.empty((len(counted.patterns), len(level_counts)), dtype=np.int64)
        rest = counted.patterns
        for place, count in enumerate(level_counts):
            rest, levels[:, place] = np.divmod(rest, count)
        bits = np.clip(np.rint(weigher.unpack_terms(counted.terms) / 1000), *_TERM_BITS).astype(np.int64)
        distinct, self.counts = counted.group(np.concatenate((levels, bits), axis=1))
        self.levels, self.bits = distinct[:, : len(level_counts)], distinct[:, len(level_counts) :]
        self._level_counts = level_counts

    def log_frequency(self, frequencies: Sequence[Floats]) -> Floats:
        """Return log2 of the product of each pattern's level frequencies; absent counts as 1."""
        total = np.zeros(len(self.counts))
        for place, found in enumerate(frequencies):
            total += np.concatenate(([0.0], np.log2(found)))[self.levels[:, place]]
        return total

    def count_levels(self, place: int, pairs: Floats) -> Floats:
        """Return how many of these pairs (a number a pattern) have each level of a comparison, absent left out."""
        found: Floats = np.bincount(
            self.levels[:, place], weights=pairs, minlength=self._level_counts[place]
        ).astype(np.float64)
        return found[1:]


def fit_mixture(
    model: ScoringModel, counted: PatternCounts, u: Sequence[Floats], *, pair_count: float, profile_count: int
) -> Mixture:
    """Return what the counted candidates are made of.

    Args:
        model: gives the comparisons, and m and h to start from and to lean on.
        u: level frequencies of random pairs, by comparison.
        pair_count: N, all pairs of which the candidates were chosen; the share counted, where they are a sample.
        profile_count: of which these are pairs; at least 2.
    Cost: 60 passes over the distinct patterns, for each comparison and class.
    """
    weigher = PatternWeigher(model)
    patterns = _Patterns(model, weigher, counted)
    m_base = [_normalise([level.m for level in comparison.levels]) for comparison in model.comparisons]
    own = [[comparison.name in found.shares for comparison in model.comparisons] for found in model.classes]
    h_base = [
        [
            _normalise(found.shares[comparison.name]) if is_own else frequencies
            for comparison, frequencies, is_own in zip(model.comparisons, u, owned, strict=True)
        ]
        for found, owned in zip(model.classes, own, strict=True)
    ]
    by_chance = np.log2(pair_count) + patterns.log_frequency(u) - patterns.bits.sum(axis=1)
    class_terms = [
        patterns.bits[:, [name not in found.shares for name in weigher.term_users]].sum(axis=1)
        for found in model.classes
    ]
    m, h = list(m_base), [list(found) for found in h_base]
    match_count = max(profile_count / 4, 1.0)
    class_counts = [_CLASS_START_SHARE * pair_count + _CLASS_START_PAIRS] * len(model.classes)
    for _ in range(_STEPS):
        rates = [np.log2(match_count) + patterns.log_frequency(m), by_chance]
        rates += [
            np.log2(count) + patterns.log_frequency(frequencies) - terms
            for count, frequencies, terms in zip(class_counts, h, class_terms, strict=True)
        ]
        matches, _, *classes = _share_out(rates, patterns.counts)
        match_count = max(float(matches.sum()), _PAIRS_MIN)
        m = [
            _lean(patterns.count_levels(place, matches), base, _MATCH_PSEUDO_PAIRS)
            for place, base in enumerate(m_base)
        ]
        class_counts = [max(float(pairs.sum()), _PAIRS_MIN) for pairs in classes]
        h = [
            [
                _lean(patterns.count_levels(place, pairs), base, _CLASS_PSEUDO_PAIRS) if is_own else base
                for place, (base, is_own) in enumerate(zip(bases, owned, strict=True))
            ]
            for pairs, bases, owned in zip(classes, h_base, own, strict=True)
        ]
    return Mixture(match_count, m, class_counts, h)


def _share_out(rates: Sequence[Floats], counts: Integers) -> Sequence[Floats]:
    """Return how many pairs of each pattern each part of the mixture gets."""
    logs = np.stack(rates)
    parts = np.exp2(logs - logs.max(axis=0))
    shared: Floats = parts / parts.sum(axis=0) * counts
    return list(shared)


def _lean(found: Floats, base: Floats, pseudo_pairs: float) -> Floats:
    leaning: Floats = (found + pseudo_pairs * base) / (found.sum() + pseudo_pairs)
    return leaning


def _normalise(frequencies: Sequence[float]) -> Floats:
    found = np.array(frequencies, dtype=np.float64)
    normal: Floats = found / found.sum()
    return normal
