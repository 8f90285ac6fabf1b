"""Resolver processes: they execute every write, so that a second core is used and order is kept.

The HTTP process hands *jobs* (JSON heads with raw bodies) to child processes over pipes, many jobs a
frame; a child reads what the jobs state, resolves all their records in one transaction and answers with
bodies that are ready to send.
"""

from __future__ import annotations

from service.resolvers.pool import ResolverPool

__all__ = ["ResolverPool"]
