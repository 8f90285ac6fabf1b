"""One resolver process, seen from the HTTP process: its queue, its pipe, its restarts.

1. Jobs queue up in order. While the process is idle a job is sent at once; while it works, jobs gather and
   go together as one frame of at most a batch of records. A second frame is sent ahead only when it is
   worth half a batch, so that a long stream never leaves the process idle.
2. A process that dies is started again. The jobs it had not answered are tried once more, each in a frame
   of its own, so that a job that kills its process takes no other with it; one that is not repeatable,
   or dies again, is answered `resolver_lost`.

Invariant: answers come in the order of the jobs; a job is answered exactly once.
Elsewhere: which process a job goes to (`service.resolvers.pool`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from service.errors import ResolverLost, ServiceClosing, ServiceError
from service.resolvers.error_heads import error_of_head
from service.resolvers.frames import Frame, pack_frame, read_frame_async, split_body
from service.telemetry import log_event

__all__ = ["Job", "ResolverProcess"]

_TRIES_MAX: Final = 2
_RESTART_SECONDS: Final = 0.5
_END_SECONDS: Final = 10.0
_READ_BYTES: Final = 1 << 20
_ROOT: Final = Path(__file__).resolve().parents[2]

JobResult = tuple[int, bytes]


@dataclass(slots=True)
class Job:
    """One order or one chunk of lines on its way to a process."""

    head: dict[str, Any]
    body: bytes
    answer: asyncio.Future[JobResult]
    record_count: int = 1
    is_repeatable: bool = True
    tries: int = field(default=0)


class ResolverProcess:
    """One child process and what waits for it."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        batch_records_max: int,
        coalesce_ms: int = 0,
        program: tuple[str, ...] = ("-m", "service.resolvers.child"),
        count_restart: Callable[[], object] = lambda: None,
        count_work: Callable[[Mapping[str, Mapping[str, int]]], object] = lambda _counts: None,
    ) -> None:
        self._settings = settings
        self._batch = batch_records_max
        self._coalesce_seconds = coalesce_ms / 1_000
        self._program = program
        self._count_restart = count_restart
        self._count_work = count_work
        self._queue: deque[Job] = deque()
        self._queued_records = 0
        self._flying: dict[int, list[Job]] = {}
        self._numbers = itertools.count()
        self._child: asyncio.subprocess.Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._runner: asyncio.Task[None] | None = None
        self._is_closing = False

    @property
    def queued_records(self) -> int:
        """How many records wait to be sent."""
        return self._queued_records

    @property
    def is_ready(self) -> bool:
        """True while the process runs and has opened its store."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Start the process and wait until it has opened its store; raises what it met."""
        child = await self._spawn()
        self._runner = asyncio.create_task(self._run(child))

    async def close(self) -> None:
        """Let the process finish what it has, then end it."""
        self._is_closing = True
        if self._child is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    waiting = [job.answer for job in (*self._queue, *itertools.chain(*self._flying.values()))]
                    if waiting:
                        await asyncio.wait(waiting)
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        self._refuse(list(self._queue) + list(itertools.chain(*self._flying.values())), _closing())

    def submit(self, job: Job) -> None:
        """Queue a job and send it as soon as that is right."""
        if self._is_closing:
            self._refuse([job], _closing())
            return
        self._queue.append(job)
        self._queued_records += job.record_count
        if self._coalesce_seconds and not self._flying and self._queued_records < self._batch:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._coalesce_seconds, self._on_timer)
            return
        self._pump()

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    def _pump(self) -> None:
        while self._queue and self._child is not None and len(self._flying) < self._frames_allowed():
            jobs = self._next_jobs()
            number = next(self._numbers)
            self._flying[number] = jobs
            parts = [job.head | {"size": len(job.body)} for job in jobs]
            assert self._child.stdin is not None
            self._child.stdin.write(
                pack_frame({"id": number, "parts": parts}, b"".join(job.body for job in jobs))
            )

    def _frames_allowed(self) -> int:
        if self._queue[0].tries or any(job.tries for jobs in self._flying.values() for job in jobs):
            return 1
        return 2 if self._queued_records * 2 >= self._batch else 1

    def _next_jobs(self) -> list[Job]:
        jobs = [self._queue.popleft()]
        count = jobs[0].record_count
        while (
            self._queue
            and not jobs[0].tries
            and not self._queue[0].tries
            and count + self._queue[0].record_count <= self._batch
        ):
            jobs.append(self._queue.popleft())
            count += jobs[-1].record_count
        self._queued_records -= count
        return jobs

    async def _run(self, child: asyncio.subprocess.Process) -> None:
        """Serve one life of the process after another."""
        while True:
            try:
                self._child = child
                self._pump()
                await self._take_answers(child)
            finally:
                self._child = None
                await _end(child)
            self._count_restart()
            log_event(logging.ERROR, "resolver_died", process=child.pid, status=child.returncode)
            self._give_back()
            while True:
                try:
                    child = await self._spawn()
                    break
                except ServiceError as exc:
                    self._refuse_queue(exc)
                except Exception as exc:  # noqa: BLE001 - whatever hinders a start, the next try may succeed
                    log_event(logging.ERROR, "resolver_not_started", code=type(exc).__name__)
                    self._refuse_queue(
                        ResolverLost("the resolver process cannot be started; it is tried again")
                    )
                await asyncio.sleep(_RESTART_SECONDS)

    async def _take_answers(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        while (frame := await read_frame_async(child.stdout)) is not None:
            jobs = self._flying.pop(frame.head["id"])
            # Sent before the answers are handed out: the process works while we do.
            self._pump()
            self._count_work(frame.head.get("counts", {}))
            _hand_out(jobs, frame)

    def _give_back(self) -> None:
        lost = [job for _, jobs in sorted(self._flying.items()) for job in jobs]
        self._flying.clear()
        again: list[Job] = []
        for job in lost:
            job.tries += 1
            if job.is_repeatable and job.tries < _TRIES_MAX:
                again.append(job)
            else:
                self._refuse(
                    [job],
                    ResolverLost(
                        "the resolver process died over this command; see what is stored, then send again"
                    ),
                )
        self._queue.extendleft(reversed(again))
        self._queued_records += sum(job.record_count for job in again)

    def _refuse_queue(self, error: Exception) -> None:
        jobs = list(self._queue)
        self._queue.clear()
        self._queued_records = 0
        self._refuse(jobs, error)

    @staticmethod
    def _refuse(jobs: list[Job], error: Exception) -> None:
        for job in jobs:
            if not job.answer.done():
                job.answer.set_exception(error)
                # Its asker may be gone with its connection; then nobody looks, and that is no fault.
                job.answer.exception()

    async def _spawn(self) -> asyncio.subprocess.Process:
        paths = os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", ""))).rstrip(os.pathsep)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_READ_BYTES,
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(pack_frame({"settings": dict(self._settings)}))
            _check_ready(await read_frame_async(child.stdout))
        except BaseException:
            await _end(child)
            raise
        return child


def _check_ready(first: Frame | None) -> None:
    if first is None:
        raise ResolverLost("the resolver process ended as it started; its log says more")
    if not first.head["ready"]:
        raise error_of_head(first.head["error"])


def _hand_out(jobs: list[Job], frame: Frame) -> None:
    for job, part, body in zip(jobs, frame.head["parts"], split_body(frame), strict=True):
        if job.answer.done():
            continue
        if "error" in part:
            job.answer.set_exception(error_of_head(part["error"]))
            job.answer.exception()
        else:
            job.answer.set_result((part["status"], body))


def _closing() -> Exception:
    return ServiceClosing("the service is shutting down; send the request again in a moment")


async def _end(child: asyncio.subprocess.Process) -> None:
    """End a child by the end of its input, and by force if it does not heed that."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
