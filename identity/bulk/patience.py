"""Make a call on a busy store again until it succeeds, for some time.

Elsewhere: the calls (`identity.bulk.load`, `identity.bulk.running`, `identity.bulk.slices`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from identity.errors import StoreBusy

__all__ = ["LoadTakenOver", "patiently"]

_PATIENCE_S: Final = 120.0
_T = TypeVar("_T")


class LoadTakenOver(StoreBusy):
    """Another process took the load for broken off, and has settled what it had stored."""


def patiently(call: Callable[[], _T]) -> _T:
    """Return what the call returns; one that found the store busy is made again for some time.

    SQLite's write lock knows no queue, so that a load may miss it for long beside many short writes.
    """
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return call()
        except LoadTakenOver:
            raise
        except StoreBusy:
            if time.monotonic() > give_up_at:
                raise
