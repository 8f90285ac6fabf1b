"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

__all__: list[str] = []
