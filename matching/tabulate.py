"""Lay profiles out as columns for the bulk engine; pure, so that any process can do it.

Invariant: a row's columns depend on its profile only, its term steps on those, the scoring model and the hash key.
Elsewhere: the engine that reads them (`matching.engine_duckdb`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from matching.model import LIST_COLUMNS, PROFILE_COLUMNS, Profile
from matching.score import TermSteps
from matching.scoring_model import ScoringModel, TermUse

__all__ = ["ProfileTabler", "lay_out_profiles", "list_term_uses"]


class ProfileTabler:
    """Lays profiles out as the engine's columns, the steps of their term frequencies among them."""

    def __init__(self, model: ScoringModel, *, hash_key: bytes) -> None:
        self._steps = [
            (use.column, TermSteps(model.term_tables[use.table], use.percent, hash_key))
            for use in list_term_uses(model)
        ]

    def tabulate(self, profiles: Sequence[Profile]) -> pa.Table:
        """Return one row a profile: its columns, and the steps of its term frequencies."""
        return self.add_steps(lay_out_profiles(profiles))

    def add_steps(self, columns: pa.Table) -> pa.Table:
        """Return profiles laid out by `lay_out_profiles` with their steps. Cost: a look-up for each distinct value."""
        encoded = {name: _encode(columns[name]) for name in {column for column, _ in self._steps}}
        for number, (column, steps) in enumerate(self._steps):
            values, places = encoded[column]
            found = pa.array([steps.find(value) for value in values], pa.int16()).take(places)
            columns = columns.append_column(f"steps_{number}", found.fill_null(steps.find(None)))
        return columns


def lay_out_profiles(profiles: Sequence[Profile]) -> pa.Table:
    """Return one row a profile: what it holds, column by column."""
    columns: dict[str, Any] = {}
    values_of = zip(*profiles, strict=True) if profiles else ((),) * len(PROFILE_COLUMNS)
    for name, column in zip(PROFILE_COLUMNS, values_of, strict=True):
        columns[name] = pa.array(column, pa.list_(pa.string()) if name in LIST_COLUMNS else pa.string())
    return pa.table(columns)


def list_term_uses(model: ScoringModel) -> list[TermUse]:
    """Return the distinct uses of term frequencies, in the order of the document."""
    found = {
        level.terms: None for comparison in model.comparisons for level in comparison.levels if level.terms
    }
    return list(found)


def _encode(column: pa.ChunkedArray) -> tuple[list[str], pa.Array]:
    """Return the distinct values of a column, and where each row's stands among them; null where it has none."""
    encoded = pa.concat_arrays([pa.array([], pa.string()), *column.chunks]).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices
