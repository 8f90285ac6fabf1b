"""The table of all measures, and conditions of them rendered for both engines.

Invariant: both renderings of a condition give the same truth value for every pair of profiles.
Elsewhere: the measures (`texts`, `lists`, `mailboxes`), which conditions make a level and what it weighs
(`matching.scoring_model`), running them (`matching.score`, `matching.engine_duckdb`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matching.compare.condition import Condition
from matching.compare.expression import AllOf, AnyOf, Expression, Not
from matching.compare.lists import LIST_FUNCTIONS, LIST_MEASURES
from matching.compare.mailboxes import MAILBOX_FUNCTIONS, MAILBOX_MEASURES
from matching.compare.measure import Measure
from matching.compare.texts import TEXT_FUNCTIONS, TEXT_MEASURES
from matching.model import column_position

__all__ = ["MEASURES", "NATIVE_FUNCTIONS", "express", "render_sql"]

MEASURES: Final[Mapping[str, Measure]] = {**TEXT_MEASURES, **LIST_MEASURES, **MAILBOX_MEASURES}

NATIVE_FUNCTIONS: Final[Mapping[str, Any]] = {**TEXT_FUNCTIONS, **LIST_FUNCTIONS, **MAILBOX_FUNCTIONS}
"""The functions that expressions of `express` call, by the names they use."""


def express(condition: Condition, *, present: frozenset[str] = frozenset()) -> Expression:
    """Return the condition as a Python expression over `a<position>` and `b<position>`.

    Args:
        present: columns known to be there on both sides, whose check is left out.
    """
    if condition.operator == "all":
        return AllOf(tuple(express(part, present=present) for part in condition.parts))
    if condition.operator == "any":
        return AnyOf(tuple(express(part, present=present) for part in condition.parts))
    if condition.operator == "not":
        return Not(express(condition.parts[0], present=present))
    measure = MEASURES[condition.operator]
    if measure.columns == "texts":
        # Each of the two columns has a comparison that asks this: in the same words it is worked out once.
        present = frozenset()
    values = [f"{side}{column_position(name)}" for name in condition.columns for side in "ab"]
    absent = [
        f"{side}{column_position(name)}" for name in condition.columns if name not in present for side in "ab"
    ]
    return measure.python(condition, values, absent)


def render_sql(condition: Condition) -> str:
    """Return the condition as a DuckDB expression over `<column>_l` and `<column>_r`; never NULL."""
    if condition.operator in ("all", "any"):
        word = " and " if condition.operator == "all" else " or "
        return "(" + word.join(render_sql(part) for part in condition.parts) + ")"
    if condition.operator == "not":
        return f"(not {render_sql(condition.parts[0])})"
    pairs = [f"{name}{side}" for name in condition.columns for side in ("_l", "_r")]
    return f"coalesce({MEASURES[condition.operator].sql(condition, pairs)}, false)"
