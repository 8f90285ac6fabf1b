"""Carry errors from a resolver process to the HTTP process.

Invariant: an error arrives as the class it was raised as, found by its code, with the same detail; one
of no known code arrives as a fault.
"""

from __future__ import annotations

from typing import Any

from matching.errors import SameasError
from service.errors import InternalFault

__all__ = ["error_head", "error_of_head"]


def error_head(error: SameasError) -> dict[str, Any]:
    """Return an error as JSON values."""
    return {"code": error.code, "detail": error.detail}


def error_of_head(head: dict[str, Any]) -> SameasError:
    """Return the error that `error_head` wrote."""
    kind = _kinds().get(head["code"], InternalFault)
    # Not by its constructor: a class may build its message from arguments that stayed in the other process.
    error = kind.__new__(kind, head["detail"])
    error.args = (head["detail"],)
    return error


def _kinds() -> dict[str, type[SameasError]]:
    kinds: dict[str, type[SameasError]] = {}
    waiting: list[type[SameasError]] = [SameasError]
    while waiting:
        kind = waiting.pop()
        kinds.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return kinds
