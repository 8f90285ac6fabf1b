"""Compile a scoring model under one store's key: all that records are prepared, parted and told apart by.

Invariant: everything in a `Matcher` comes of one scoring model, so that who holds one never mixes two.
Elsewhere: which model is active (`identity.scoring_models`), the parts (`matching.block`, `matching.score`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from identity.census import KeyRules
from identity.prepare import Hasher, Preparer
from identity.region import Partitioner
from matching.block import KeyRevealer, compile_blocker, compile_revealer
from matching.score import compile_scorer

if TYPE_CHECKING:
    from matching.scoring_model import ScoringModel

__all__ = ["Matcher", "compile_matcher"]


class _StoreKey(Hasher, Protocol):
    """What is hashed with a store's key (`identity.store_sql.sealing.Sealer`)."""

    @property
    def blocking_hash_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Matcher:
    """One scoring model, ready for use; safe to share between threads."""

    model: ScoringModel
    preparer: Preparer
    partitioner: Partitioner
    key_rules: KeyRules
    reveal: KeyRevealer

    @property
    def version(self) -> str:
        """The version of the scoring model."""
        return self.model.version


def compile_matcher(model: ScoringModel, *, sealer: _StoreKey) -> Matcher:
    """Return the model made ready under the store's key. Cost: some milliseconds and its caches, so once a version."""
    hash_key = sealer.blocking_hash_key
    reveal = compile_revealer(model, hash_key=hash_key)
    blocker = compile_blocker(model, hash_key=hash_key)
    return Matcher(
        model,
        Preparer(blocker=blocker, hasher=sealer, model_version=model.version),
        Partitioner(model, compile_scorer(model, hash_key=hash_key)),
        KeyRules(reveal),
        reveal,
    )
