"""Matching: which records stand for the same customer."""

from __future__ import annotations

__all__: list[str] = []
