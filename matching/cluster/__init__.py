"""Cluster one component: which of its records stand for the same customer.

Invariant: the clusters are a function of the set of records, their weights and the constraints.
"""

from __future__ import annotations

from matching.cluster.component import cluster_component
from matching.cluster.members import UNCONSTRAINED, Constraints, Member, PairWeights

__all__ = ["UNCONSTRAINED", "Constraints", "Member", "PairWeights", "cluster_component"]
