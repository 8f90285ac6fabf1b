"""Load many records at once, beside live traffic, to the partition that one by one would give."""

from __future__ import annotations

from identity.bulk.load import LoadReport, LoadRequest, load_records
from identity.bulk.preparing import StatementSource

__all__ = ["LoadReport", "LoadRequest", "StatementSource", "load_records"]
