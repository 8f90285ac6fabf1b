"""Pairwise and B-cubed agreement, exact and independent of names."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.evaluate import evaluate_partition


def test_a_small_case_worked_by_hand() -> None:
    found = evaluate_partition([1, 1, 1, 2, 3], ["a", "a", "b", "b", "b"])

    assert (found.true_pair_count, found.found_pair_count) == (4, 3)
    assert found.pairwise.precision == pytest.approx(1 / 3)
    assert found.pairwise.recall == pytest.approx(1 / 4)
    assert found.b_cubed.precision == pytest.approx((2 * 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert found.b_cubed.recall == pytest.approx((1 + 1 + 1 / 3 * 3) / 5)


def test_the_truth_itself_is_perfect_and_nothing_found_has_precision_one() -> None:
    truth = ["a", "a", "b"]

    assert evaluate_partition(truth, truth).pairwise.f1 == 1
    assert evaluate_partition([1, 2, 3], truth).pairwise.precision == 1
    assert evaluate_partition([1, 2, 3], truth).pairwise.f1 == 0
    assert evaluate_partition([], []).b_cubed.f1 == 1


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        evaluate_partition([1], ["a", "b"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=25))
def test_counting_by_sizes_equals_counting_pair_by_pair(rows: list[tuple[int, int]]) -> None:
    clusters, truth = [c for c, _ in rows], [t for _, t in rows]
    pairs = list(combinations(range(len(rows)), 2))
    found = {p for p in pairs if clusters[p[0]] == clusters[p[1]]}
    true = {p for p in pairs if truth[p[0]] == truth[p[1]]}

    evaluation = evaluate_partition(clusters, truth)

    assert evaluation.found_pair_count == len(found)
    assert evaluation.pairwise.precision == (len(found & true) / len(found) if found else 1)
    assert evaluation.pairwise.recall == (len(found & true) / len(true) if true else 1)
