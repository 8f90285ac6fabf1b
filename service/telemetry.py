"""Logs and metrics of the service, free of personal data by construction.

Invariant: a log line of ours has an event name and fields from `FIELDS`; of foreign loggers only what
their authors wrote in their code is kept (a message's template, an exception's type), never the
values. Requests are named by route template. Metrics are labelled by route template and status.
Elsewhere: where requests are noted (`service.front`).
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from identity.report import ReportNumbers

__all__ = ["FIELDS", "NOTE", "Metrics", "RequestNote", "configure_logging", "log_event", "logger"]

logger: Final = logging.getLogger("sameas")

FIELDS: Final = frozenset(
    {
        "address", "author", "caller", "code", "companion", "count", "duration_ms", "fault", "fields", "lag_ms", "lines",
        "method", "port", "process", "route", "scope", "share", "source", "status", "topic", "version", "where",
    }
)  # fmt: skip
"""All names that a field of a log line can have; each holds an id, a number or a name from this code."""

NOTE: Final = "sameas.note"
"""Where the note stands in the scope of a request."""

_UNROUTED: Final = "(no route)"


@dataclass(slots=True)
class RequestNote:
    """What is noted of one request while it passes through the service."""

    route: str = _UNROUTED
    caller: str = "-"
    status: int = 0
    is_personal: bool = False


def log_event(level: int, event: str, /, **fields: object) -> None:
    """Log an event by its name; a field outside `FIELDS` is a fault of this code."""
    if logger.isEnabledFor(level):
        assert fields.keys() <= FIELDS, "name the field in service.telemetry.FIELDS"
        logger.log(level, event, extra={"sameas_fields": fields})


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Send all logs of the process to `stream` (stderr), a JSON object a line."""
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(_JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [target]
    root.setLevel(logging.WARNING)
    logger.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        foreign = logging.getLogger(name)
        foreign.handlers.clear()
        foreign.propagate = name != "uvicorn.access"
    # uvicorn's access log holds paths, and with them keys.
    logging.getLogger("uvicorn.access").disabled = True


class Metrics:
    """The counters of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sameas_requests_total",
            "Requests by route and status",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sameas_request_seconds",
            "Time to the end of the answer, by route",
            ("route",),
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
        )
        self.lines = Counter(
            "sameas_stream_lines_total", "Lines of record streams answered", registry=self.registry
        )
        self.resolver_restarts = Counter(
            "sameas_resolver_restarts_total", "Resolver processes started again", registry=self.registry
        )
        self.companion_restarts = Counter(
            "sameas_companion_restarts_total",
            "Programs beside the service started again",
            ("companion",),
            registry=self.registry,
        )
        self._companions = Gauge(
            "sameas_companion_running",
            "1 while a program beside the service runs",
            ("companion",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "sameas_waiting_records", "Records that wait for a resolver process", registry=self.registry
        )
        self.unsettled = Gauge(
            "sameas_unsettled", "Records whose partition is not settled", registry=self.registry
        )
        self._deliveries = {
            what: Gauge(f"sameas_delivery_{what}", text, ("source",), registry=self.registry)
            for what, text in (
                ("records", "Live records of a source"),
                ("covered", "Records whose CID is known to be in their source"),
                ("oldest_gap_seconds", "How long the longest has waited for its CID; 0 where all have it"),
            )
        }
        self._oversized = Gauge(
            "sameas_oversized_records",
            "Records that stand apart because too much is linked to them",
            registry=self.registry,
        )
        self._model_outgrown = Gauge(
            "sameas_model_outgrown",
            "1 when there are more than twice the customers that the scoring model assumes",
            registry=self.registry,
        )
        self._model_sources_new = Gauge(
            "sameas_model_sources_new", "Sources that the scoring model never saw", registry=self.registry
        )
        self._work = Counter(
            "sameas_resolve_total",
            "What resolving has met: records, keys, candidates, members of components",
            ("what",),
            registry=self.registry,
        )
        self._keys_unusable = Counter(
            "sameas_keys_unusable_total",
            "How often a record held a blocking key that too many hold, by blocking rule",
            ("rule",),
            registry=self.registry,
        )
        self._request_children: dict[tuple[str, str, int], Counter] = {}
        self._second_children: dict[str, Histogram] = {}

    def set_deliveries(self, found: Mapping[str, tuple[int, int, float]]) -> None:
        """Show of each source how many records have their CID (`streams.coverage.CoverageBook.list_gauges`)."""
        for source, numbers in found.items():
            for gauge, number in zip(self._deliveries.values(), numbers, strict=True):
                gauge.labels(source).set(number)

    def count_work(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Count what a resolver process met (`service.resolvers.work.Worker.take_counts`)."""
        for what, count in counts["work"].items():
            self._work.labels(what).inc(count)
        for rule, count in counts["keys_unusable"].items():
            self._keys_unusable.labels(rule).inc(count)

    def set_companion(self, name: str, *, is_running: bool) -> None:
        """Show whether a companion runs."""
        self._companions.labels(name).set(is_running)

    def set_report(self, numbers: ReportNumbers) -> None:
        """Show the numbers of the report."""
        self._oversized.set(numbers.oversized_count)
        self._model_outgrown.set(numbers.is_outgrown)
        self._model_sources_new.set(numbers.source_new_count)

    def count_request(self, method: str, note: RequestNote, seconds: float) -> None:
        """Count one answered request."""
        place = (method, note.route, note.status)
        counter = self._request_children.get(place)
        if counter is None:
            # Methods are the caller's own text where no route is: counted as one, so that series stay few.
            named = method if note.route != _UNROUTED else "-"
            counter = self._requests.labels(named, note.route, str(note.status))
            if note.route != _UNROUTED:
                self._request_children[place] = counter
        counter.inc()
        histogram = self._second_children.get(note.route)
        if histogram is None:
            histogram = self._second_children[note.route] = self._seconds.labels(note.route)
        histogram.observe(seconds)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line, with nothing in it that a caller chose."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
        }
        fields = getattr(record, "sameas_fields", None)
        if isinstance(fields, dict):
            line |= {"event": record.msg, **fields}
        elif record.name.startswith("uvicorn"):
            line |= {"event": "uvicorn", "where": str(record.msg)[:200]}
        else:
            line |= {"event": "library", "where": f"{record.name}:{record.funcName}"}
        if record.exc_info and record.exc_info[1] is not None:
            line |= {"code": type(record.exc_info[1]).__name__, "where": _frames(record.exc_info[1])}
        return orjson.dumps(line, default=str).decode()


def _frames(error: BaseException) -> str:
    """Return where the exception went through, innermost last: files and functions, no values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames)
