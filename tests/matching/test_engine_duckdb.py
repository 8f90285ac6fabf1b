"""The bulk engine: candidates share a usable key, and are scored as the native scorer scores them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pytest

from matching.block import compile_blocker
from matching.engine_duckdb import DuckDbEngine
from matching.model import Profile
from matching.score import compile_scorer
from matching.scoring_model import default_scoring_model
from tests.matching.profiles import make_profile, make_random_profile

HASH_KEY = b"sixteen bytes at least"

Row = tuple[int, str, Profile]


def _expect_candidates(
    rows: Iterable[Row], *, holders_max: int, held: dict[int, int]
) -> set[tuple[int, int]]:
    block = compile_blocker(default_scoring_model(), hash_key=HASH_KEY)
    holders = defaultdict(list)
    for number, _, profile in rows:
        for key in block(profile):
            holders[key].append(number)
    usable = [numbers for key, numbers in holders.items() if len(numbers) + held.get(key, 0) <= holders_max]
    return {pair for numbers in usable for pair in combinations(sorted(numbers), 2)}


@pytest.mark.slow
def test_candidates_share_a_key_that_not_too_many_hold_here_and_in_the_store(tmp_path: Path) -> None:
    r = random.Random(7)
    rows = [(number * 3, "crm", make_random_profile(r)) for number in range(150)]
    model = replace(default_scoring_model(), holders_max=4)
    block = compile_blocker(model, hash_key=HASH_KEY)
    held = {key: 3 for _, _, profile in rows[:20] for key in block(profile)}
    scorer = compile_scorer(default_scoring_model())
    profiles = {number: profile for number, _, profile in rows}

    with DuckDbEngine(model, hash_key=HASH_KEY, temp_dir=tmp_path) as engine:
        assert engine.load_profiles(iter(rows)) == 150
        found = {(row["left"], row["right"]): row["weight"] for row in engine.candidate_pairs().to_pylist()}
        fewer = {(row["left"], row["right"]) for row in engine.candidate_pairs(held=held).to_pylist()}

    assert set(found) == _expect_candidates(rows, holders_max=4, held={})
    assert fewer == _expect_candidates(rows, holders_max=4, held=held)
    assert fewer < set(found)
    assert set(found) < _expect_candidates(rows, holders_max=len(rows), held={})
    assert not list(tmp_path.iterdir())
    for (left, right), weight in found.items():
        expected = scorer.score_pair(profiles[left], profiles[right], left_source="crm", right_source="crm")
        assert weight == expected


@pytest.mark.slow
def test_profiles_loaded_later_are_scored_too_and_unknown_ids_are_left_out(tmp_path: Path) -> None:
    anna = make_profile(given="anna", given_canon="anna", family="berg")
    pairs = pa.table({"left": pa.array([1, 1], pa.int64()), "right": pa.array([2, 9], pa.int64())})

    with DuckDbEngine(default_scoring_model(), hash_key=HASH_KEY, temp_dir=tmp_path) as engine:
        engine.load_profiles([(1, "crm", anna)])
        before = engine.score_pairs(pairs)
        engine.load_profiles([(2, "shop", anna)])
        after = engine.score_pairs(pairs)

    assert before.num_rows == 0
    assert [(row["left"], row["right"]) for row in after.to_pylist()] == [(1, 2)]


@pytest.mark.slow
def test_nothing_loaded_gives_no_pairs(tmp_path: Path) -> None:
    with DuckDbEngine(default_scoring_model(), hash_key=HASH_KEY, temp_dir=tmp_path) as engine:
        assert engine.candidate_pairs().num_rows == 0
