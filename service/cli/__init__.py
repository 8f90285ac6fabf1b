"""The command `sameas`."""

from __future__ import annotations

from service.cli.program import app, main

__all__ = ["app", "main"]
