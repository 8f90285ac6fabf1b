"""Log and count what the relay does.

Invariant: a log line holds numbers and names of this code; a failure is logged by its code and detail, neither of
which holds a value of a record. What repeats is logged once a minute.
Elsewhere: the relay (`streams.relay`), its command (`service.cli.relay`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from identity.model import Instant
from matching.errors import SameasError
from service.telemetry import log_event

__all__ = ["LoggedRelay"]

_REPEAT_US: Final = 60_000_000


class LoggedRelay:
    """Takes the notes of one relay into logs, and into metrics in a registry of its own."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self.registry = CollectorRegistry()
        self._now = now
        self._logged_at: dict[str, Instant] = {}
        self._sent_since = 0
        self._is_leading = False
        self._events = Counter(
            "sameas_relay_events_total", "Events that were told to Kafka", registry=self.registry
        )
        self._messages = Counter(
            "sameas_relay_messages_total", "Messages that were sent", registry=self.registry
        )
        self._failures = Counter(
            "sameas_relay_failures_total",
            "What Kafka or the store refused and is tried again",
            ("code",),
            registry=self.registry,
        )
        self._lag = Gauge(
            "sameas_relay_lag_seconds",
            "How long the oldest of the last batch had waited; 0 when all is told",
            registry=self.registry,
        )
        self._leading = Gauge(
            "sameas_relay_leading", "1 while this relay sends, 0 while it stands by", registry=self.registry
        )

    def watch(self, find_oldest_untold: Callable[[], Instant | None]) -> None:
        """Show from now on how old the oldest is that is not told, whichever relay should tell it.

        Args:
            find_oldest_untold: when that came to be, None when all is told; asked whenever the metrics are read.
        """

        def age_s() -> float:
            try:
                oldest = find_oldest_untold()
            except SameasError:
                return math.nan  # the store does not answer; other metrics are read all the same
            return 0.0 if oldest is None else max(0, self._now() - oldest) / 1_000_000

        Gauge(
            "sameas_relay_untold_seconds",
            "Age of the oldest change or reject that Kafka was not told of; 0 when all is told",
            registry=self.registry,
        ).set_function(age_s)

    def leads(self, *, is_leading: bool) -> None:
        """Note that the relay sends from now on, or stands by."""
        self._leading.set(is_leading)
        if is_leading != self._is_leading:
            self._is_leading = is_leading
            log_event(logging.INFO, "relay_leads" if is_leading else "relay_leads_no_more")

    def sent(self, *, event_count: int, message_count: int, lag_us: Instant) -> None:
        """Note a batch."""
        self._lag.set(lag_us / 1_000_000)
        self._events.inc(event_count)
        self._messages.inc(message_count)
        self._sent_since += message_count
        self._log_sent(lag_us)

    def idle(self) -> None:
        """Note that all is told."""
        self._lag.set(0)
        self._log_sent(0)

    def failed(self, error: SameasError) -> None:
        """Note what is tried again."""
        self._failures.labels(error.code).inc()
        if self._is_due(error.code):
            log_event(logging.WARNING, "relay_tries_again", code=error.code, where=error.detail)

    def _log_sent(self, lag_us: Instant) -> None:
        if self._sent_since and self._is_due("sent"):
            log_event(logging.INFO, "relay_sent", count=self._sent_since, lag_ms=round(lag_us / 1_000))
            self._sent_since = 0

    def _is_due(self, what: str) -> bool:
        now = self._now()
        if now - self._logged_at.get(what, -_REPEAT_US) < _REPEAT_US:
            return False
        self._logged_at[what] = now
        return True
