"""What a relay does is logged and counted without a value of a record."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from identity.errors import StoreUnreachable
from service.relay_notes import LoggedRelay
from service.telemetry import configure_logging
from streams.errors import KafkaUnreachable

SECOND = 1_000_000


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("info", stream)
    yield stream
    configure_logging("warning")


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [
        {k: v for k, v in json.loads(line).items() if k != "time"} for line in log.getvalue().splitlines()
    ]


def metric(notes: LoggedRelay, name: str) -> float:
    value = notes.registry.get_sample_value(name)
    assert value is not None
    return value


def test_what_was_told_is_counted_and_logged_once_a_minute(log: io.StringIO) -> None:
    clock = Clock()
    notes = LoggedRelay(clock)

    notes.sent(event_count=2, message_count=7, lag_us=1_500_000)
    clock.now = 59 * SECOND
    notes.sent(event_count=3, message_count=9, lag_us=4_000)
    clock.now = 61 * SECOND
    notes.idle()

    assert metric(notes, "sameas_relay_events_total") == 5
    assert metric(notes, "sameas_relay_messages_total") == 16
    assert metric(notes, "sameas_relay_lag_seconds") == 0
    assert lines(log) == [
        {"level": "info", "event": "relay_sent", "count": 7, "lag_ms": 1500},
        {"level": "info", "event": "relay_sent", "count": 9, "lag_ms": 0},
    ]


def test_nothing_is_logged_while_there_is_nothing_to_tell(log: io.StringIO) -> None:
    LoggedRelay(Clock()).idle()

    assert lines(log) == []


def test_who_leads_is_logged_when_it_changes(log: io.StringIO) -> None:
    notes = LoggedRelay(Clock())

    for is_leading in (False, True, True, False):
        notes.leads(is_leading=is_leading)

    assert [line["event"] for line in lines(log)] == ["relay_leads", "relay_leads_no_more"]
    assert metric(notes, "sameas_relay_leading") == 0


def test_a_failure_that_repeats_is_counted_each_time_and_logged_once_a_minute(log: io.StringIO) -> None:
    notes = LoggedRelay(Clock())

    for _ in range(3):
        notes.failed(KafkaUnreachable("no Kafka broker answers at kafka:9092."))

    assert lines(log) == [
        {
            "level": "warning",
            "event": "relay_tries_again",
            "code": "kafka_unreachable",
            "where": "no Kafka broker answers at kafka:9092.",
        }
    ]
    assert b'sameas_relay_failures_total{code="kafka_unreachable"} 3.0' in generate_latest(notes.registry)


def test_the_age_of_what_is_untold_is_asked_for_when_it_is_read_and_unknown_while_the_store_is_away() -> None:
    clock, oldest = Clock(), [40 * SECOND]
    notes = LoggedRelay(clock)

    def find() -> int | None:
        if clock.now > 90 * SECOND:
            raise StoreUnreachable("away")
        return oldest[0] if oldest else None

    notes.watch(find)
    clock.now = 70 * SECOND

    seen = [metric(notes, "sameas_relay_untold_seconds")]
    oldest.clear()
    seen.append(metric(notes, "sameas_relay_untold_seconds"))
    clock.now = 100 * SECOND

    assert seen == [30, 0]
    assert math.isnan(metric(notes, "sameas_relay_untold_seconds"))
