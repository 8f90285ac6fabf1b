"""Report what a steward should look at: whether the scoring model is out of date, and what stands apart.

Invariant: a number that has to be counted is counted rarely: it is kept for a minute at least and a thousand
times as long as counting took, so that counting never takes more than a thousandth of anybody's time. (PostgreSQL's
estimate of a table's rows costs nothing, but tells rows ever written rather than customers, nothing before the first
ANALYZE, and SQLite has none; a counter would be one row that all writers wait for.)
Elsewhere: the model's fit (`identity.model_fit`), what stands apart (`identity.oversized`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from identity.model_fit import ModelFit, count_customers, read_model_fit
from identity.oversized import Oversized, count_oversized, find_oversized

if TYPE_CHECKING:
    from identity.scoring_models import ModelBook
    from identity.store_sql.opening import SqlStore
    from matching.scoring_model import ScoringModel

__all__ = ["KeptCount", "Report", "ReportNumbers", "Reporter"]

_KEPT_S: Final = 60.0
_KEPT_TIMES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What a steward should look at; the values that glue groups are personal data."""

    model: ModelFit
    oversized: Oversized


@dataclass(frozen=True, slots=True)
class ReportNumbers:
    """The same as numbers, for metrics."""

    is_outgrown: bool
    source_new_count: int
    oversized_count: int


class KeptCount:
    """A count that is made again when it is old: the longer it takes, the longer it is kept."""

    def __init__(
        self,
        count: Callable[[], int],
        *,
        kept_s: float = _KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._kept_s = kept_s
        self._clock = clock
        self._value: int | None = None
        self._old_at = 0.0
        self._guard = threading.Lock()

    def read(self) -> int:
        """Return the count; while one thread makes it again, others are given the old one."""
        value = self._value
        if value is not None and self._clock() < self._old_at:
            return value
        if not self._guard.acquire(blocking=value is None):
            assert value is not None
            return value
        try:
            begun_at = self._clock()
            if self._value is None or begun_at >= self._old_at:
                self._value = self._count()
                ended_at = self._clock()
                self._old_at = ended_at + max(self._kept_s, _KEPT_TIMES * (ended_at - begun_at))
            return self._value
        finally:
            self._guard.release()


class _Counts:
    """What is counted under one scoring model."""

    def __init__(self, store: SqlStore, model: ScoringModel, *, kept_s: float) -> None:
        self.version = model.version
        self.customers = KeptCount(
            lambda: count_customers(store, limit=2 * model.population + 1), kept_s=kept_s
        )
        self.oversized = KeptCount(lambda: count_oversized(store, model), kept_s=kept_s)


class Reporter:
    """Reports on one store under its active scoring model; safe to share between threads."""

    def __init__(self, store: SqlStore, models: ModelBook, *, kept_s: float = _KEPT_S) -> None:
        self._store = store
        self._models = models
        self._kept_s = kept_s
        self._counts: _Counts | None = None

    def report(self, *, sources: Collection[str] | None = None) -> Report:
        """Return the report; who is bound to `sources` is shown their records' values and their names only."""
        matcher = self._models.read_current()
        fit = self._read_fit(matcher.model)
        if sources is not None:
            fit = replace(fit, sources_new=tuple(name for name in fit.sources_new if name in sources))
        found = find_oversized(
            self._store, partitioner=matcher.partitioner, reveal=matcher.reveal, sources=sources
        )
        return Report(fit, found)

    def numbers(self) -> ReportNumbers:
        """Return what of the report are numbers. Cost: a few rows for each source."""
        model = self._models.read_current().model
        fit = self._read_fit(model)
        return ReportNumbers(fit.is_outgrown, len(fit.sources_new), self._count_under(model).oversized.read())

    def _read_fit(self, model: ScoringModel) -> ModelFit:
        return read_model_fit(self._store, model, count=self._count_under(model).customers.read)

    def _count_under(self, model: ScoringModel) -> _Counts:
        """Return what is counted under this model; under another one it is counted anew."""
        counts = self._counts
        if counts is None or counts.version != model.version:
            counts = self._counts = _Counts(self._store, model, kept_s=self._kept_s)
        return counts
