"""Learn how often each pair of sources, and each source within itself, repeats customers.

A source free of duplicates makes a pair within it less likely to be one customer than a pair across; a
prior for each pair of sources says so, instead of a rule that forbids what is only rare.

Invariant: pure; the order of patterns and sources changes nothing.
Elsewhere: the weights it starts from (`matching.score.weigher`), the rest of a fit (`fit`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Final

import numpy as np

from matching.score import PatternWeigher
from matching.scoring_model import ScoringModel, SourcePrior
from matching.train.patterns import PatternCounts

__all__ = ["learn_source_priors"]

_STEPS: Final = 8
_PSEUDO_MATCHES: Final = 5
_LOWEST_BITS: Final = -10.0
_HIGHEST_BITS: Final = 3.0


def learn_source_priors(
    model: ScoringModel, counted: PatternCounts, profile_counts: Mapping[str, int], *, sampled_share: float
) -> list[SourcePrior]:
    """Return a prior for each pair of sources, by name.

    Args:
        model: its prior is the base; its source priors are not looked at.
        counted: candidate pairs of these sources.
        profile_counts: by source.
        sampled_share: of all candidates, how many were counted.
    Cost: each distinct pattern is weighed once, in Python.
    """
    weigher = PatternWeigher(model)
    bits = np.array(
        [
            weigher.weigh(pattern, terms, model.prior_millibits)
            for pattern, terms in zip(counted.patterns.tolist(), counted.terms.tolist(), strict=True)
        ],
        dtype=np.float64,
    )
    bits /= 1000
    names = sorted(profile_counts)
    pairs = list(combinations_with_replacement(names, 2))
    sizes = np.array([_count_pairs(profile_counts, *pair) for pair in pairs]) * sampled_share
    places = {pair: place for place, pair in enumerate(pairs)}
    place_of = np.array([places[pair] for pair in counted.source_pairs], dtype=np.int64)
    pair_of = place_of[counted.source_pair_of] if len(place_of) else counted.source_pair_of
    offsets = np.zeros(len(pairs))
    for _ in range(_STEPS):
        expected = counted.counts / (1 + np.exp2(-np.clip(bits + offsets[pair_of], -60, 60)))
        matches = np.bincount(pair_of, weights=expected, minlength=len(pairs))
        base = max(float(matches.sum()), 1.0) / float(sizes.sum())
        pseudo = _PSEUDO_MATCHES * np.minimum(1, base * sizes / _PSEUDO_MATCHES)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = np.where(sizes > 0, (matches + pseudo) / (sizes + pseudo / base), base)
        offsets = np.clip(np.log2(rates / base), _LOWEST_BITS, _HIGHEST_BITS)
    return [
        SourcePrior(left, right, model.prior_millibits + round(1000 * float(offset)))
        for (left, right), offset in zip(pairs, offsets, strict=True)
    ]


def _count_pairs(profile_counts: Mapping[str, int], left: str, right: str) -> int:
    if left == right:
        return math.comb(profile_counts[left], 2)
    return profile_counts[left] * profile_counts[right]
