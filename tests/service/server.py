"""Run `sameas serve` as its users do, for tests over real sockets.

Invariant: the server listens on a free port and is ended, with its processes, when the `with` block ends.
Elsewhere: calls without a server (`tests/service/asgi.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

__all__ = ["COMMAND", "ServedService", "environment", "serve"]

COMMAND = [sys.executable, "-c", "from service.cli import main; main()"]
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class ServedService:
    """A running service, and an admin's client of it."""

    url: str
    admin_key: str
    data_dir: Path
    log_file: Path
    pid: int
    client: httpx.Client

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Return the answer to a request of the admin, or of the bearer of `key`."""
        if "key" in arguments:
            arguments["headers"] = {**arguments.get("headers", {}), "x-api-key": arguments.pop("key")}
        return self.client.request(method, path, **arguments)

    def lines(self, source: str, lines: bytes, **arguments: Any) -> list[dict[str, Any]]:
        """Return the answers to a stream of record lines."""
        answer = self.ask(
            "POST",
            f"/v1/sources/{source}/records",
            content=lines,
            headers={"content-type": "application/x-ndjson"},
            **arguments,
        )
        assert answer.status_code == 200, answer.text
        return [httpx.Response(200, content=line).json() for line in answer.content.splitlines()]

    def log(self) -> str:
        """Return all that the service has logged."""
        return self.log_file.read_text(encoding="utf-8")


def environment(data_dir: Path, **changes: str) -> dict[str, str]:
    """Return the environment of a command, with no setting but these."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SAMEAS_")}
    return {**kept, "PYTHONPATH": str(_ROOT), "SAMEAS_DATA_DIR": str(data_dir), **changes}


@contextlib.contextmanager
def serve(data_dir: Path, **changes: str) -> Iterator[ServedService]:
    """Run a service with its data in `data_dir`; cost: about two seconds.

    Where it has a certificate, its client trusts that one and no other.
    """
    log_file = data_dir.with_suffix(".log")
    with log_file.open("wb") as log:
        program = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0"],
            env=environment(data_dir, **changes),
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=_ROOT,
        )
    assert program.stdout is not None
    try:
        url = ""
        for line in program.stdout:
            words = line.decode().split()
            if words[:3] == ["sameas", "serves", "at"]:
                url = words[3]
                break
        assert url, log_file.read_text()
        admin_key = changes.get("SAMEAS_ADMIN_KEY") or (data_dir / "admin.key").read_text().strip()
        certificate = changes.get("SAMEAS_TLS_CERT")
        verify = ssl.create_default_context(cafile=certificate) if certificate else True
        with httpx.Client(
            base_url=url, headers={"x-api-key": admin_key}, timeout=60, verify=verify
        ) as client:
            yield ServedService(url, admin_key, data_dir, log_file, program.pid, client)
    finally:
        program.send_signal(signal.SIGTERM)
        try:
            program.wait(30)
        finally:
            program.kill()
            program.wait()
            program.stdout.close()
