"""Level patterns of pairs, counted: all that fitting a model needs to know of records.

Invariant: rows stand in the order of their numbers, so counts gathered in any order are equal.
Elsewhere: counting them (`matching.engine_duckdb`), numbering levels (`matching.score.weigher`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["PATTERN_COLUMNS", "PatternCounts"]

PATTERN_COLUMNS: Final = pa.schema(
    [
        ("pattern", pa.int64()),  # numbered levels
        ("terms", pa.int64()),  # packed term steps
        ("left", pa.string()),  # the sources of the pair, smaller name first
        ("right", pa.string()),
        ("count", pa.int64()),
    ]
)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PatternCounts:
    """How many pairs have each pattern, term steps and pair of sources; arrays of one length P."""

    patterns: Integers
    terms: Integers
    source_pairs: tuple[tuple[str, str], ...]
    source_pair_of: Integers  # index into `source_pairs`
    counts: Integers

    @classmethod
    def gather(cls, tables: Iterable[pa.Table]) -> Self:
        """Return the counts of tables of `PATTERN_COLUMNS` together; a pattern may stand in several."""
        table = pa.concat_tables([PATTERN_COLUMNS.empty_table(), *tables])
        summed = (
            table.group_by(["left", "right", "pattern", "terms"])
            .aggregate([("count", "sum")])
            .sort_by([(name, "ascending") for name in ("left", "right", "pattern", "terms")])
        )
        pairs = list(zip(summed["left"].to_pylist(), summed["right"].to_pylist(), strict=True))
        source_pairs = tuple(sorted(set(pairs)))
        places = {pair: place for place, pair in enumerate(source_pairs)}
        return cls(
            summed["pattern"].to_numpy(),
            summed["terms"].to_numpy(),
            source_pairs,
            np.array([places[pair] for pair in pairs], dtype=np.int64),
            summed["count_sum"].to_numpy(),
        )

    def group(self, keys: Integers) -> tuple[Integers, Integers]:
        """Return the distinct rows of `keys` (P rows), ascending, and how many pairs have each."""
        distinct, place_of = np.unique(keys, axis=0, return_inverse=True)
        counts = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(counts, place_of.ravel(), self.counts)
        return distinct, counts
