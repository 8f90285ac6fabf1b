"""Ask an object of a document for its fields, strictly: what is wrong is refused, saying where it stands.

Invariant: what is returned has the type and range that was asked for; messages name fields and ranges.
Elsewhere: which fields a scoring model has (`load`, `read_comparisons`, `read_blocking`).
"""

from __future__ import annotations

import re
from typing import Any

from matching.errors import ScoringModelInvalid

__all__ = ["Place", "refuse_repeats"]


class Place:
    """An object of the document together with where it stands, for messages."""

    def __init__(self, stated: object, place: str) -> None:
        if not isinstance(stated, dict):
            raise ScoringModelInvalid(f"{place}: has to be an object")
        self.stated: dict[str, Any] = stated
        self.place = place

    def refuse_unknown(self, allowed: str) -> None:
        """Refuse fields that are not among the words of `allowed`."""
        unknown = sorted(set(self.stated) - set(allowed.split()))
        if unknown:
            raise ScoringModelInvalid(f"{self.place}: unknown field {', '.join(unknown)}")

    def get(self, field: str) -> Any:
        """Return the field, which has to be there."""
        if field not in self.stated:
            raise ScoringModelInvalid(f"{self.place}: {field} is missing")
        return self.stated[field]

    def text(self, field: str, *, maximum: int = 63, pattern: str = ".*") -> str:
        """Return a text of at most `maximum` characters that the whole pattern fits."""
        value = self.get(field)
        if not isinstance(value, str) or len(value) > maximum or not re.fullmatch(pattern, value, re.DOTALL):
            raise ScoringModelInvalid(
                f"{self.place}.{field}: has to be a text of at most {maximum} like {pattern}"
            )
        return value

    def name(self, field: str = "name") -> str:
        """Return a name of lower-case words joined by underscores."""
        return self.text(field, pattern="[a-z][a-z0-9_]*")

    def whole(self, field: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a whole number from {low} to {high}")
        return value

    def probability(self, field: str) -> float:
        """Return a number above 0 and at most 1."""
        return _read_probability(self.get(field), f"{self.place}.{field}")

    def whole_list(self, field: str) -> list[int]:
        """Return a list of whole numbers."""
        value = self.get(field)
        if not isinstance(value, list) or any(isinstance(x, bool) or not isinstance(x, int) for x in value):
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a list of whole numbers")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of texts, each once."""
        value = self.get(field)
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a list of texts")
        refuse_repeats(f"{self.place}.{field}", value)
        return tuple(value)

    def places(self, field: str, *, empty: bool = False) -> list[Place]:
        """Return the objects of a list, which may be empty only if `empty`."""
        value = self.get(field)
        if not isinstance(value, list) or not (value or empty):
            raise ScoringModelInvalid(f"{self.place}.{field}: has to be a list that is not empty")
        return [Place(item, f"{self.place}.{field}[{index}]") for index, item in enumerate(value)]


def _read_probability(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1e-12 <= value <= 1:
        raise ScoringModelInvalid(f"{place}: has to be a number from 1e-12 to 1")
    return float(value)


def refuse_repeats(what: str, names: list[str]) -> None:
    """Refuse a name that stands twice."""
    if len(set(names)) != len(names):
        raise ScoringModelInvalid(f"{what}: a name stands there twice")
