"""The conditions of a scoring model's levels, as values: a small tree of measures.

Invariant: a `Condition` that `read_condition` returned names known measures, columns and word lists only.
Elsewhere: reading one (`read`), what the measures mean (`texts`, `lists`, `mailboxes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Condition", "Vocabulary"]

Vocabulary = Mapping[str, tuple[str, ...]]
"""Frozen word lists of a scoring model, by name; `ignoring` and `only` refer to one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A node: `operator` is all, any, not or a measure; a measure carries its parameters."""

    operator: str
    parts: tuple[Condition, ...] = ()
    columns: tuple[str, ...] = ()
    number: float = 0
    length_min: int = 0
    words: tuple[str, ...] = ()
    words_name: str = ""

    @property
    def whole_number(self) -> int:
        """The number of a measure that counts."""
        return int(self.number)
