"""A scoring model: one immutable JSON document from which both engines score, block and cut.

Invariant: a `ScoringModel` exists only for a document that keeps every rule; equal versions mean equal partitions.
"""

from __future__ import annotations

from matching.scoring_model.document import (
    TERM_STEP_MILLIBITS,
    TERM_STEPS_MAX,
    BlockingPart,
    BlockingRule,
    Comparison,
    DependentClass,
    Level,
    ScoringModel,
    SourcePrior,
    TermTable,
    TermUse,
)
from matching.scoring_model.load import default_scoring_model, load_scoring_model

__all__ = [
    "TERM_STEPS_MAX",
    "TERM_STEP_MILLIBITS",
    "BlockingPart",
    "BlockingRule",
    "Comparison",
    "DependentClass",
    "Level",
    "ScoringModel",
    "SourcePrior",
    "TermTable",
    "TermUse",
    "default_scoring_model",
    "load_scoring_model",
]
