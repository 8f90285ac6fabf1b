"""Look up how common values are: the frozen term frequencies of a scoring model as steps of a weight.

Invariant: a value that the model does not list counts as its rarest listed one.
Elsewhere: where a step enters a weight (`weigher`), which levels use them (`matching.scoring_model`).
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from matching.errors import ScoringModelInvalid
from matching.scoring_model import TERM_STEP_MILLIBITS, TERM_STEPS_MAX, TermTable

__all__ = ["TermSteps", "hash_term"]


def hash_term(table: str, value: str, *, hash_key: bytes) -> str:
    """Return the keyed hash under which a rare value's frequency stands in a scoring model."""
    return hashlib.blake2b(f"{table}\x1f{value}".encode(), digest_size=12, key=hash_key).hexdigest()


class TermSteps:
    """Frozen adjustments of one term use: value -> steps of 100 millibits, already scaled by its percent."""

    def __init__(self, table: TermTable, percent: int, hash_key: bytes) -> None:
        if table.hashed and not hash_key:
            raise ScoringModelInvalid(f"term table {table.name} holds hashed values: a hash key is needed")
        self._table = table
        self._percent = percent
        self._hash_key = hash_key
        self.rarest = self._step(table.rarest)
        self.listed: dict[str | None, int] = {
            value: self._step(share) for value, share in table.values.items()
        }
        self.listed[None] = 0

    def find(self, value: Any) -> int:
        """Return the steps of a value: 0 when absent, those of the rarest listed value when not listed."""
        found: int | None = self.listed.get(value)
        if found is not None:
            return found
        if value is not None and self._table.hashed:
            share = self._table.hashed.get(hash_term(self._table.name, value, hash_key=self._hash_key))
            if share is not None:
                return self._step(share)
        return self.rarest

    def _step(self, share: float) -> int:
        bits = math.log2(self._table.agreement / share) * self._percent / 100
        return max(-TERM_STEPS_MAX, min(TERM_STEPS_MAX, round(bits * 1000 / TERM_STEP_MILLIBITS)))
