"""Lay profiles out as columns for the bulk engine; pure, so that any process can do it.

Invariant: a row's columns and term steps depend on its profile, the scoring model and the hash key only.
Elsewhere: the engine that reads them (`matching.engine_duckdb`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from matching.model import LIST_COLUMNS, PROFILE_COLUMNS, Profile, column_position
from matching.score import TermSteps
from matching.scoring_model import ScoringModel, TermUse

__all__ = ["ProfileTabler", "list_term_uses"]


class ProfileTabler:
    """Lays profiles out as the engine's columns; any process can do that for it."""

    def __init__(self, model: ScoringModel, *, hash_key: bytes) -> None:
        uses = list_term_uses(model)
        self._steps = [
            (column_position(use.column), TermSteps(model.term_tables[use.table], use.percent, hash_key))
            for use in uses
        ]

    def tabulate(self, profiles: Sequence[Profile]) -> pa.Table:
        """Return one row a profile: its columns, and the steps of its term frequencies."""
        columns: dict[str, Any] = {}
        values_of = zip(*profiles, strict=True) if profiles else ((),) * len(PROFILE_COLUMNS)
        for name, column in zip(PROFILE_COLUMNS, values_of, strict=True):
            columns[name] = pa.array(column, pa.list_(pa.string()) if name in LIST_COLUMNS else pa.string())
        for index, (position, steps) in enumerate(self._steps):
            columns[f"steps_{index}"] = pa.array(
                [steps.find(profile[position]) for profile in profiles], pa.int16()
            )
        return pa.table(columns)


def list_term_uses(model: ScoringModel) -> list[TermUse]:
    """Return the distinct uses of term frequencies, in the order of the document."""
    found = {
        level.terms: None for comparison in model.comparisons for level in comparison.levels if level.terms
    }
    return list(found)
