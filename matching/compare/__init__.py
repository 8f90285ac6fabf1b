"""Measure how alike two profiles are: each measure once in Python and once in DuckDB SQL, side by side.

Invariant: both engines give the same truth value for every condition and every pair of profiles.
"""

from __future__ import annotations

from matching.compare.condition import Condition, Vocabulary
from matching.compare.expression import NOTHING_KNOWN, AllOf, Expression, ExpressionWriter
from matching.compare.measure import LIST_LENGTH_MAX, TEXT_CHARS_MAX
from matching.compare.measures import NATIVE_FUNCTIONS, express, render_sql
from matching.compare.read import read_condition

__all__ = [
    "LIST_LENGTH_MAX",
    "NATIVE_FUNCTIONS",
    "NOTHING_KNOWN",
    "TEXT_CHARS_MAX",
    "AllOf",
    "Condition",
    "Expression",
    "ExpressionWriter",
    "Vocabulary",
    "express",
    "read_condition",
    "render_sql",
]
