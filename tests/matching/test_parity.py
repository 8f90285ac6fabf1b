"""P4: the native scorer and Splink on DuckDB give the same levels and the same weights.

Pairs are random and hard: nearly equal values, single letters, absent and very long values, lists, and what
`standardise` makes of non-Latin scripts, combining and astral characters and junk.
"""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from matching.engine_duckdb import DuckDbEngine
from matching.model import Profile
from matching.score import compile_scorer, hash_term
from matching.scoring_model import ScoringModel, default_scoring_model, load_scoring_model
from tests.matching.profiles import make_random_profile, standardise_random

HASH_KEY = b"a secret of sixteen and more bytes"
SOURCES = ("crm", "shop", "erp")


def _make_rows(count: int, *, seed: int) -> list[tuple[int, str, Profile]]:
    r = random.Random(seed)
    return [
        (number, SOURCES[number % 3], make_random_profile(r) if number % 4 else standardise_random(r))
        for number in range(count)
    ]


def _make_pairs(count: int, *, span: int) -> pa.Table:
    pairs = [(i, j) for i in range(count) for j in range(i + 1, min(count, i + 1 + span))]
    left, right = zip(*pairs, strict=True)
    return pa.table({"left": pa.array(left, pa.int64()), "right": pa.array(right, pa.int64())})


def _compare(model: ScoringModel, *, count: int, span: int, temp_dir: Path) -> tuple[int, int, int, set[str]]:
    """Return pairs compared, pairs with another level, with another weight, and the levels met."""
    rows, pairs = _make_rows(count, seed=count), _make_pairs(count, span=span)
    scorer = compile_scorer(model, hash_key=HASH_KEY)
    with DuckDbEngine(model, hash_key=HASH_KEY, temp_dir=temp_dir) as engine:
        engine.load_profiles(rows)
        weights = engine.score_pairs(pairs).to_pylist()
        numbered = engine.numbered_pairs(pairs).to_pylist()
    met: set[str] = set()
    wrong_levels = 0
    for row in numbered:
        expected = scorer.find_pattern(rows[row["left"]][2], rows[row["right"]][2])
        wrong_levels += expected != (row["pattern"], row["terms"])
        for comparison, level in zip(model.comparisons, scorer.weigher.levels_of(expected[0]), strict=True):
            met.add(f"{comparison.name}: {comparison.levels[level - 1].label if level else 'absent'}")
    wrong_weights = 0
    for row in weights:
        (_, left_source, left), (_, right_source, right) = rows[row["left"]], rows[row["right"]]
        weight = scorer.score_pair(left, right, left_source=left_source, right_source=right_source)
        wrong_weights += weight != row["weight"]
        assert weight == scorer.score_pair(right, left, left_source=right_source, right_source=left_source)
    assert len(weights) == len(numbered) == pairs.num_rows
    return len(weights), wrong_levels, wrong_weights, met


@pytest.mark.slow
def test_p4_both_engines_give_the_same_levels_and_weights_for_a_hundred_thousand_hard_pairs(
    tmp_path: Path,
) -> None:
    model = default_scoring_model()

    compared, wrong_levels, wrong_weights, met = _compare(model, count=2600, span=39, temp_dir=tmp_path)

    every = {f"{c.name}: {label}" for c in model.comparisons for label in [level.label for level in c.levels]}
    assert compared >= 100_000
    assert (wrong_levels, wrong_weights) == (0, 0)
    assert every - met == set()


@pytest.mark.slow
def test_p4_classes_source_priors_and_hashed_frequencies_weigh_the_same_in_both_engines(
    tmp_path: Path,
) -> None:
    document = orjson.loads(default_scoring_model().document)
    document["dependent_classes"][0]["counts_as"] = "same"
    document["source_priors"] = [
        {"left": "crm", "right": "crm", "millibits": -20000},
        {"left": "shop", "right": "crm", "millibits": -9001},
    ]
    family = next(table for table in document["term_tables"] if table["name"] == "family")
    family["hashed"] = {hash_term("family", "oneil", hash_key=HASH_KEY): 0.00031}
    model = load_scoring_model(orjson.dumps(document))

    compared, wrong_levels, wrong_weights, _ = _compare(model, count=300, span=20, temp_dir=tmp_path)

    assert compared > 5000
    assert (wrong_levels, wrong_weights) == (0, 0)


@pytest.mark.slow
def test_p4_without_dependent_classes_both_engines_still_agree(tmp_path: Path) -> None:
    document = orjson.loads(default_scoring_model().document)
    document["dependent_classes"] = []
    model = load_scoring_model(orjson.dumps(document))

    _, wrong_levels, wrong_weights, _ = _compare(model, count=200, span=20, temp_dir=tmp_path)

    assert (wrong_levels, wrong_weights) == (0, 0)
