"""Find a value in a raw row by its path.

Invariant: a path that is the name of a column means that column; only else do its dots lead inwards.
Elsewhere: what the values become (`streams.mapping`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Getter", "compile_path", "plain_text"]

Getter = Callable[[dict[str, Any]], Any]
"""Finds a value in a row; None where there is none."""


def compile_path(path: str) -> Getter:
    """Return the function that finds the path's value; lists met on the way give a list, in order."""
    steps = tuple(path.split("."))
    if len(steps) == 1:

        def get_column(row: dict[str, Any]) -> Any:
            return row.get(path)

        return get_column

    root, inner = steps[0], steps[1:]
    leaf = inner[0]
    if len(inner) == 1 and not leaf.isdigit():

        def get_part(row: dict[str, Any]) -> Any:
            value = row.get(path)
            if value is not None:
                return value
            outer = row.get(root)
            return outer.get(leaf) if type(outer) is dict else _walk(outer, inner)

        return get_part

    def get_nested(row: dict[str, Any]) -> Any:
        value = row.get(path)
        if value is not None:
            return value
        outer = row.get(root)
        return None if outer is None else _walk(outer, inner)

    return get_nested


def plain_text(value: object) -> str | None:
    """Return text or a number as stripped text, None when absent; 12345.0 is `12345`."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124  # not-a-number is the one value unequal to itself
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _walk(value: Any, steps: tuple[str, ...]) -> Any:
    for position, step in enumerate(steps):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list):
            if not step.isdigit():
                return [_walk(item, steps[position:]) for item in value]
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value
