"""Logs and metrics (within requests: `tests/service/test_front.py`)."""

from __future__ import annotations

import logging

import pytest
from prometheus_client import generate_latest

from service.telemetry import FIELDS, Metrics, RequestNote, log_event


def test_a_field_that_is_not_listed_is_a_fault_of_the_code() -> None:
    with pytest.raises(AssertionError):
        log_event(logging.CRITICAL, "event", email="canary")

    assert "email" not in FIELDS


def test_what_resolver_processes_met_adds_up_by_name_and_by_rule() -> None:
    metrics = Metrics()

    metrics.count_work({"work": {"records": 2}, "keys_unusable": {"email": 3}})
    metrics.count_work({"work": {"records": 1}, "keys_unusable": {"email": 1, "phone": 1}})

    shown = generate_latest(metrics.registry).decode()
    assert 'sameas_resolve_total{what="records"} 3.0' in shown
    assert 'sameas_keys_unusable_total{rule="email"} 4.0' in shown
    assert 'sameas_keys_unusable_total{rule="phone"} 1.0' in shown


def test_methods_of_unrouted_requests_make_no_series() -> None:
    metrics = Metrics()

    for number in range(5):
        metrics.count_request(f"CANARY{number}", RequestNote(status=404), 0.1)
    metrics.count_request("GET", RequestNote("/v1/lookup", status=200), 0.1)

    shown = generate_latest(metrics.registry).decode()
    assert "CANARY" not in shown
    assert 'method="-",route="(no route)",status="404"} 5.0' in shown
    assert 'method="GET",route="/v1/lookup",status="200"} 1.0' in shown
