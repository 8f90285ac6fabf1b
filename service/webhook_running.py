"""Run the couriers of webhooks as a program, with logs and metrics.

Invariant: a log line names a webhook by its id, never by its URL. What repeats is logged once a minute.
Elsewhere: the couriers (`streams.webhook_couriers`), running programs (`service.programs`), the command
(`service.cli.webhooks`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from identity.model import Instant
from matching.errors import SameasError
from service.bootstrap import bootstrap_identity
from service.clock import SystemClock
from service.settings import Settings
from service.telemetry import log_event
from streams.webhook_book import Webhook, WebhookState
from streams.webhook_couriers import WebhookCouriers
from streams.webhook_post import PostAnswer, WebhookPoster, make_trust

__all__ = ["LoggedWebhooks", "WebhookProgram", "make_poster"]

_REPEAT_US: Final = 60_000_000


def make_poster(settings: Settings) -> WebhookPoster:
    """Return what sends messages, within what the settings allow."""
    return WebhookPoster(
        make_trust(settings.webhook_authorities), allowed_hosts=settings.webhook_hosts_allowed
    )


class LoggedWebhooks:
    """Takes the notes of couriers into logs, and into metrics in a registry of its own."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self.registry = CollectorRegistry()
        self._now = now
        self._logged_at: dict[str, Instant] = {}
        self._tries = Counter(
            "sameas_webhook_tries_total",
            "Messages that were sent to receivers, and whether they were taken",
            ("result",),
            registry=self.registry,
        )
        self._failures = Counter(
            "sameas_webhook_store_failures_total",
            "What the store refused and is tried again",
            ("code",),
            registry=self.registry,
        )
        self._faults = Counter(
            "sameas_webhook_faults_total",
            "Times that a courier met what it does not know, and began anew",
            registry=self.registry,
        )
        self._waiting = Gauge(
            "sameas_webhook_waiting_events",
            "Events that wait because a receiver did not take them, or an earlier one of their key",
            registry=self.registry,
        )
        self._failing = Gauge(
            "sameas_webhook_failing",
            "Webhooks that nothing was taken by since a failure",
            registry=self.registry,
        )
        self._disabled = Gauge(
            "sameas_webhook_disabled",
            "Webhooks that wait for somebody to resume them",
            registry=self.registry,
        )

    def tried(self, webhook_id: str, answer: PostAnswer) -> None:
        """Note an attempt."""
        self._tries.labels(
            "taken" if answer.is_taken else "refused" if answer.status else "unreachable"
        ).inc()
        if not answer.is_taken and self._is_due(webhook_id):
            where = f"{webhook_id}: {answer.fault or answer.status}"
            log_event(logging.WARNING, "webhook_not_taken", where=where)

    def disabled(self, webhook_id: str) -> None:
        """Note that nothing more is sent."""
        log_event(logging.ERROR, "webhook_disabled", where=webhook_id)

    def seen(self, hooks: Sequence[Webhook]) -> None:
        """Show how many wait, fail and are disabled."""
        self._waiting.set(sum(one.waiting_count for one in hooks))
        self._failing.set(sum(one.failing_since is not None for one in hooks))
        self._disabled.set(sum(one.state is WebhookState.DISABLED for one in hooks))

    def failed(self, error: SameasError) -> None:
        """Note what is tried again."""
        self._failures.labels(error.code).inc()
        if self._is_due(error.code):
            log_event(logging.WARNING, "webhooks_try_again", code=error.code, where=error.detail)

    def broke(self, webhook_id: str, error: Exception) -> None:
        """Note what nobody foresaw by its kind alone: its text may hold a value."""
        self._faults.inc()
        if self._is_due(f"{webhook_id}: fault"):
            log_event(logging.ERROR, "webhook_fault", where=f"{webhook_id}: {type(error).__name__}")

    def _is_due(self, what: str) -> bool:
        now = self._now()
        if now - self._logged_at.get(what, -_REPEAT_US) < _REPEAT_US:
            return False
        self._logged_at[what] = now
        return True


class WebhookProgram:
    """Tells receivers what changes; see `service.programs.Program`."""

    def __init__(self, settings: Settings) -> None:
        now = SystemClock().now
        self._poster = make_poster(settings)
        self._notes = LoggedWebhooks(now)
        self._days_max = settings.webhook_days_max
        self._now = now
        self._identity = bootstrap_identity(settings)
        self._is_stopped = threading.Event()
        self._end: Callable[[], object] = lambda: None

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""
        return self._notes.registry

    def run(self) -> None:
        """Send until `stop`."""
        try:
            asyncio.run(self._run())
        finally:
            self._identity.close()

    def stop(self) -> None:
        """End `run` after the messages under way."""
        self._is_stopped.set()
        self._end()

    async def _run(self) -> None:
        couriers = WebhookCouriers(
            self._identity,
            holder=secrets.token_hex(8),
            post=self._poster,
            notes=self._notes,
            now=self._now,
            chance=random.random,
            days_max=self._days_max,
        )
        loop = asyncio.get_running_loop()

        def end() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(couriers.stop)

        self._end = end
        if self._is_stopped.is_set():
            couriers.stop()
        await couriers.run()
