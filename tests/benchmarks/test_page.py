"""Tests of `benchmarks.page`."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, Measurement
from benchmarks.page import (
    BEGIN,
    END,
    MarkersMissing,
    format_figure,
    render_measurements,
    replace_between,
)

__all__: list[str] = []


def _measurement(*figures: Figure, skipped: str = "") -> Measurement:
    return Measurement("lookup", "2 cores", "2026-11-23", "abc1234", 500_000, figures, skipped)


def test_a_figure_stands_in_one_row_with_target_floor_and_ratio() -> None:
    figure = Figure("single", 1_530.4, "/s", at_least=1_000, floor=2_000, note="16 connections")

    text = render_measurements([_measurement(figure)])

    assert "| single | 1,530 /s | ≥ 1,000 | yes | 2,000 | 0.77 | 16 connections |" in text
    assert "2026-11-23, commit abc1234, 500,000 records, 2 cores" in text


def test_a_missed_target_and_a_figure_that_does_not_count_are_told_apart() -> None:
    missed = Figure("p99", 30.0, "ms", at_most=25)
    lost = Figure("rate", 4_000, "/s", at_least=3_000, counts=False)

    text = render_measurements([_measurement(missed, lost)])

    assert "| p99 | 30 ms | ≤ 25 | no |" in text
    assert "| ≥ 3,000 | does not count |" in text


def test_a_bar_in_a_note_does_not_end_its_cell() -> None:
    text = render_measurements([_measurement(Figure("x", 1, "", note="a|b"))])

    assert "a\\|b" in text


def test_a_skipped_benchmark_says_why() -> None:
    assert "Not measured: no data" in render_measurements([_measurement(skipped="no data")])


def test_what_stands_outside_the_markers_stays_as_it_was() -> None:
    document = f"# Title\n\n{BEGIN}\nold\n{END}\n\nReasons.\n"

    once = replace_between(document, "new")

    assert once == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nReasons.\n"
    assert replace_between(once, "new") == once


@pytest.mark.parametrize(
    "document",
    ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"],
)
def test_a_page_without_exactly_one_pair_of_markers_is_refused(document: str) -> None:
    with pytest.raises(MarkersMissing):
        replace_between(document, "new")


def test_a_figure_in_one_line_names_target_and_floor_only_where_there_are_any() -> None:
    assert format_figure(Figure("F1", 0.9678, "")) == "F1: 0.9678"
    assert (
        format_figure(Figure("rate", 12.34, "/s", at_least=10, floor=20))
        == "rate: 12.3 /s | target ≥ 10: yes | floor 20, ratio 0.62"
    )
