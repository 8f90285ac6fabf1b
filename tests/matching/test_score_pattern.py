"""The compiled function finds the levels that the document states, one condition at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from matching.compare import NATIVE_FUNCTIONS, ExpressionWriter, express
from matching.model import Profile, column_position
from matching.score import PatternWeigher
from matching.score.pattern import compile_pattern
from matching.scoring_model import Comparison, ScoringModel, default_scoring_model, load_scoring_model
from tests.matching.profiles import make_random_profile


def _find_level(comparison: Comparison, left: Profile, right: Profile, words: Mapping[str, Any]) -> int:
    """Return 0 (absent) or 1 + the level, each condition judged on its own and without remembering."""
    positions = [column_position(name) for name in comparison.columns]
    if any(all(side[position] is None for position in positions) for side in (left, right)):
        return 0
    for number, level in enumerate(comparison.levels, start=1):
        if level.condition is None:
            return number
        expression = express(level.condition)
        values: dict[str, Any] = {**NATIVE_FUNCTIONS, **words}
        values |= {
            f"{name}{at}": value
            for name, side in (("a", left), ("b", right))
            for at, value in enumerate(side)
        }
        text = ExpressionWriter([expression]).write(expression).text
        if eval(text, values):
            return number
    raise AssertionError("the last level takes what is left")


def _shuffle_levels(model: ScoringModel, r: random.Random) -> ScoringModel:
    stated = orjson.loads(model.document)
    for comparison in stated["comparisons"]:
        levels = comparison["levels"][:-1]
        r.shuffle(levels)
        comparison["levels"][:-1] = levels
    return load_scoring_model(orjson.dumps(stated))


@given(st.integers(min_value=0, max_value=10**6))
def test_levels_are_found_in_any_order_that_a_document_states(seed: int) -> None:
    r = random.Random(seed)
    model = _shuffle_levels(default_scoring_model(), r)
    weigher = PatternWeigher(model)
    find_pattern = compile_pattern(model, weigher, hash_key=b"")
    words = {f"words_{name}": frozenset(listed) for name, listed in model.vocabulary.items()}

    for _ in range(5):
        left, right = make_random_profile(r), make_random_profile(r)
        found = weigher.levels_of(find_pattern(left, right)[0])
        assert found == [_find_level(c, left, right, words) for c in model.comparisons]
