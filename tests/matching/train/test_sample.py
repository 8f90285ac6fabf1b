"""Which pairs a fit counts depends on the profiles alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from matching.train import choose_candidates, choose_random_pairs, hash_profile


def _hashes(count: int) -> npt.NDArray[np.int64]:
    return np.array([hash_profile("crm", str(number).encode()) for number in range(count)], dtype=np.int64)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50, 40_000])
def test_random_pairs_are_distinct_and_join_two_profiles(count: int) -> None:
    left, right = choose_random_pairs(_hashes(count))

    pairs = {tuple(sorted(pair)) for pair in zip(left.tolist(), right.tolist(), strict=True)}
    assert len(pairs) == len(left)
    assert all(one != other for one, other in pairs)
    assert bool(pairs) == (count > 1)


def test_random_pairs_are_the_same_profiles_in_any_order() -> None:
    hashes = _hashes(5_000)
    order = np.random.default_rng(1).permutation(5_000)

    left, right = choose_random_pairs(hashes)
    turned_left, turned_right = choose_random_pairs(hashes[order])

    assert set(zip(left.tolist(), right.tolist(), strict=True)) == set(
        zip(order[turned_left].tolist(), order[turned_right].tolist(), strict=True)
    )


def test_a_share_of_the_candidates_is_chosen_in_either_direction() -> None:
    hashes = _hashes(2_000)
    left, right = np.triu_indices(2_000, 1)

    chosen = choose_candidates(left, right, hashes, share=0.25)

    assert chosen.mean() == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(chosen, choose_candidates(right, left, hashes, share=0.25))
    assert choose_candidates(left, right, hashes, share=1).all()


def test_one_text_in_two_sources_is_two_profiles() -> None:
    assert hash_profile("crm", b"x") != hash_profile("shop", b"x")
