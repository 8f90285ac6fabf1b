"""Accuracy of the default scoring model on public data with known truth: as it is, and fitted to the set without labels.

Elsewhere: how a set is read, mapped and partitioned (`benchmarks.accuracy`), which also prints more of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.accuracy import MEASURED_SETS, measure_set, read_set
from benchmarks.figures import Figure
from matching.scoring_model import default_scoring_model

__all__ = ["measure_accuracy"]

_TARGETS: Final = {
    "febrl4": 0.98,
    "febrl3": 0.97,
    "splink_fake_1000": 0.88,
    "dqbench_tier1": 0.90,
    "senzing_truthset": 0.90,
}


def measure_accuracy(folder: Path, *, is_quick: bool) -> Iterator[Figure]:
    """Yield the clustered pairwise F1 of each set in the folder, with both models; if quick, of those with a target."""
    model = default_scoring_model()
    for name in MEASURED_SETS:
        path = folder / f"{name}.parquet"
        target = _TARGETS.get(name)
        if not path.exists() or (is_quick and target is None):
            continue
        found = read_set(path)
        measured = measure_set(found, model)
        pairwise = measured.evaluation.pairwise
        yield Figure(
            f"F1, {name}",
            pairwise.f1,
            "",
            at_least=target,
            note=f"precision {pairwise.precision:.3f}, recall {pairwise.recall:.3f}, "
            f"{measured.evaluation.record_count:,} records, "
            f"{measured.candidates_per_record:.1f} candidates a record",
        )
        fitted = measure_set(found, model, is_fitted=True).evaluation.pairwise
        yield Figure(
            f"... the model fitted to {name}",
            fitted.f1,
            "",
            note=f"precision {fitted.precision:.3f}, recall {fitted.recall:.3f}",
        )
