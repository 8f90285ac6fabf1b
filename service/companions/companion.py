"""One companion's process, seen from the HTTP service: started, watched, started again, ended in order.

Invariant: whatever ends the process, it is started again after a pause that grows while it keeps ending; requests to
the HTTP service never wait for it.
Elsewhere: all companions together (`service.companions.group`), the process itself (`service.companions.child`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from matching.errors import SameasError
from service.errors import CompanionLost
from service.resolvers.error_heads import error_of_head
from service.resolvers.frames import Frame, pack_frame, read_frame_async
from service.telemetry import log_event

__all__ = ["Companion"]

_PAUSE_S_MIN: Final = 0.5
_PAUSE_S_MAX: Final = 30.0
_STEADY_S: Final = 60.0
"""A process that ran so long is started again without a long pause."""
_END_S: Final = 30.0
_METRICS_S: Final = 2.0
_ROOT: Final = Path(__file__).resolve().parents[2]


class Companion:
    """One process and its restarts.

    Args:
        name: of its kind.
        settings: as JSON values, secrets in clear: they go through a pipe, not by environment.
        count_restart: called whenever the process is started again.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        count_restart: Callable[[], object] = lambda: None,
        program: tuple[str, ...] = ("-m", "service.companions.child"),
    ) -> None:
        self.name = name
        self._settings = settings
        self._count_restart = count_restart
        self._program = program
        self._child: asyncio.subprocess.Process | None = None
        self._runner: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._is_closing = False
        self.last_failure: str | None = None

    @property
    def is_running(self) -> bool:
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
        """Let the process finish what it is at, then end it."""
        self._is_closing = True
        if self._runner is None:
            return
        if self._child is not None:
            _end_input(self._child)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await asyncio.shield(self._runner)
        self._runner.cancel()
        await asyncio.wait([self._runner])

    async def read_metrics(self) -> bytes:
        """Return its metrics in the text format of Prometheus; nothing while it does not answer."""
        if self._child is None or self._child.stdin is None:
            return b""
        if self._answer is None or self._answer.done():
            self._answer = asyncio.get_running_loop().create_future()
            self._child.stdin.write(pack_frame({"ask": "metrics"}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_METRICS_S):
                return await asyncio.shield(self._answer)
        return b""

    async def _run(self, child: asyncio.subprocess.Process) -> None:
        """Watch one life of the process after another."""
        clock = asyncio.get_running_loop().time
        pause_s = _PAUSE_S_MIN
        while True:
            self._child = child
            started_at = clock()
            try:
                await self._listen(child)
            finally:
                self._child = None
                self._forget_question()
                await _end(child)
            if self._is_closing:
                return
            log_event(
                logging.ERROR,
                "companion_ended",
                companion=self.name,
                process=child.pid,
                status=child.returncode,
            )
            if clock() - started_at > _STEADY_S:
                pause_s = _PAUSE_S_MIN
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_S_MAX)
                self._count_restart()
                try:
                    child = await self._spawn()
                    break
                except SameasError as exc:
                    self._note_failure(exc.code)
                except Exception as exc:  # noqa: BLE001 - whatever hinders a start, the next try may succeed
                    self._note_failure(type(exc).__name__)

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        while (frame := await read_frame_async(child.stdout)) is not None:
            if "error" in frame.head:
                self._note_failure(str(frame.head["error"]["code"]))
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(frame.body)

    def _forget_question(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(b"")

    def _note_failure(self, code: str) -> None:
        self.last_failure = code
        log_event(logging.ERROR, "companion_failed", companion=self.name, code=code)

    async def _spawn(self) -> asyncio.subprocess.Process:
        paths = os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", ""))).rstrip(os.pathsep)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(pack_frame({"companion": self.name, "settings": dict(self._settings)}))
            _check_ready(self.name, await read_frame_async(child.stdout))
        except BaseException:
            await _end(child)
            raise
        return child


def _check_ready(name: str, first: Frame | None) -> None:
    if first is None:
        raise CompanionLost(f"the {name} ended as it started; its log says more")
    if not first.head["ready"]:
        raise error_of_head(first.head["error"])


def _end_input(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None:
        child.stdin.close()


async def _end(child: asyncio.subprocess.Process) -> None:
    """End a child by the end of its input, and by force if it does not heed that."""
    _end_input(child)
    try:
        async with asyncio.timeout(_END_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
