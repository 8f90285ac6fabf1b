"""Fit a scoring model to records: what their pairs say of m, u, dependent classes and priors, as a new document.

 1. u: level frequencies of random pairs, with pseudo-pairs of the base model's, whose rare levels no sample
    of random pairs could measure.
 2. m, classes and the number of matches: `mixture`.
 3. The prior of each pair of sources that are there: `source_rates`, or of the one source the share of matches
    among its pairs. For sources that come later, every other record is assumed to be of a customer known here.

Invariant: comparisons, blocking, term tables, limits and constraints are the base model's, so blocking keys
and term steps made under it stay as they are. Equal counts give the same bytes.
Elsewhere: counting patterns (`matching.engine_duckdb`), which records are counted (`identity.bulk.first_fit`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from matching.scoring_model import ScoringModel, load_scoring_model
from matching.train.mixture import Mixture, fit_mixture
from matching.train.patterns import PatternCounts
from matching.train.source_rates import learn_source_priors

__all__ = ["fit_scoring_model"]

_RANDOM_PSEUDO_PAIRS: Final = 100_000
_KNOWN_SHARE: Final = 0.5  # of the records of a source that comes later
_CLEANER_BITS_MAX: Final = 6.0  # that a pair within one source may be less likely than one across
_CUT_MILLIBITS: Final = -500
_THRESHOLD_STEP_MILLIBITS: Final = 2_000
_DIGITS: Final = 6
_SMALLEST: Final = 1e-9
_RATE_SMALLEST: Final = 1e-12

Floats = npt.NDArray[np.float64]


def fit_scoring_model(
    base: ScoringModel,
    *,
    candidates: PatternCounts,
    random_pairs: PatternCounts,
    profile_counts: Mapping[str, int],
    sampled_share: float = 1.0,
) -> ScoringModel:
    """Return a model with the base's comparisons and blocking, and frequencies and priors of these records.

    Args:
        base: what the fit starts from and leans on.
        candidates: patterns of the candidate pairs, or of a share of them.
        random_pairs: patterns of pairs chosen without regard to what they hold.
        profile_counts: distinct profiles by source; at least two together.
        sampled_share: of the candidates, how many were counted, in (0, 1].
    Raises:
        ValueError: fewer than two profiles, or a share out of range.
    Cost: follows distinct patterns: see `fit_mixture`.
    """
    profile_count = sum(profile_counts.values())
    if profile_count < 2 or not 0 < sampled_share <= 1:
        raise ValueError(f"nothing to fit: {profile_count} profiles, share {sampled_share}")
    pair_count = math.comb(profile_count, 2)
    u = _fit_random(base, random_pairs)
    mixture = fit_mixture(
        base, candidates, u, pair_count=pair_count * sampled_share, profile_count=profile_count
    )
    document = orjson.loads(base.document)
    _state_frequencies(document, u, mixture, pair_count=pair_count * sampled_share)
    document["population"] = profile_count
    document["description"] = (
        f"Fitted without labels to {profile_count} profiles of {len(profile_counts)} source"
        f"{'s' if len(profile_counts) > 1 else ''}: about {round(mixture.match_count / sampled_share)} pairs of one "
        f"customer among them. Based on scoring model {base.version}."
    )
    document["cut_millibits"] = _CUT_MILLIBITS
    document["link_thresholds_millibits"] = [
        _CUT_MILLIBITS + step * _THRESHOLD_STEP_MILLIBITS
        for step in range(len(base.link_thresholds_millibits))
    ]
    match_bits = math.log2(mixture.match_count / (pair_count * sampled_share))
    document["prior_millibits"] = round(1000 * match_bits)
    document["source_priors"] = []
    newcomer_bits = math.log2(_KNOWN_SHARE / profile_count)
    if len(profile_counts) > 1:
        fitted = load_scoring_model(orjson.dumps(document))
        document["source_priors"] = [
            {"left": prior.left, "right": prior.right, "millibits": prior.millibits}
            for prior in learn_source_priors(fitted, candidates, profile_counts, sampled_share=sampled_share)
        ]
    else:
        own_bits = max(match_bits, newcomer_bits - _CLEANER_BITS_MAX)
        (source,) = profile_counts
        document["source_priors"] = [{"left": source, "right": source, "millibits": round(1000 * own_bits)}]
    document["prior_millibits"] = round(1000 * newcomer_bits)
    return load_scoring_model(orjson.dumps(document))


def _fit_random(base: ScoringModel, random_pairs: PatternCounts) -> list[Floats]:
    """Return the level frequencies of random pairs, by comparison."""
    frequencies = []
    rest = random_pairs.patterns
    for comparison in base.comparisons:
        rest, levels = np.divmod(rest, len(comparison.levels) + 1)
        found = np.zeros(len(comparison.levels) + 1, dtype=np.int64)
        np.add.at(found, levels, random_pairs.counts)
        stated = np.array([level.u for level in comparison.levels])
        leaning = found[1:] + _RANDOM_PSEUDO_PAIRS * stated / stated.sum()
        frequencies.append(leaning / leaning.sum())
    return frequencies


def _state_frequencies(
    document: dict[str, Any], u: Sequence[Floats], mixture: Mixture, *, pair_count: float
) -> None:
    """Put m, u and the classes into a document that has those of the base model."""
    comparisons = document["comparisons"]
    for stated, m_of, u_of in zip(comparisons, mixture.m, u, strict=True):
        for level, m, random in zip(stated["levels"], m_of.tolist(), u_of.tolist(), strict=True):
            level["m"], level["u"] = _round(m), _round(random)
    for found, count, h in zip(document["dependent_classes"], mixture.class_counts, mixture.h, strict=True):
        # A class of which no pair was seen is kept as if one had been: it may show itself later.
        found["rate"] = max(_round(max(count, 1.0) / pair_count), _RATE_SMALLEST)
        for stated, shares in zip(comparisons, h, strict=True):
            if stated["name"] in found["levels"]:
                found["levels"][stated["name"]] = {
                    level["label"]: _round(share)
                    for level, share in zip(stated["levels"], shares.tolist(), strict=True)
                }


def _round(frequency: float) -> float:
    """Return the frequency to `_DIGITS` significant digits, in the range that a document may state."""
    return min(max(float(f"{frequency:.{_DIGITS - 1}e}"), _SMALLEST), 1.0)
