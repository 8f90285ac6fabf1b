"""What a benchmark answers: figures, each with its target and its floor, as values and as JSON.

Pure. A floor is what the same machine does in the same run without this project's logic; it explains a figure
and is never a target by itself.
Elsewhere: the page (`benchmarks.page`), the measurements (`benchmarks.measure_*`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Figure", "Measurement", "percentile", "read_measurement", "write_measurement"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a benchmark."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    floor: float | None = None
    note: str = ""
    counts: bool = True
    """False where the figure does not count, whatever it is: accuracy was lost for it."""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.at_least is None and self.at_most is None:
            return None
        return (
            self.counts
            and (self.at_least is None or self.value >= self.at_least)
            and (self.at_most is None or self.value <= self.at_most)
        )

    @property
    def ratio(self) -> float | None:
        """The figure divided by its floor; None without a floor."""
        return self.value / self.floor if self.floor else None


@dataclass(frozen=True, slots=True)
class Measurement:
    """All figures of one benchmark, and where and when they were taken."""

    name: str
    machine: str
    date: str
    commit: str
    records: int
    figures: Sequence[Figure] = field(default_factory=tuple)
    skipped: str = ""


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that `percent` of them do not exceed (nearest rank).

    Raises:
        ValueError: no values, or a percentage outside (0, 100].
    """
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and a percentage above 0 and up to 100")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def write_measurement(measurement: Measurement) -> dict[str, Any]:
    """Return the measurement as JSON values."""
    return asdict(measurement)


def read_measurement(document: Mapping[str, Any]) -> Measurement:
    """Return the measurement that `write_measurement` wrote."""
    figures = tuple(Figure(**figure) for figure in document["figures"])
    return Measurement(**{**document, "figures": figures})
