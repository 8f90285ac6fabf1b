"""Run a program of streams as a process of its own: until a signal, with its metrics on a loopback port.

Invariant: SIGTERM and SIGINT end a program in order: what is under way is finished first.
Elsewhere: the programs (`service.worker`, `service.relaying`), the same beside the HTTP service
(`service.companions`).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server

from service.errors import SettingsInvalid

__all__ = ["Program", "run_program"]


class Program(Protocol):
    """Something that runs until it is told to stop; building it opens the store."""

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""

    def run(self) -> None:
        """Run until `stop`, then close what was opened."""

    def stop(self) -> None:
        """End `run` in order; may be called from any thread, and before it."""


def run_program(program: Program, *, metrics_port: int | None, on_run: Callable[[], None]) -> None:
    """Run a program until a signal.

    Args:
        metrics_port: loopback port of `/metrics`; None for none.
        on_run: called as soon as a signal would end it in order.
    Raises:
        SettingsInvalid: the port is taken.
        SameasError: what the program raises.
    """
    if metrics_port is not None:
        try:
            start_http_server(metrics_port, "127.0.0.1", program.registry)
        except OSError as exc:
            raise SettingsInvalid(f"cannot listen on port {metrics_port}: {exc.strerror}") from exc
    # It runs beside this thread, so that a signal never finds its own lock taken.
    with ThreadPoolExecutor(1) as pool:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: program.stop())
        ended = pool.submit(program.run)
        on_run()
        ended.result()
