"""Run a worker until it is told to stop: the store, the settings and the signals around it.

Invariant: SIGTERM and SIGINT end it in order: the batch under way is finished, the group is left.
Elsewhere: what a worker does (`streams.worker`), the command (`service.cli.worker`).
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from service.bootstrap import build_identity, open_settled_store
from service.clock import SystemClock
from service.settings import Settings
from service.telemetry import configure_logging, log_event
from streams.topics import TopicNames
from streams.worker import Worker, WorkerPlan

__all__ = ["run_worker"]


def run_worker(settings: Settings, *, tell: Callable[[str], None]) -> None:
    """Take the records topics until a signal; `tell` is given what a person should read."""
    configure_logging(settings.log_level)
    plan = WorkerPlan(settings.kafka, TopicNames(settings.topic_prefix), settings.batch_records_max)
    store = open_settled_store(settings)
    try:
        worker = Worker(
            build_identity(store),
            plan,
            clock=SystemClock().now,
            monotonic_s=time.monotonic,
            tell=log_event,
        )
        stopping = threading.Event()

        def stop(_signal: int, _frame: FrameType | None) -> None:
            stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        tell(f"sameas worker takes {plan.topics.records('*')} from {plan.address.bootstrap}")
        worker.run(stopping)
    finally:
        store.close()
