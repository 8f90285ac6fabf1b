"""Hold fetched messages between the thread that polls Kafka and the one that takes them into the store.

What becomes of a partition:
1. It is assigned. Nothing of it is kept yet: only the store knows where it goes on.
2. The taking thread locates it (`locate`); the polling thread seeks there (`list_seeks`, `mark_sought`).
3. From then on its messages are kept in order, until they are taken (`mark_taken`). Beyond a limit its fetching is
   to pause (`is_full`).
4. It is revoked, or somebody else was found to take from it (`misplace`): what is kept is dropped.

Invariant: what is picked of a partition begins at its located offset and has no gap but those that Kafka itself
leaves; a message is on the shelf until it is taken, so a batch that failed is picked again. Each assignment has a
number of its own: what was said about an older one is not heard.
Elsewhere: Kafka (`streams.consuming`), the store (`streams.take`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Final

from streams.offsets import Partition, Position
from streams.reading import Fetched
from streams.take import Slice

__all__ = ["MESSAGES_MAX", "Assignment", "Shelf"]

MESSAGES_MAX: Final = 1_000
"""Messages kept of one partition before its fetching pauses; it goes on at half of it."""
_BYTES_MAX: Final = 32 << 20
"""Bytes kept of all partitions before all fetching pauses."""

Assignment = tuple[Partition, int]
"""A partition, and the number of its assignment."""


@dataclass(slots=True)
class _Stack:
    number: int
    next_offset: int | None = None  # what the store holds; None until it was asked
    taken: range = range(0)
    is_sought: bool = False
    end: int = 0  # one after the last message kept
    messages: deque[Fetched] = field(default_factory=deque)
    size: int = 0


class Shelf:
    """The messages at hand of the partitions assigned to one worker; safe to share between its threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stacks: dict[Partition, _Stack] = {}
        self._numbers = count(1)
        self._turn = 0
        self._is_closed = False

    # -- the polling thread -------------------------------------------------------------------------------

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Begin with newly assigned partitions."""
        with self._changed:
            for partition in partitions:
                self._stacks[partition] = _Stack(next(self._numbers))
            self._changed.notify_all()

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Drop partitions that belong to somebody else now."""
        with self._changed:
            for partition in partitions:
                self._stacks.pop(partition, None)

    def list_seeks(self) -> list[tuple[Assignment, int]]:
        """Return the located assignments whose fetching does not stand at their offset yet."""
        with self._changed:
            return [
                ((partition, stack.number), stack.next_offset)
                for partition, stack in self._stacks.items()
                if stack.next_offset is not None and not stack.is_sought
            ]

    def mark_sought(self, assignment: Assignment) -> None:
        """Keep the messages of this assignment that are fetched from now on."""
        with self._changed:
            stack = self._find(assignment)
            if stack is not None and stack.next_offset is not None:
                stack.is_sought = True
                stack.end = stack.next_offset

    def put(self, messages: Iterable[Fetched]) -> None:
        """Keep fetched messages; those of partitions that are not sought, or that are kept already, are dropped."""
        with self._changed:
            for message in messages:
                stack = self._stacks.get(message.partition)
                if stack is not None and stack.is_sought and message.offset >= stack.end:
                    stack.messages.append(message)
                    stack.end = message.offset + 1
                    stack.size += len(message.value or b"")
            self._changed.notify_all()

    def is_full(self, partition: Partition, *, was_full: bool) -> bool:
        """Tell whether the fetching of a partition is to pause."""
        with self._changed:
            stack = self._stacks.get(partition)
            if stack is None or not stack.messages:
                return False
            messages_max = MESSAGES_MAX // 2 if was_full else MESSAGES_MAX
            bytes_max = _BYTES_MAX // 2 if was_full else _BYTES_MAX
            return len(stack.messages) >= messages_max or self._size() >= bytes_max

    def read_positions(self) -> dict[Partition, int]:
        """Return up to where each partition is taken."""
        with self._changed:
            return {
                partition: stack.next_offset
                for partition, stack in self._stacks.items()
                if stack.next_offset is not None
            }

    def close(self) -> None:
        """Let the taking thread end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    # -- the taking thread --------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """True when the taking thread is to end."""
        return self._is_closed

    def list_unlocated(self) -> list[Assignment]:
        """Return the assignments whose offset the store has to tell."""
        with self._changed:
            return [
                (partition, stack.number)
                for partition, stack in self._stacks.items()
                if stack.next_offset is None
            ]

    def locate(self, positions: Mapping[Assignment, Position]) -> None:
        """Say where assignments go on."""
        with self._changed:
            for assignment, position in positions.items():
                stack = self._find(assignment)
                if stack is not None:
                    stack.next_offset, stack.taken = position

    def misplace(self, partitions: Iterable[Partition]) -> None:
        """Drop what is kept of partitions of which somebody else took; they are to be located anew."""
        with self._changed:
            for partition in partitions:
                if partition in self._stacks:
                    self._stacks[partition] = _Stack(next(self._numbers))

    def wait(self, timeout_s: float, *, is_anything_new: bool = True) -> None:
        """Wait until there is something to take or to locate (if asked for), the shelf is closed, or time is up."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or (is_anything_new and self._has_work()), timeout_s
            )

    def pick(self, limit: int) -> list[Slice]:
        """Return the front of the partitions, `limit` messages at most; each begins first in its turn."""
        with self._changed:
            ready = [(partition, stack) for partition, stack in self._stacks.items() if stack.messages]
            if not ready:
                return []
            self._turn += 1
            first = self._turn % len(ready)
            ready = ready[first:] + ready[:first]
            counts = _share(limit, [len(stack.messages) for _, stack in ready])
            return [
                Slice(partition, stack.next_offset or 0, list(islice(stack.messages, number)), stack.taken)
                for (partition, stack), number in zip(ready, counts, strict=True)
                if number
            ]

    def mark_taken(self, partition: Partition, *, expected: int, next_offset: int) -> None:
        """Drop messages that are stored, unless the partition was assigned anew since they were picked."""
        with self._changed:
            stack = self._stacks.get(partition)
            if stack is None or stack.next_offset != expected or not stack.is_sought:
                return
            while stack.messages and stack.messages[0].offset < next_offset:
                stack.size -= len(stack.messages.popleft().value or b"")
            stack.next_offset = next_offset

    # -- both ---------------------------------------------------------------------------------------------

    def _find(self, assignment: Assignment) -> _Stack | None:
        partition, number = assignment
        stack = self._stacks.get(partition)
        return stack if stack is not None and stack.number == number else None

    def _has_work(self) -> bool:
        return any(stack.messages or stack.next_offset is None for stack in self._stacks.values())

    def _size(self) -> int:
        return sum(stack.size for stack in self._stacks.values())


def _share(limit: int, counts: Sequence[int]) -> list[int]:
    """Return how much of each count to take: the same of all, and what one does not need goes to the others."""
    shares = [0] * len(counts)
    left = limit
    while left > 0 and (wanting := [place for place, number in enumerate(counts) if shares[place] < number]):
        each = max(1, left // len(wanting))
        for place in wanting:
            more = min(each, counts[place] - shares[place], left)
            shares[place] += more
            left -= more
    return shares
