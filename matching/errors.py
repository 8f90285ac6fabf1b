"""The one root of all errors of the service, and the errors of matching.

Invariant: every error that a caller can meet has a stable `code`, a `category` that fixes its HTTP
status, and says whether a retry can help. Messages carry ids and numbers, never personal data.
Elsewhere: `service.problems` renders them as RFC 9457 problem details; each package draws its own
tree below this root in its `errors.py`.

    SameasError
      * MatchingError
        + ScoringModelInvalid      a scoring model document breaks a rule
        + AttributesInvalid        attributes of a statement have the wrong shape
        + TruthInvalid             a truth file cannot be read as one
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

__all__ = [
    "AttributesInvalid",
    "Category",
    "MatchingError",
    "SameasError",
    "ScoringModelInvalid",
    "TruthInvalid",
]


class Category(StrEnum):
    """What went wrong, in ten kinds; `service.problems` maps each to one HTTP status."""

    INCORRECT = "incorrect"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"


class SameasError(Exception):
    """Something the caller cannot go on from; see `code`, `category` and `retryable`."""

    code: ClassVar[str] = "fault"
    category: ClassVar[Category] = Category.FAULT
    retryable: ClassVar[bool] = False

    @property
    def detail(self) -> str:
        """What was refused, why, and the next step; free of personal data."""
        return str(self)


class MatchingError(SameasError):
    """An error of the matching package."""


class ScoringModelInvalid(MatchingError):
    """A scoring model document breaks a rule of `matching.scoring_model`."""

    code = "scoring_model_invalid"
    category = Category.INCORRECT


class AttributesInvalid(MatchingError):
    """Attributes of a statement have a wrong type or shape; the message names the attribute only."""

    code = "attributes_invalid"
    category = Category.INCORRECT


class TruthInvalid(MatchingError):
    """A truth file lacks a column or holds a record twice."""

    code = "truth_invalid"
    category = Category.INCORRECT
