"""Cluster one component: which of its records stand for the same customer.

Invariant: the clusters are a function of the set of records, their weights and the constraints; never
of the order of arguments, of merge history or of the implementation chosen. Sums are whole millibits
and means are compared as exact fractions; a float only preselects and never decides.
Elsewhere: what it is told (`members`, `layout`), finding components (`matching.partition`), weights
(`matching.score`), which judgements are in force (`identity.judge`), turning clusters into CIDs
(`identity.assign`).

1. Records that a judgement *same* joins become one unit. So do the unpinned records of one profile
   when its weight against itself is at least the clip and nothing keeps them apart.
2. While two units have a mean of at least the cut and no constraint between them, merge the pair that
   is greatest by: mean of clipped weights over all record pairs; mean of unclipped weights; smaller
   smallest record; smaller smallest record of the other unit. The last two name a pair, so this is a
   total order on the pairs of units.

Three ways give the same result:
- *At once.* When every pair is at least the cut, so is every mean; with no constraint some pair can
  merge as long as two units are left. One cluster, nothing to compute.
- *Heap.* The rule to the letter, for few units (`heap`).
- *Chain of nearest neighbours*, for many units (`chain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

from matching.cluster.chain import merge_by_chain
from matching.cluster.heap import merge_by_heap
from matching.cluster.layout import HEAP_UNITS_MAX, lay_out, put_in_order
from matching.cluster.members import UNCONSTRAINED, Constraints, Member, PairWeights
from matching.model import Millibits

__all__ = ["cluster_component"]

_FEW_MEMBERS_MAX: Final = 8


def cluster_component(
    members: Sequence[Member],
    weights: PairWeights,
    *,
    cut: Millibits,
    clip: Millibits,
    constraints: Constraints = UNCONSTRAINED,
) -> list[list[int]]:
    """Group the positions of `members` into clusters, each in record order, ordered by first record.

    Args:
        members: the whole component, any order. Unpinned records of one profile are exchangeable: a
            weight or a weaker constraint stated for one of them holds for all. Records that a judgement
            names need no pin.
        weights: asked once for each pair of profiles (or pinned records), and once for two records of
            one profile, in few records perhaps twice; never for a record with itself.
        cut: lowest mean at which two groups of records still merge; at most `clip`.
        clip: weights count in the mean as at most this, and at least minus this.
        constraints: weaker ones do not hold between records that are joined.
    Raises:
        ValueError: a record occurs twice, cut is above clip, or records judged different are joined.
    Cost: n units of one or more records: O(n^2 log n) time up to 30 units, O(n^2) with NumPy above.
    """
    if cut > clip or clip <= 0:
        raise ValueError(f"clip must be positive and not below the cut; got cut {cut}, clip {clip}")
    if not members:
        return []
    if constraints is UNCONSTRAINED and len(members) <= _FEW_MEMBERS_MAX and callable(weights):
        order = put_in_order(members)
        if all(weights(left, right) >= cut for left, right in combinations(order, 2)):
            return [order]
    layout = lay_out(members, weights, clip, constraints)
    if layout.is_free and layout.weight_min >= cut:
        return [layout.order]
    if len(layout.units) <= HEAP_UNITS_MAX or not layout.fits_arrays:
        clusters = merge_by_heap(layout, cut, clip)
    else:
        clusters = merge_by_chain(layout, cut, clip)
    rank = layout.rank
    return sorted((sorted(c, key=rank.__getitem__) for c in clusters), key=lambda c: rank[c[0]])
