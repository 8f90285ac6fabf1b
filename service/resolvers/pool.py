"""The resolver processes together: which one a write goes to.

Invariant: statements about one (source, key) always go to the same process, so they keep their order.
Elsewhere: one process (`service.resolvers.process`), what it does (`service.resolvers.work`).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from identity.api.doors import Order, OrderAnswer
from service.errors import ResolversBusy
from service.resolvers.process import Job, JobResult, ResolverProcess

__all__ = ["ResolverPool"]

_LINES: Final = "lines"


class ResolverPool:
    """All resolver processes of one service."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        process_count: int,
        batch_records_max: int,
        waiting_records_max: int,
        coalesce_ms: int = 0,
        program: tuple[str, ...] = ("-m", "service.resolvers.child"),
        count_restart: Callable[[], object] = lambda: None,
        count_work: Callable[[Mapping[str, Mapping[str, int]]], object] = lambda _counts: None,
    ) -> None:
        self._waiting_max = waiting_records_max
        self._processes = [
            ResolverProcess(
                settings,
                batch_records_max=batch_records_max,
                coalesce_ms=coalesce_ms,
                program=program,
                count_restart=count_restart,
                count_work=count_work,
            )
            for _ in range(process_count)
        ]

    @property
    def process_count(self) -> int:
        """How many processes there are."""
        return len(self._processes)

    @property
    def ready_count(self) -> int:
        """How many of them run."""
        return sum(process.is_ready for process in self._processes)

    @property
    def waiting_records(self) -> int:
        """How many records wait for a process."""
        return sum(process.queued_records for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run."""
        return [process.pid for process in self._processes if process.pid is not None]

    async def start(self) -> None:
        """Start all processes; they serve when this returns."""
        await asyncio.gather(*(process.start() for process in self._processes))

    async def close(self) -> None:
        """End all processes after what they are at."""
        await asyncio.gather(*(process.close() for process in self._processes))

    def lane_of(self, source: str, key: str) -> int:
        """Return the process that statements about this key go to."""
        return zlib.crc32(f"{source}\0{key}".encode("utf-8", "surrogatepass")) % len(self._processes)

    async def write(self, order: Order) -> OrderAnswer:
        """Return what a process answered to `order`; raises its error, or ResolversBusy."""
        process = self._processes[self.lane_of(*order.lane)]
        if process.queued_records >= self._waiting_max:
            raise ResolversBusy("too many records wait to be resolved; send this one again in a moment")
        head = {"do": order.do, **order.arguments}
        status, body = await _submit(process, head, order.body, is_repeatable=order.repeatable)
        return OrderAnswer(status, body)

    async def answer_lines(self, lane: int, lines: list[bytes], *, source: str, author: str) -> list[bytes]:
        """Return the answer lines of record lines, at most a batch of them."""
        head = {"do": _LINES, "source": source, "author": author}
        _, body = await _submit(self._processes[lane], head, b"\n".join(lines), record_count=len(lines))
        return body.split(b"\n")


async def _submit(
    process: ResolverProcess,
    head: dict[str, Any],
    body: bytes,
    *,
    record_count: int = 1,
    is_repeatable: bool = True,
) -> JobResult:
    answer: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
    process.submit(
        Job(head=head, body=body, answer=answer, record_count=record_count, is_repeatable=is_repeatable)
    )
    return await answer
