"""Pattern EM finds a mixture again from which patterns were drawn."""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa
import pytest

from matching.score import PatternWeigher
from matching.scoring_model import ScoringModel, load_scoring_model
from matching.train import PATTERN_COLUMNS, PatternCounts, fit_mixture

_COLUMNS = ("given", "family", "sex", "birth_place", "legal_form", "employer")
_SAME_M = np.array([0.95, 0.9, 0.97, 0.8, 0.9, 0.85])
_SAME_U = np.array([0.02, 0.01, 0.5, 0.05, 0.3, 0.1])
_SAME_H = np.array(
    [0.02, 0.95, 0.5, 0.7, 0.3, 0.6]
)  # one family: the same name and place, another given name
_BASE_H = [0.1, 0.8, 0.5, 0.6, 0.4, 0.4]  # as the model states it
_MATCHES, _RANDOM, _FAMILIES = 5_000, 200_000, 20_000


def _model() -> ScoringModel:
    comparisons = [
        {
            "name": name,
            "columns": [name],
            "levels": [
                {"label": "same", "when": {"measure": "same", "column": name}, "m": 0.8, "u": u},
                {"label": "different", "m": 0.2, "u": 1 - u},
            ],
        }
        for name, u in zip(_COLUMNS, _SAME_U.tolist(), strict=True)
    ]
    household = {
        "name": "household",
        "counts_as": "different",
        "rate": 0.001,
        "levels": {
            name: {"same": share, "different": 1 - share}
            for name, share in zip(_COLUMNS, _BASE_H, strict=True)
        },
    }
    return load_scoring_model(
        orjson.dumps(
            {
                "format": 1,
                "description": "test",
                "population": 1_000,
                "prior_millibits": -9_000,
                "source_priors": [],
                "same_as_millibits": 3_000,
                "word_lists": {},
                "term_tables": [{"name": "unused", "agreement": 0.5, "values": {"x": 0.5}, "hashed": {}}],
                "comparisons": comparisons,
                "dependent_classes": [household],
                "blocking": [
                    {
                        "name": "family",
                        "parts": [{"columns": ["family"], "take": "whole", "length": 0}],
                        "values_max": 1,
                        "any_order": False,
                    }
                ],
                "stop_values": {},
                "holders_max": 100,
                "link_thresholds_millibits": [0],
                "component_max": 100,
                "cut_millibits": 0,
                "clip_millibits": 8_000,
                "exclusive": [],
            }
        )
    )


def _draw(model: ScoringModel, rng: np.random.Generator) -> PatternCounts:
    radices = np.array(PatternWeigher(model).radices)
    patterns = []
    for count, same in ((_MATCHES, _SAME_M), (_RANDOM, _SAME_U), (_FAMILIES, _SAME_H)):
        is_same = rng.random((count, len(_COLUMNS))) < same
        is_absent = rng.random((count, len(_COLUMNS))) < 0.1
        levels = np.where(is_absent, 0, np.where(is_same, 1, 2))
        patterns.append(levels @ radices)
    distinct, counts = np.unique(np.concatenate(patterns), return_counts=True)
    columns = [distinct, np.full(len(distinct), PatternWeigher(model).no_terms), ["crm"] * len(distinct)]
    table = pa.table([*columns, columns[2], counts], names=PATTERN_COLUMNS.names)
    return PatternCounts.gather([table.cast(PATTERN_COLUMNS)])


def test_the_parts_of_a_mixture_are_found_again() -> None:
    model = _model()
    counted = _draw(model, np.random.default_rng(1))
    u = [np.array([same, 1 - same]) for same in _SAME_U.tolist()]

    mixture = fit_mixture(model, counted, u, pair_count=_RANDOM, profile_count=1_000)

    assert mixture.match_count == pytest.approx(_MATCHES, rel=0.1)
    # It leans on the class as the model states it, so it is met less closely.
    assert mixture.class_counts[0] == pytest.approx(_FAMILIES, rel=0.15)
    assert [found[0] for found in mixture.m] == pytest.approx(_SAME_M.tolist(), abs=0.1)
    moved = [found[0] for found in mixture.h[0]]
    nearer = zip(moved, _BASE_H, _SAME_H.tolist(), strict=True)
    assert all(abs(found - true) <= max(abs(base - true) / 2, 0.03) for found, base, true in nearer)
    assert all(found.sum() == pytest.approx(1) for found in [*mixture.m, *mixture.h[0]])


def test_a_class_unknown_to_the_model_is_taken_for_matches() -> None:
    document = orjson.loads(_model().document) | {"dependent_classes": []}
    model = load_scoring_model(orjson.dumps(document))
    counted = _draw(_model(), np.random.default_rng(1))
    u = [np.array([same, 1 - same]) for same in _SAME_U.tolist()]

    mixture = fit_mixture(model, counted, u, pair_count=_RANDOM, profile_count=1_000)

    assert mixture.match_count > 1.5 * _MATCHES
