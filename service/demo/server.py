"""Run the `sameas` command: the server for as long as it is shown, others until they end.

Invariant: the process that was started is the one that is stopped, by its id; when the context is left it
has ended. What it prints goes to `serve.log` in its data directory, mode 0600.
Elsewhere: what the command does (`service.cli`), talking to the server (`service.demo.client`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from service.demo.client import ServiceClient
from service.demo.errors import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DEFAULT_PORT", "find_port", "run_command", "serve"]

DEFAULT_PORT: Final = 8360
_COMMAND: Final = (sys.executable, "-c", "from service.cli import main; raise SystemExit(main())")
_START_S: Final = 60
_STOP_S: Final = 40
_POLL_S: Final = 0.1


def find_port(wanted: int | None) -> int:
    """Return the wanted port; without one the default port, or any free one when that is taken."""
    if wanted:
        return wanted
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise DemoFailed("no port of 127.0.0.1 is free.")


def run_command(*arguments: str, data_dir: Path) -> str:
    """Run `sameas` with these arguments to its end and return what it printed.

    Raises:
        DemoFailed: it ended with an error; the end of what it printed is in the message.
    """
    done = subprocess.run(  # noqa: S603  # the arguments are a list, no shell reads them
        [*_COMMAND, *arguments],
        env=_environment(data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"sameas {' '.join(arguments)} ended with {done.returncode}: {done.stdout[-800:]}")
    return done.stdout


@contextmanager
def serve(data_dir: Path, *, port: int) -> Iterator[ServiceClient]:
    """Run `sameas serve` on this port and yield a client of it with the admin key; stop it at the end."""
    log_path = data_dir / "serve.log"
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # A session of its own: Ctrl-C reaches this process, which then stops the server in good order.
        process = subprocess.Popen(  # noqa: S603  # the arguments are a list, no shell reads them
            [*_COMMAND, "serve", "--port", str(port)],
            env=_environment(data_dir),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_it_serves(process, address, log_path)
        api_key = (data_dir / "admin.key").read_text(encoding="ascii").strip()
        yield ServiceClient(address, api_key=api_key)
    finally:
        _stop(process)


def _environment(data_dir: Path) -> dict[str, str]:
    # The demonstration has its own store and key, whatever the shell has set for another one.
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SAMEAS_")}
    return {**kept, "SAMEAS_DATA_DIR": str(data_dir)}


def _wait_until_it_serves(process: subprocess.Popen[bytes], address: str, log_path: Path) -> None:
    # Its own word and not a request: on a port that is taken, another server would answer that.
    deadline = time.monotonic() + _START_S
    while f"sameas serves at {address}" not in log_path.read_text(encoding="utf-8", errors="replace"):
        if process.poll() is not None:
            raise DemoFailed(f"sameas serve ended with {process.returncode}: {_tail(log_path)}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"sameas serve was not ready within {_START_S} s; see {log_path}.")
        time.sleep(_POLL_S)


def _tail(log_path: Path) -> str:
    return log_path.read_text(encoding="utf-8", errors="replace")[-800:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
