"""Fit a scoring model to profiles in memory, counting with the native scorer.

Invariant: gives the document that the bulk engine's counts of the same profiles give.
Elsewhere: the fit (`matching.train`), the same before a first load (`identity.bulk.first_fit`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from matching.model import Profile, encode_profile
from matching.score import compile_scorer
from matching.scoring_model import ScoringModel
from matching.train import (
    PATTERN_COLUMNS,
    PatternCounts,
    choose_random_pairs,
    fit_scoring_model,
    hash_profile,
)

__all__ = ["SourcedProfiles", "count_pairs", "fit_in_memory"]

SourcedProfiles = Sequence[tuple[str, Profile]]
"""Distinct profiles, each with its source."""


def fit_in_memory(
    base: ScoringModel, profiles: SourcedProfiles, candidates: Iterable[tuple[int, int]]
) -> ScoringModel:
    """Return the model fitted to profiles and the candidate pairs (by position) among them."""
    hashes = np.array(
        [hash_profile(source, encode_profile(profile)) for source, profile in profiles], dtype=np.int64
    )
    left, right = choose_random_pairs(hashes)
    return fit_scoring_model(
        base,
        candidates=count_pairs(base, profiles, candidates),
        random_pairs=count_pairs(base, profiles, zip(left.tolist(), right.tolist(), strict=True)),
        profile_counts=Counter(source for source, _ in profiles),
    )


def count_pairs(
    model: ScoringModel, profiles: SourcedProfiles, pairs: Iterable[tuple[int, int]]
) -> PatternCounts:
    """Return how many of these pairs have each pattern."""
    scorer = compile_scorer(model)
    counted = Counter(
        (
            *scorer.find_pattern(profiles[one][1], profiles[other][1]),
            *sorted((profiles[one][0], profiles[other][0])),
        )
        for one, other in pairs
    )
    columns = [list(column) for column in zip(*counted, strict=True)] or [[], [], [], []]
    table = pa.table([*columns, list(counted.values())], names=PATTERN_COLUMNS.names)
    return PatternCounts.gather([table.cast(PATTERN_COLUMNS)])
