"""Counted patterns: the same counts in whatever pieces they come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from matching.train import PATTERN_COLUMNS, PatternCounts

ROWS = [(7, 1, "crm", "shop", 3), (2, 1, "crm", "crm", 1), (7, 1, "crm", "shop", 2), (7, 9, "crm", "crm", 4)]


def _table(rows: list[tuple[int, int, str, str, int]]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], names=PATTERN_COLUMNS.names).cast(
        PATTERN_COLUMNS
    )


def test_counts_of_one_pattern_are_added_and_rows_stand_in_order() -> None:
    whole = PatternCounts.gather([_table(ROWS)])
    pieces = PatternCounts.gather([_table([row]) for row in reversed(ROWS)])

    assert whole.source_pairs == pieces.source_pairs == (("crm", "crm"), ("crm", "shop"))
    assert whole.patterns.tolist() == pieces.patterns.tolist() == [2, 7, 7]
    assert whole.source_pair_of.tolist() == pieces.source_pair_of.tolist() == [0, 0, 1]
    assert whole.counts.tolist() == pieces.counts.tolist() == [1, 4, 5]


def test_grouping_adds_the_pairs_of_equal_rows() -> None:
    counted = PatternCounts.gather([_table(ROWS)])

    distinct, counts = counted.group(counted.patterns.reshape(-1, 1))

    assert distinct.tolist() == [[2], [7]]
    assert counts.tolist() == [1, 9]


def test_nothing_counted_is_empty() -> None:
    nothing = PatternCounts.gather([])

    assert len(nothing.patterns) == 0
    assert nothing.source_pairs == ()
    assert nothing.group(np.empty((0, 3), dtype=np.int64))[1].tolist() == []
