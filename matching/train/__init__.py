"""Fit a scoring model to records without labels: pure functions from counted level patterns to a document.

Invariant: equal counts give equal documents, in whatever order they were counted.
"""

from __future__ import annotations

from matching.train.fit import fit_scoring_model
from matching.train.mixture import Mixture, fit_mixture
from matching.train.patterns import PATTERN_COLUMNS, PatternCounts
from matching.train.sample import CANDIDATES_MAX, choose_candidates, choose_random_pairs, hash_profile
from matching.train.source_rates import learn_source_priors

__all__ = [
    "CANDIDATES_MAX",
    "PATTERN_COLUMNS",
    "Mixture",
    "PatternCounts",
    "choose_candidates",
    "choose_random_pairs",
    "fit_mixture",
    "fit_scoring_model",
    "hash_profile",
    "learn_source_priors",
]
