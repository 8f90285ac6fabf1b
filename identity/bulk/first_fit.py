"""Fit a scoring model to the new records of a load into an empty store, before any of them is clustered.

Invariant: the model depends on the set of the records' profiles alone; nothing is stored here.
Elsewhere: the fit (`matching.train`), making the model the store's (`identity.scoring_models`), when it is
done (`identity.bulk.load`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from identity.bulk.candidates import HolderRows, Pairs, iter_pairs, sort_holders
from identity.bulk.foresee import no_hashes
from identity.bulk.new_records import NewRecords
from matching.engine_duckdb import DuckDbEngine
from matching.scoring_model import ScoringModel, default_scoring_model
from matching.tabulate import ProfileTabler
from matching.train import (
    CANDIDATES_MAX,
    PatternCounts,
    choose_candidates,
    choose_random_pairs,
    fit_scoring_model,
    hash_profile,
)

if TYPE_CHECKING:
    from identity.service import Identity

__all__ = ["FITTED_RECORDS_MIN", "fit_first_model", "make_proposer"]

FITTED_RECORDS_MIN: Final = 1_000
"""Fewer new records than this are not fitted to: they would hardly move the model."""

Places = npt.NDArray[np.int64]


def make_proposer(
    identity: Identity, *, is_asked: bool, memory_limit_mb: int = 1_200
) -> Callable[[ScoringModel, NewRecords], ScoringModel]:
    """Return what proposes a model to a load: the default fitted to the new records, where that is worth it.

    Args:
        is_asked: fit to `FITTED_RECORDS_MIN` new records or more; else only to more than the model is made for.
    A model that is not the default is kept: somebody has put it.
    """
    hash_key = identity.store.sealer.blocking_hash_key

    def propose(present: ScoringModel, new: NewRecords) -> ScoringModel:
        profiles_min = FITTED_RECORDS_MIN if is_asked else present.population
        if present != default_scoring_model() or new.profile_count < profiles_min:
            return present
        return fit_first_model(present, new, hash_key=hash_key, memory_limit_mb=memory_limit_mb)

    return propose


def fit_first_model(
    base: ScoringModel, new: NewRecords, *, hash_key: bytes, memory_limit_mb: int
) -> ScoringModel:
    """Return the base model fitted to the new records.

    Cost: every profile is hashed, those compared are given to Splink, and `CANDIDATES_MAX` pairs at most are compared.
    """
    hashes = np.empty(new.profile_count, dtype=np.int64)
    for numbers, encoded in new.profiles.iter_encoded():
        hashes[numbers] = [hash_profile(new.source, profile) for profile in encoded]
    left, right = choose_random_pairs(hashes)
    is_useful = (new.held_counts > 1) & (new.held_counts <= base.holders_max)
    rows = sort_holders(*new.list_holders(is_useful))
    is_needed = np.zeros(new.profile_count, dtype=np.bool_)
    is_needed[rows.ids] = True
    is_needed[left] = True
    is_needed[right] = True
    tabler = ProfileTabler(base, hash_key=hash_key)
    share = _find_share(rows, holders_max=base.holders_max)
    with DuckDbEngine(base, hash_key=hash_key, memory_limit_mb=memory_limit_mb) as engine:
        for numbers, columns in new.iter_tabulated(is_needed, tabler):
            engine.load_table(numbers, new.source, columns, no_hashes(len(numbers)))
        candidates = PatternCounts.gather(
            engine.count_patterns(_table(*pairs))
            for pairs in _iter_chosen(rows, hashes, share=share, holders_max=base.holders_max)
        )
        random_pairs = PatternCounts.gather([engine.count_patterns(_table(left, right))])
    return fit_scoring_model(
        base,
        candidates=candidates,
        random_pairs=random_pairs,
        profile_counts={new.source: new.profile_count},
        sampled_share=share,
    )


def _find_share(rows: HolderRows, *, holders_max: int) -> float:
    """Return the share of the candidates that is counted, so that there are at most `CANDIDATES_MAX`."""
    counts = np.unique(rows.keys, return_counts=True)[1]
    if int((counts * (counts - 1) // 2).sum()) <= CANDIDATES_MAX:
        return 1.0
    total = sum(len(pairs.left) for pairs in iter_pairs(rows, holders_max=holders_max))
    return min(1.0, CANDIDATES_MAX / max(total, 1))


def _iter_chosen(rows: HolderRows, hashes: Places, *, share: float, holders_max: int) -> Iterator[Pairs]:
    for pairs in iter_pairs(rows, holders_max=holders_max):
        chosen = choose_candidates(pairs.left, pairs.right, hashes, share=share)
        yield Pairs(pairs.left[chosen], pairs.right[chosen])


def _table(left: Places, right: Places) -> pa.Table:
    return pa.table({"left": left, "right": right})
