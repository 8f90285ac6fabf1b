"""Resolver processes: they execute every write, so that a second core is used and order is kept.

The HTTP process hands *jobs* (JSON heads with raw bodies) to child processes over pipes, many jobs a
frame; a child reads what the jobs state, resolves all their records in one transaction and answers with
bodies that are ready to send.

Nothing is re-exported: a child must not import what only its parent needs.
"""

__all__: list[str] = []
