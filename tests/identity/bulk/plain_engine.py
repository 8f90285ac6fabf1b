"""The bulk engine by hand: weights from the native scorer, pair by pair.

Starting Splink costs a second a load; that both engines give the same weights is proved elsewhere
(`tests/matching/test_parity.py`), so that most tests of loads may use this one.
"""

from __future__ import annotations

from typing import Any, Self

import pyarrow as pa

from matching.model import PROFILE_COLUMNS, Profile
from matching.score import compile_scorer
from matching.scoring_model import ScoringModel

__all__ = ["PlainEngine"]


class PlainEngine:
    """Stands in for `matching.engine_duckdb.DuckDbEngine` in a load."""

    def __init__(self, model: ScoringModel, *, hash_key: bytes, **_limits: Any) -> None:
        self._model = model
        self._scorer = compile_scorer(model, hash_key=hash_key)
        self._profiles: dict[int, tuple[str, Profile]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is left behind."""

    def load_table(self, ids: pa.Array, source: str, columns: pa.Table, _hashes: pa.Array) -> None:
        """Add profiles as they are tabulated."""
        rows = zip(*(columns[name].to_pylist() for name in PROFILE_COLUMNS), strict=True)
        for row_id, row in zip(ids.to_pylist(), rows, strict=True):
            assert row_id not in self._profiles
            profile = tuple(tuple(value) if isinstance(value, list) else value for value in row)
            self._profiles[row_id] = (source, profile)

    def score_pairs(self, pairs: pa.Table) -> pa.Table:
        """Return the pairs with their weights; those with an id that is not loaded are left out."""
        given = zip(*(pairs[name].to_pylist() for name in ("left", "right")), strict=True)
        rows = [
            (left, right, self._weigh(left, right))
            for left, right in given
            if left in self._profiles and right in self._profiles
        ]
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        return pa.table(
            dict(zip(("left", "right", "weight"), (pa.array(c, pa.int64()) for c in columns), strict=True))
        )

    def _weigh(self, left: int, right: int) -> int:
        (left_source, left_profile), (right_source, right_profile) = (
            self._profiles[left],
            self._profiles[right],
        )
        return self._scorer.score_pair(
            left_profile, right_profile, left_source=left_source, right_source=right_source
        )
