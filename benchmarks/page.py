"""The page of figures: tables in Markdown between two markers of a document that people write.

Pure. What stands outside the markers is never touched.
Elsewhere: the figures (`benchmarks.figures`), who writes the file (`benchmarks.__main__`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure, Measurement

__all__ = ["BEGIN", "END", "MarkersMissing", "format_figure", "render_measurements", "replace_between"]

BEGIN: Final = "<!-- figures: written by `python -m benchmarks --write` -->"
END: Final = "<!-- end of figures -->"


class MarkersMissing(ValueError):
    """The document has not exactly one pair of markers, in order."""


def render_measurements(measurements: Sequence[Measurement]) -> str:
    """Return one section with a table for each measurement."""
    return "\n\n".join(_render(measurement) for measurement in measurements)


def replace_between(document: str, text: str) -> str:
    """Return the document with `text` between its markers.

    Raises:
        MarkersMissing: there is no pair of markers, or more than one.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in tail or END in head or END in tail:
        raise MarkersMissing(f"the document needs one line {BEGIN!r} and below it one line {END!r}")
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}"


def format_figure(figure: Figure) -> str:
    """Return a figure as one line of text, for a terminal."""
    parts = [f"{figure.name}: {_number(figure.value)} {figure.unit}".rstrip()]
    if figure.is_met is not None:
        parts.append(f"target {_target(figure)}: {_verdict(figure)}")
    if figure.floor is not None:
        parts.append(f"floor {_number(figure.floor)}, ratio {_ratio(figure)}")
    return " | ".join([*parts, figure.note] if figure.note else parts)


def _render(measurement: Measurement) -> str:
    size = f"{measurement.records:,} records, " if measurement.records else ""
    where = f"{measurement.date}, commit {measurement.commit}, {size}{measurement.machine}"
    if measurement.skipped:
        return f"### {measurement.name}\n\n{where}\n\nNot measured: {measurement.skipped}"
    lines = [
        f"### {measurement.name}",
        "",
        where,
        "",
        "| what | measured | target | met | floor | of the floor | note |",
        "|---|---:|---:|---|---:|---:|---|",
    ]
    for figure in measurement.figures:
        cells = (
            figure.name,
            f"{_number(figure.value)} {figure.unit}".rstrip(),
            _target(figure),
            _verdict(figure),
            "" if figure.floor is None else _number(figure.floor),
            _ratio(figure),
            figure.note,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _number(value: float) -> str:
    size = abs(value)
    if size >= 1_000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.4f}".rstrip("0")


def _target(figure: Figure) -> str:
    if figure.at_least is not None:
        return f"≥ {_number(figure.at_least)}"
    return "" if figure.at_most is None else f"≤ {_number(figure.at_most)}"


def _verdict(figure: Figure) -> str:
    if figure.is_met is None:
        return ""
    return "yes" if figure.is_met else "no" if figure.counts else "does not count"


def _ratio(figure: Figure) -> str:
    return "" if figure.ratio is None else f"{figure.ratio:.2f}"
