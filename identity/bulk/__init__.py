"""Load many records at once, beside live traffic, to the partition that one by one would give."""

from __future__ import annotations

__all__: list[str] = []
