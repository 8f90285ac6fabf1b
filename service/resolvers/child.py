"""The main program of a resolver process.

It reads its settings and then frames of jobs from standard input, and writes frames of answers to what
was standard output; prints go to standard error. It ends when its input ends: a parent that dies takes
its resolvers with it, after the batch under way.
Elsewhere: the jobs (`service.resolvers.work`), the parent (`service.resolvers.process`).
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import IO, Any

from matching.errors import SameasError
from service.errors import InternalFault
from service.resolvers.error_heads import error_head
from service.resolvers.frames import Frame, pack_frame, read_frame, split_body
from service.resolvers.work import JobAnswer, Worker
from service.telemetry import configure_logging, logger

__all__ = ["main", "serve_frames"]

_PIPE_BUFFER = 1 << 18
_GC_THRESHOLD = 20_000


def main() -> None:
    """Run until standard input ends."""
    # Ctrl-C reaches the whole terminal, a stop of the unit its whole group; the parent decides when its
    # resolvers end, by ending their input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb", buffering=_PIPE_BUFFER)
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    first = read_frame(source)
    if first is None:
        return
    try:
        worker = _build(first.head)
    except Exception as exc:  # noqa: BLE001 - the edge of the process: told to the parent
        _write(sink, pack_frame({"ready": False, "error": error_head(_known(exc))}))
        sys.exit(1)
    _write(sink, pack_frame({"ready": True}))
    serve_frames(worker, source, sink)


def serve_frames(worker: Worker, source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer each frame of jobs with a frame of answers, in order."""
    while (frame := read_frame(source)) is not None:
        _write(sink, _answer(worker, frame))


def _build(head: dict[str, Any]) -> Worker:
    from service.bootstrap import bootstrap_identity
    from service.clock import SystemClock
    from service.settings import Settings

    settings = Settings.model_validate(head["settings"])
    configure_logging(settings.log_level)
    identity = bootstrap_identity(settings)
    # A first read opens connections and compiles statements, so that the first record need not wait for it.
    identity.list_sources()
    # What stands now stays for good: collections look at what batches leave behind only.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 100)
    return Worker(identity, now=SystemClock().now, batch_records_max=settings.batch_records_max)


def _answer(worker: Worker, frame: Frame) -> bytes:
    heads = frame.head["parts"]
    try:
        answers = worker.execute(heads, split_body(frame))
    except Exception as exc:  # noqa: BLE001 - the edge of the process: logged and answered, the process lives on
        answers = [JobAnswer(error=_known(exc))] * len(heads)
    parts = [
        {"size": len(answer.body), "status": answer.status}
        | ({} if answer.error is None else {"error": error_head(_known(answer.error))})
        for answer in answers
    ]
    head = {"id": frame.head["id"], "parts": parts, "counts": worker.take_counts()}
    return pack_frame(head, b"".join(answer.body for answer in answers))


def _known(error: Exception) -> SameasError:
    if isinstance(error, SameasError):
        return error
    logger.error("fault", exc_info=error, extra={"sameas_fields": {"process": os.getpid()}})
    return InternalFault("a resolver process failed; its log says more")


def _write(sink: IO[bytes], packed: bytes) -> None:
    view = memoryview(packed)
    while view:
        view = view[sink.write(view) :]


if __name__ == "__main__":
    main()
