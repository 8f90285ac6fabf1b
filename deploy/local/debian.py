"""Install packages of Debian: as root, or by sudo where it asks for no password.

Invariant: nothing is asked at the keyboard; what cannot be installed is an error that says why.
Elsewhere: which packages (`deploy.local.postgres`, `deploy.local.kafka`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

__all__ = ["NotInstalled", "apt_command", "find_root_words", "run_installer"]


class NotInstalled(Exception):
    """A package is missing and cannot be installed; the message ends with what the installer said."""


def find_root_words() -> list[str] | None:
    """Return the words before a command that run it as root; none as root, None where that cannot be had."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def apt_command(root_words: Sequence[str]) -> list[str]:
    """Return `apt-get` with the options that keep it from asking; its own command is appended."""
    return [
        *root_words,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-o",
        "Dpkg::Options::=--force-confold",
    ]


def run_installer(command: Sequence[str]) -> None:
    """Run the command; NotInstalled when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
