"""Fixtures and rules of all tests.

Invariant: a missing service skips with its reason on a developer's machine and fails where services are
required (`CI` or `SAMEAS_REQUIRE_SERVICES=1`, as `.ci/run` sets it); there no test at all may be skipped.
Elsewhere: the servers (`deploy.local`), databases within a test and Kafka's fixtures (`tests.services`).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from deploy.local.postgres import PostgresUnavailable, is_service_required, run_private_postgres
from tests.services.kafka import connectors, kafka_bootstrap, kafka_connect_url, kafka_prefix
from tests.services.postgres import drop_replication_slots, fresh_database, has_logical_decoding

__all__ = [
    "connectors",
    "kafka_bootstrap",
    "kafka_connect_url",
    "kafka_prefix",
    "logical_postgres_url",
    "postgres_server",
    "postgres_url",
]

SERVICE_FIXTURES = frozenset(
    {
        "connectors",
        "kafka_bootstrap",
        "kafka_connect_url",
        "logical_postgres_url",
        "postgres_server",
        "postgres_url",
    }
)

# No deadline: machines are shared. In continuous integration the same code gives the same examples, so that a
# red run means a change in the code; elsewhere each run looks somewhere else.
hypothesis.settings.register_profile("developer", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if is_service_required(os.environ) else "developer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a service by the fixtures it asks for."""
    for item in items:
        if SERVICE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.service)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and is_service_required(os.environ):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips itself as a whole."""
    report = yield
    if report.outcome == "skipped" and is_service_required(os.environ):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server to make databases on; one for the whole run."""
    named = os.environ.get("SAMEAS_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    try:
        with run_private_postgres(settings={"wal_level": "logical"}) as url:
            yield url
    except PostgresUnavailable as exc:
        pytest.skip(f"PostgreSQL: {exc}")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database of this test's own."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def logical_postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty database whose changes Debezium can read; its replication slots are dropped with it."""
    if not has_logical_decoding(postgres_server):
        pytest.skip("the server that SAMEAS_TEST_POSTGRES_URL names has not wal_level=logical")
    with fresh_database(postgres_server) as url:
        try:
            yield url
        finally:
            drop_replication_slots(url)
