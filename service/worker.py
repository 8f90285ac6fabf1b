"""Build the worker of a store from the settings, as a program.

Elsewhere: what a worker does (`streams.worker`), running it (`service.programs`, `service.companions`), the command
(`service.cli.worker`).
"""

from __future__ import annotations

import threading
import time

from prometheus_client import CollectorRegistry

from service.bootstrap import build_identity, open_settled_store
from service.clock import SystemClock
from service.settings import Settings
from service.telemetry import log_event
from service.worker_notes import CountedWorker
from streams.topics import TopicNames
from streams.worker import Worker, WorkerPlan

__all__ = ["WorkerProgram"]


class WorkerProgram:
    """Takes the records topics; see `service.programs.Program`.

    Raises:
        SettingsInvalid: nobody said where Kafka is; nothing was opened.
    """

    def __init__(self, settings: Settings) -> None:
        self.plan = WorkerPlan(settings.kafka, TopicNames(settings.topic_prefix), settings.batch_records_max)
        self._notes = CountedWorker()
        self._stopping = threading.Event()
        self._store = open_settled_store(settings)
        self._worker = Worker(
            build_identity(self._store),
            self.plan,
            clock=SystemClock().now,
            monotonic_s=time.monotonic,
            tell=log_event,
            notes=self._notes,
        )

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""
        return self._notes.registry

    def run(self) -> None:
        """Take messages until `stop`."""
        try:
            self._worker.run(self._stopping)
        finally:
            self._store.close()

    def stop(self) -> None:
        """End `run` after the batch under way."""
        self._stopping.set()
