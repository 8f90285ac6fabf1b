"""Runs of the long storm are written into the page of reliability, one row each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.streams.anomalies import History
from tests.streams.soak import COLUMNS, describe_run, write_run
from tests.streams.storm import StormPlan, StormReport

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_a_row_is_added_to_the_page_and_the_rest_stays() -> None:
    page = PAGE.read_text(encoding="utf-8")
    row = [f"{name} of it" for name in COLUMNS]

    once = write_run(page, row)
    twice = write_run(once, row)

    assert once.count(f"| {' | '.join(row)} |") == 1
    assert twice.count(f"| {' | '.join(row)} |") == 2
    assert twice.count(f"| {' | '.join(COLUMNS)} |") == 1
    assert twice.startswith(page.rstrip())


def test_a_row_says_how_often_everything_happened() -> None:
    report = StormReport(
        StormPlan(message_count=2_000, seed=7),
        History([], {}, {}, {}, {}, [], []),
        found_customers=set(),
        expected_customers=set(),
        kills=Counter({"worker read": 3, "relay saved": 2}),
        happened=Counter({"rebalances": 8, "broker restarts": 1}),
        repeated_count=4,
        event_count=1_500,
        seconds=90,
    )

    row = dict(zip(COLUMNS, describe_run(report, commit="c", cut_count=5, anomaly_count=0), strict=True))

    assert row["of each failpoint"] == "2-3"
    assert row["broker / PostgreSQL killed"] == "1 / 0"
    assert (row["messages"], row["seed"], row["minutes"], row["anomalies"]) == ("2,000", "7", "1.5", "0")


def test_a_page_without_a_table_of_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="runs:"):
        write_run("# Another page\n", ["x"])
