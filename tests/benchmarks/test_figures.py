"""Tests of `benchmarks.figures`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, Measurement, percentile, read_measurement, write_measurement

__all__: list[str] = []


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 100))
def test_a_percentile_is_a_value_that_at_least_that_share_does_not_exceed(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) * (1 - 1e-9)
    assert sum(value < found for value in values) < percent / 100 * len(values) * (1 + 1e-9)


def test_the_hundredth_percentile_is_the_longest_and_the_fiftieth_of_two_the_shorter() -> None:
    assert percentile([3.0, 1.0, 2.0], 100) == 3.0
    assert percentile([5.0, 7.0], 50) == 5.0


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_or_outside_its_range_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


@pytest.mark.parametrize(
    ("figure", "is_met"),
    [
        (Figure("rate", 3_000, "/s", at_least=3_000), True),
        (Figure("rate", 2_999, "/s", at_least=3_000), False),
        (Figure("time", 120, "s", at_most=120), True),
        (Figure("time", 121, "s", at_most=120), False),
        (Figure("rate", 1, "/s"), None),
    ],
)
def test_a_target_is_met_at_its_very_value(figure: Figure, is_met: bool | None) -> None:
    assert figure.is_met is is_met


def test_speed_that_cost_accuracy_meets_no_target() -> None:
    figure = Figure("rate", 9_000, "/s", at_least=3_000, counts=False)

    assert figure.is_met is False


def test_the_ratio_is_the_share_of_the_floor() -> None:
    assert Figure("rate", 30, "/s", floor=120).ratio == 0.25
    assert Figure("rate", 30, "/s").ratio is None


def test_a_measurement_survives_being_written_as_json() -> None:
    figures = (Figure("rate", 30.5, "/s", at_least=20, floor=60, note="warm"), Figure("F1", 0.97, ""))
    measurement = Measurement("resolve", "two cores", "2026-11-23", "abc", 500, figures)

    assert read_measurement(write_measurement(measurement)) == measurement
