"""Compare a partition of records with the truth: pairwise and B-cubed precision, recall and F1.

Invariant: pure and exact: pairs are counted as whole numbers from cluster sizes, never listed, so a
million records take about a second. Names of clusters and of true customers mean nothing; only who is
together counts.
Elsewhere: reading a truth file and the crosswalk (`service.cli`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

__all__ = ["Agreement", "Evaluation", "evaluate_partition"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Precision and recall in [0, 1]; both are 1 where there is nothing to find or nothing was found."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a partition agrees with the truth."""

    record_count: int
    cluster_count: int
    customer_count: int
    true_pair_count: int
    found_pair_count: int
    pairwise: Agreement
    b_cubed: Agreement


def evaluate_partition(clusters: Sequence[Hashable], truth: Sequence[Hashable]) -> Evaluation:
    """Return how clusters agree with the truth.

    Args:
        clusters: by record, the name of its cluster.
        truth: by record, in the same order, the name of its true customer.
    Raises:
        ValueError: the two differ in length.
    Cost: O(N) time and memory. Source of B-cubed: Bagga, Baldwin, LREC 1998.
    """
    sizes, true_sizes = Counter(clusters), Counter(truth)
    overlaps = Counter(zip(clusters, truth, strict=True))
    common = sum(map(_pair_count, overlaps.values()))
    found = sum(map(_pair_count, sizes.values()))
    true = sum(map(_pair_count, true_sizes.values()))
    total = len(truth) or 1
    precision = sum(n * n / sizes[cluster] for (cluster, _), n in overlaps.items()) / total
    recall = sum(n * n / true_sizes[customer] for (_, customer), n in overlaps.items()) / total
    return Evaluation(
        record_count=len(truth),
        cluster_count=len(sizes),
        customer_count=len(true_sizes),
        true_pair_count=true,
        found_pair_count=found,
        pairwise=Agreement(common / found if found else 1.0, common / true if true else 1.0),
        b_cubed=Agreement(precision, recall) if truth else Agreement(1.0, 1.0),
    )


def _pair_count(size: int) -> int:
    return size * (size - 1) // 2
