"""What a load is asked to do, and what it says it did.

Elsewhere: doing it (`identity.bulk.load`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from identity.bulk.new_records import NewRecords
from identity.bulk.preparing import RowError, StatementSource
from matching.scoring_model import ScoringModel

__all__ = ["BULK_RECORDS_MIN", "LoadReport", "LoadRequest"]

BULK_RECORDS_MIN: Final = 5_000
"""Below this one by one is faster than starting the bulk engine."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load and how."""

    source: str
    statements: StatementSource
    load_id: str
    author: str
    snapshot: bool = False
    withdraw_max: float = 0.05
    processes: int = 2
    memory_limit_mb: int = 1_200
    bulk_records_min: int = BULK_RECORDS_MIN
    propose_model: Callable[[ScoringModel, NewRecords], ScoringModel] | None = None
    """Asked, where the store holds no record yet, which scoring model the new ones are resolved by: the present one,
    or another with the same blocking. Not asked by a load too small for the bulk path."""
    on_error: Callable[[RowError], None] = lambda _error: None
    on_progress: Callable[[str, int, int | None], None] = lambda _step, _done, _total: None


@dataclass(slots=True)
class LoadReport:
    """What a load did."""

    rows: int = 0
    rejected: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    customers_issued: int = 0
    candidates: int = 0
    keys_unusable: Counter[str] = field(
        default_factory=Counter
    )  # by blocking rule: how often a record held one
    longest_slice_s: float = 0.0
    model_put: str | None = None  # the version of the scoring model that the load gave the store
    withdrawals_withheld: int = 0  # absent from a snapshot, but so may be the key of a refused row
