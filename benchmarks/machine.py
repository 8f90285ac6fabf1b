"""Where figures were taken: processor, cores, memory, versions, commit, date.

Elsewhere: what is measured there.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

from deploy.local.postgres import find_postgres_binaries

__all__ = ["ROOT", "describe_machine", "read_commit", "read_date"]

ROOT = Path(__file__).resolve().parents[1]


def describe_machine() -> str:
    """Return the machine in one line."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    parts = [
        f"{len(os.sched_getaffinity(0))} cores of {cpu[1] if cpu else platform.machine()}",
        f"{int(memory[1]) / 2**20:.0f} GB" if memory else "",
        f"Python {platform.python_version()}",
        _postgres_version(),
    ]
    return ", ".join(part for part in parts if part)


def read_commit() -> str:
    """Return the commit in short form, `+` behind it where the tree differs from it."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    return (commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")) or "unknown"


def read_date() -> str:
    """Return today's date in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _postgres_version() -> str:
    binaries = find_postgres_binaries()
    if binaries is None:
        return ""
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\) (\S+)", said.stdout)
    return f"PostgreSQL {found[1]}" if found else ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
