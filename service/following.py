"""Keep the delivery ledger in step with the crosswalk beside the HTTP service.

Invariant: live writes go first. A ledger that is far behind, as after a large load, catches up in small batches, and
after each waits `_PAUSES` times as long as it took.
Elsewhere: what a batch does (`streams.ledger`), the process that does it (`service.resolvers.work`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

import orjson

from identity.api.doors import Order, OrderAnswer
from matching.errors import SameasError
from service.telemetry import log_event
from streams.ledger import BATCH_EVENTS

__all__ = ["FollowDoors", "keep_following"]

_EVERY_S: Final = 1.0
_BEHIND_EVENTS: Final = 50
_PAUSES: Final = 9


class FollowDoors(Protocol):
    """What it needs of the service."""

    async def pause(self, seconds: float) -> bool:
        """Wait; returns False at once when the service is closing."""

    async def write(self, order: Order) -> OrderAnswer:
        """Let a resolver process carry out an order."""


async def keep_following(doors: FollowDoors, *, clock_s: Callable[[], float] = monotonic) -> None:
    """Follow until the service closes."""
    in_step = Order("follow", {"events": BATCH_EVENTS}, lane=("", "follow"))
    behind = Order("follow", {"events": _BEHIND_EVENTS}, lane=("", "follow"))
    order, pause_s = in_step, _EVERY_S
    while await doors.pause(pause_s):
        began_s = clock_s()
        try:
            is_done = orjson.loads((await doors.write(order)).body)["is_done"]
        except SameasError as exc:
            is_done = True
            log_event(logging.WARNING, "not_followed", code=exc.code)
        order = in_step if is_done else behind
        pause_s = _EVERY_S if is_done else _PAUSES * (clock_s() - began_s)
