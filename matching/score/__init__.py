"""Score pairs of profiles: their levels, the weight of these, its explanation, and what forbids a pair.

Invariant: scores are symmetric and whole millibits, the same in both engines.
"""

from __future__ import annotations

from matching.score.scorer import ComparisonScore, PairScore, Scorer, compile_scorer, probability_of
from matching.score.terms import TermSteps, hash_term
from matching.score.weigher import PatternWeigher

__all__ = [
    "ComparisonScore",
    "PairScore",
    "PatternWeigher",
    "Scorer",
    "TermSteps",
    "compile_scorer",
    "hash_term",
    "probability_of",
]
