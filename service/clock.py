"""Tell the time and make identifiers that sort by it; the only room that reads the clock.

Invariant: within one process `SystemClock.now` never goes back, and each `new_cid` of one
`CidSource` is greater than the one before, as text too.
Elsewhere: what an `Instant` is (`identity.model`); the store gives `system_from` under its locks.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from typing import TYPE_CHECKING, Final

from identity.model import Cid, Instant

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CidSource", "SystemClock", "new_cid"]

_RANDOM_BITS: Final = 74
"""What RFC 9562 leaves to chance in a UUIDv7: 12 bits `rand_a`, 62 bits `rand_b`."""


class SystemClock:
    """The time of this machine in whole microseconds UTC, held still while the machine steps back."""

    __slots__ = ("_last", "_lock")

    def __init__(self) -> None:
        self._last: Instant = 0
        self._lock = threading.Lock()

    def now(self) -> Instant:
        """Return the present instant, never smaller than any returned before."""
        reading = time.time_ns() // 1_000
        with self._lock:
            self._last = max(self._last, reading)
            return self._last


def new_cid(now: Instant, random_bits: int) -> Cid:
    """Return the UUIDv7 of `now` (to the millisecond) with the low 74 bits of `random_bits`.

    Source: RFC 9562, section 5.7. Python has `uuid.uuid7` from 3.14 on only.
    """
    milliseconds = (now // 1_000) & ((1 << 48) - 1)
    rand_a = (random_bits >> 62) & 0xFFF
    rand_b = random_bits & ((1 << 62) - 1)
    return Cid(str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)))


class CidSource:
    """Makes UUIDv7 identifiers that grow strictly within the process, whatever the clock does.

    Within one millisecond the random part of the last one is raised by a small random step (RFC 9562,
    section 6.2, method 2), so neighbours cannot be told from each other and still sort by age.
    """

    __slots__ = ("_lock", "_milliseconds", "_random", "_random_bits")

    def __init__(self, *, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        self._random_bits = random_bits
        self._milliseconds = -1
        self._random = 0
        self._lock = threading.Lock()

    def __call__(self, now: Instant) -> Cid:
        """Return the identifier of `now`, greater than each one returned before."""
        milliseconds = now // 1_000
        with self._lock:
            if milliseconds > self._milliseconds:
                self._milliseconds = milliseconds
                # The top bit stays free, so that a full millisecond of steps cannot overflow.
                self._random = self._random_bits(_RANDOM_BITS - 1)
            else:
                self._random += 1 + self._random_bits(32)
                if self._random >> _RANDOM_BITS:
                    self._milliseconds += 1
                    self._random = self._random_bits(_RANDOM_BITS - 1)
            return new_cid(self._milliseconds * 1_000, self._random)
