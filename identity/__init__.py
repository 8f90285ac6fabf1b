"""Identity: who holds which CID, since when, and why."""

from __future__ import annotations

__all__: list[str] = []
