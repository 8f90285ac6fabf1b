"""Records in, CIDs out: files and their mapping today, streams of changes later.

Invariant: no row is dropped silently: it becomes a mapped row or an error value with a code.
Elsewhere: what a statement may hold (`identity.statement`), what it does (`identity.service`).
"""

__all__: list[str] = []
