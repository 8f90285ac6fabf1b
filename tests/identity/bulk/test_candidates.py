"""The pairs of a load are those that share a usable key and of which one is new, each once."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest

from identity.bulk import candidates
from identity.bulk.candidates import iter_pairs, sort_holders


def pairs_by_hand(rows: set[tuple[int, int]], holders_max: int) -> set[tuple[int, int]]:
    holders: dict[int, set[int]] = {}
    for key, one in rows:
        holders.setdefault(key, set()).add(one)
    return {
        (max(pair), min(pair)) if min(pair) < 0 else (min(pair), max(pair))
        for ids in holders.values()
        if len(ids) <= holders_max
        for pair in combinations(ids, 2)
        if max(pair) >= 0
    }


@pytest.mark.parametrize("block", [1, 7, 50, 10_000])
def test_each_pair_comes_once_however_small_the_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(candidates, "_BLOCK_PAIRS", block)
    for seed in range(40):
        chance = random.Random(seed)
        rows = {
            (chance.randrange(-9, 9), chance.randrange(-12, 12))
            for _ in range(chance.choice((0, 5, 60, 120)))
        }
        keys, ids = (np.array([row[at] for row in rows], dtype=np.int64) for at in (0, 1))

        blocks = list(iter_pairs(sort_holders(keys, ids), holders_max=6))

        found = [pair for one in blocks for pair in zip(one.left.tolist(), one.right.tolist(), strict=True)]
        assert len(set(found)) == len(found)
        assert set(found) == pairs_by_hand(rows, 6)
        assert [left for left, _ in found] == sorted(left for left, _ in found)
