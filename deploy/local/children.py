"""Servers as children: a free port each, ended with their starter, stopped by their process id.

Invariant: only processes that were started here are signalled. A child that runs under
`words_to_die_with_parent` also ends when the *thread* that started it ends: start servers in a thread
that lives as long as they shall.
Elsewhere: which servers (`deploy.local.postgres`, `deploy.local.kafka`).
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence

__all__ = ["find_free_port", "stop_child", "words_to_die_with_parent"]


def find_free_port() -> int:
    """Return a port of the loopback address that nobody listens on now; another process may take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def words_to_die_with_parent(signal_name: str) -> list[str]:
    """Return the words before a command that end it by the signal when its parent dies.

    `setpriv` replaces itself by the command, so the process id that we know is the server's own. No words
    where there is no `setpriv` (package util-linux).
    """
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", signal_name]


def stop_child(child: subprocess.Popen[bytes], requests: Sequence[signal.Signals], *, wait_s: float) -> None:
    """Send one signal after the other, each with `wait_s` to end, until the child has ended."""
    for request in requests:
        if child.poll() is not None:
            return
        child.send_signal(request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)
