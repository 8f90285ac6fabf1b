"""The main program of a companion's process.

It reads its settings from standard input and builds its program; from then on each frame that comes in asks for its
metrics. It ends when its input ends, in order: a parent that dies takes its companions with it.
Elsewhere: what runs (`service.companions.kinds`), the parent (`service.companions.companion`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import IO

from prometheus_client import generate_latest

from matching.errors import SameasError
from service.companions.kinds import COMPANIONS
from service.errors import InternalFault
from service.programs import Program
from service.resolvers.error_heads import error_head
from service.resolvers.frames import Frame, pack_frame, read_frame
from service.settings import Settings
from service.telemetry import configure_logging, logger

__all__ = ["main"]


def main() -> None:
    """Run until standard input ends, or the program fails: then with status 1."""
    # The parent decides when its companions end, by ending their input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    sink = _Sink(os.fdopen(os.dup(1), "wb", buffering=0))
    os.dup2(2, 1)
    first = read_frame(source)
    if first is None:
        return
    try:
        program = _build(first)
    except Exception as exc:  # noqa: BLE001 - the edge of the process: told to the parent
        sink.put(pack_frame({"ready": False, "error": error_head(_known(exc))}))
        sys.exit(1)
    sink.put(pack_frame({"ready": True}))
    threading.Thread(target=_answer, args=(program, source, sink), daemon=True).start()
    try:
        program.run()
    except Exception as exc:  # noqa: BLE001 - the same
        sink.put(pack_frame({"error": error_head(_known(exc))}))
        sys.exit(1)


def _build(first: Frame) -> Program:
    settings = Settings.model_validate(first.head["settings"])
    configure_logging(settings.log_level)
    return COMPANIONS[first.head["companion"]].build(settings)


class _Sink:
    """Frames to the parent, from whichever thread, each whole."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def put(self, frame: bytes) -> None:
        with self._lock:
            while frame:
                frame = frame[self._pipe.write(frame) :]


def _answer(program: Program, source: IO[bytes], sink: _Sink) -> None:
    try:
        while read_frame(source) is not None:
            sink.put(pack_frame({"metrics": True}, _metrics(program)))
    finally:
        # Whatever ends this, nobody reads the end of the input any more.
        program.stop()


def _metrics(program: Program) -> bytes:
    try:
        return generate_latest(program.registry)
    except SameasError:
        return b""  # a store that is away for a moment is no reason to end


def _known(error: Exception) -> SameasError:
    if isinstance(error, SameasError):
        return error
    logger.error("fault", exc_info=error, extra={"sameas_fields": {"process": os.getpid()}})
    return InternalFault("a companion of the service failed; its log says more")


if __name__ == "__main__":
    main()
