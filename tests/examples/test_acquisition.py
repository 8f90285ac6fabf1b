"""The example of an acquisition shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.acquisition.foresee import foresee, groups_of
from examples.acquisition.story import play

BEFORE = {("crm", "1"): "a", ("crm", "2"): "b", ("shop", "3"): "b", ("shop", "4"): "c"}
AFTER = {
    ("crm", "1"): "a",
    ("crm", "2"): "a",
    ("erp", "7"): "a",
    ("shop", "3"): "d",
    ("shop", "4"): "c",
    ("erp", "8"): "c",
    ("erp", "9"): "e",
}


def test_what_a_newcomer_does_to_customers_is_told_apart() -> None:
    foreseen = foresee(BEFORE, AFTER, newcomer="erp")

    assert (foreseen.joined, foreseen.apart, foreseen.issued) == (2, 1, 1)
    assert foreseen.merged == [[("crm", "1"), ("crm", "2"), ("erp", "7")]]
    assert foreseen.split == ["b"]
    assert foreseen.largest[0] == [("crm", "1"), ("crm", "2"), ("erp", "7")]


def test_partitions_are_compared_without_their_cids() -> None:
    renamed = {name: cid * 2 for name, cid in BEFORE.items()}

    assert groups_of(renamed) == groups_of(BEFORE)
    assert groups_of(AFTER) != groups_of(BEFORE)


@pytest.mark.slow
def test_an_acquisition_is_foreseen_applied_beside_live_traffic_and_taken_back(tmp_path: Path) -> None:
    play(tmp_path, customers=1_000)
