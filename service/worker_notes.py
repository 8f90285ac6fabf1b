"""Count what a worker does.

Invariant: labels are names of topics, sources, fates and codes: as many as there are sources, and no value of a
record. At each moment consumed = applied + held + waiting + duplicate + stale + rejected + ignored, of each source.
Elsewhere: the worker (`streams.worker`), its process (`service.worker`), what counts across all workers and restarts
(`sameas worker status`, from `streams.offsets`).
"""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from streams.fate import Fate
from streams.offsets import Partition
from streams.take import Taken

__all__ = ["CountedWorker"]

_CONSUMED: Final = "sameas_worker_consumed"
_FATES: Final = "sameas_worker_messages"


class CountedWorker:
    """Takes the notes of one worker into metrics in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = _Messages()
        self.registry.register(self._messages)
        self._batches = Counter("sameas_worker_batches_total", "Batches stored", registry=self.registry)
        self._retries = Counter(
            "sameas_worker_retries_total",
            "Batches that were not stored, by the reason, and tried again or left to another worker",
            ("code",),
            registry=self.registry,
        )
        self._lag = Gauge(
            "sameas_worker_lag_messages",
            "Messages of a partition that are not taken yet",
            ("topic", "partition"),
            registry=self.registry,
        )
        self._paused = Gauge(
            "sameas_worker_paused_partitions",
            "Partitions whose fetching is paused: the store is slower than Kafka",
            registry=self.registry,
        )
        self._alarms = Counter(
            "sameas_worker_stale_alarms_total",
            "How often the share of stale messages was found to be over 1 % in five minutes",
            ("source",),
            registry=self.registry,
        )
        self._share = Gauge(
            "sameas_worker_stale_share",
            "Share of stale messages at the last alarm",
            ("source",),
            registry=self.registry,
        )
        self._seen: set[Partition] = set()

    def took(self, taken: Collection[Taken]) -> None:
        """Count a batch."""
        self._messages.add(taken)
        self._batches.inc()

    def failed(self, code: str) -> None:
        """Count a batch that was not stored."""
        self._retries.labels(code).inc()

    def raised_alarm(self, source: str, share: float) -> None:
        """Count an alarm."""
        self._alarms.labels(source).inc()
        self._share.labels(source).set(share)

    def stands(self, lags: Mapping[Partition, int], *, paused_count: int) -> None:
        """Show the lags; partitions that belong to another worker now are shown no more."""
        for gone in self._seen - lags.keys():
            self._lag.remove(gone.topic, str(gone.number))
        self._seen = set(lags)
        for partition, lag in lags.items():
            self._lag.labels(partition.topic, str(partition.number)).set(lag)
        self._paused.set(paused_count)


class _Messages(Collector):
    """Both sides of the equation, told from one state: no reader finds a batch counted on one side only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fates: Counts[tuple[str, Fate]] = Counts()
        self._consumed: Counts[str] = Counts()

    def add(self, taken: Collection[Taken]) -> None:
        with self._lock:
            for one in taken:
                self._consumed[one.source] += one.message_count
                for fate in Fate:
                    self._fates[one.source, fate] += one.tally[fate]

    def collect(self) -> Iterator[CounterMetricFamily]:
        with self._lock:
            consumed, fates = self._consumed.copy(), self._fates.copy()
        total = CounterMetricFamily(_CONSUMED, "Messages taken: the sum of their fates", labels=("source",))
        for source, count in sorted(consumed.items()):
            total.add_metric((source,), count)
        yield total
        by_fate = CounterMetricFamily(
            _FATES, "Messages taken, by what became of them", labels=("source", "fate")
        )
        for (source, fate), count in sorted(fates.items()):
            by_fate.add_metric((source, fate.value), count)
        yield by_fate
