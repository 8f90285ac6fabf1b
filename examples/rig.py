"""What every example stands on: the `sameas` command on a store of its own, a server, promises that can break.

Invariant: nothing of the caller's `SAMEAS_…` environment reaches an example; a process that is started here is
stopped by its id when its block ends.
Elsewhere: private PostgreSQL and Kafka servers (`deploy.local`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local.children import find_free_port, words_to_die_with_parent

__all__ = [
    "CommandFailed",
    "PromiseBroken",
    "Sameas",
    "promise",
    "run_story",
    "running",
    "show",
    "wait_until",
]

WAIT_S_MAX: Final = 90.0
_COMMAND: Final = (sys.executable, "-c", "from service.cli import main; raise SystemExit(main())")


class PromiseBroken(Exception):
    """The example does not show what it says; its process ends with status 1."""


class CommandFailed(Exception):
    """A `sameas` command ended with another status than 0."""


class Sameas:
    """The command line of one store, as a user has it who sets the same environment."""

    def __init__(self, home: Path, **settings: str) -> None:
        """Keep the store below `home`; settings are named as in docs/settings.md, without `SAMEAS_`."""
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        kept = {name: text for name, text in os.environ.items() if not name.startswith("SAMEAS_")}
        own = {f"SAMEAS_{name.upper()}": text for name, text in settings.items()}
        self._environment = {**kept, "SAMEAS_DATA_DIR": str(home), **own}

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """Run a command to its end and return what it printed; `given` goes to its standard input."""
        done = subprocess.run(
            [*_COMMAND, *arguments],
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(
                f"sameas {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[httpx.Client]:
        """Run `sameas serve` on a free port; yield a client that has the admin key."""
        port = find_free_port()
        log = self.home / "serve.log"
        command = [*_COMMAND, "serve", "--port", str(port), *arguments]
        says = f"sameas serves at http://127.0.0.1:{port}"
        with running(command, environment=self._environment, log=log, until=says):
            key = (self.home / "admin.key").read_text("ascii").strip()
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {key}"},
                timeout=WAIT_S_MAX,
            ) as client:
                yield client

    def make_api_key(self, name: str, *, scopes: Sequence[str], source: str | None = None) -> str:
        """Return a new API key, bound to a source."""
        words = [word for scope in scopes for word in ("--scope", scope)]
        bound = ["--source", source] if source else []
        return next(
            word for word in self("key", "create", name, *words, *bound).split() if word.startswith("sk_")
        )


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, until: str
) -> Iterator[None]:
    """Run a process until the block ends, then end it in order.

    Args:
        log: where what it prints goes.
        until: what it prints once it is ready; the block begins then.
    Raises:
        CommandFailed: it ended before.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(
            [*words_to_die_with_parent("TERM"), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the example, which then stops the process
        )
    finally:
        os.close(descriptor)
    try:
        wait_until(lambda: until in _read(log) or process.poll() is not None, f"{log.stem} is ready")
        if process.poll() is not None:
            raise CommandFailed(f"{log.stem} ended with {process.returncode}: {_read(log)[-800:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(WAIT_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def show(text: str = "") -> None:
    """Print a line of the story."""
    print(text, flush=True)


def promise(what: str, *, holds: bool, found: object = None) -> None:
    """Print what was promised; raise PromiseBroken where it does not hold."""
    if not holds:
        raise PromiseBroken(what if found is None else f"{what}; found: {found}")
    show(f"  ✓ {what}")


def wait_until(holds: Callable[[], Any], what: str) -> None:
    """Return as soon as `holds` says so; raise PromiseBroken with `what` after a minute and a half."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise PromiseBroken(f"{what}: not within {WAIT_S_MAX:.0f} s")
        time.sleep(0.05)


def run_story(story: Callable[[], None]) -> int:
    """Run an example and return its exit status; a broken promise is one line, not a trace."""
    try:
        story()
    except (PromiseBroken, CommandFailed) as exc:
        print(f"  ✗ {exc}", file=sys.stderr)
        return 1
    return 0


def _read(log: Path) -> str:
    return log.read_text("utf-8", errors="replace")
