"""Choose the pairs that a fit counts: random ones, and a share of very many candidates.

Invariant: what is chosen depends on the set of profiles alone, not on their order or numbers.
Elsewhere: counting them (`matching.engine_duckdb`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from matching.train.patterns import Integers

__all__ = ["CANDIDATES_MAX", "choose_candidates", "choose_random_pairs", "hash_profile"]

CANDIDATES_MAX: Final = 5_000_000
"""Of more candidate pairs than this a share is counted."""

_RANDOM_PAIRS: Final = 300_000
_RANDOM_PROFILES: Final = 30_000
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio: Knuth's multiplicative hashing


def hash_profile(source: str, encoded: bytes) -> int:
    """Return a number of 63 bits by which profiles are chosen; it keeps nothing secret and is not stored."""
    digest = blake2b(encoded, digest_size=8, person=source.encode()[:16]).digest()
    return int.from_bytes(digest, "big") >> 1


def choose_random_pairs(hashes: Integers) -> tuple[Integers, Integers]:
    """Return the places (left, right) of pairs chosen without regard to what the profiles hold, each once.

    Args:
        hashes: by place, of each profile.
    The profiles with the smallest hashes, in a ring by hash, each paired with as many that follow it as make
    `_RANDOM_PAIRS`, or with all where there are not so many.
    """
    order = np.argsort(hashes, kind="stable")[:_RANDOM_PROFILES]
    count = len(order)
    steps = min(-(-_RANDOM_PAIRS // max(count, 1)), (count - 1) // 2)
    if steps < 1:
        left, right = np.triu_indices(count, 1)
        return order[left], order[right]
    left = np.tile(np.arange(count), steps)
    right = (left + np.repeat(np.arange(1, steps + 1), count)) % count
    return order[left], order[right]


def choose_candidates(
    left: Integers, right: Integers, hashes: Integers, *, share: float
) -> npt.NDArray[np.bool_]:
    """Tell which of these pairs of places are counted when only a share of all is."""
    if share >= 1:
        return np.ones(len(left), dtype=np.bool_)
    with np.errstate(over="ignore"):
        mixed = (hashes[left] ^ hashes[right]).astype(np.uint64) * _MIX
    chosen: npt.NDArray[np.bool_] = (mixed >> np.uint64(32)) < np.uint64(int(share * 2**32))
    return chosen
