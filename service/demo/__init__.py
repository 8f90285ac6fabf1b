"""The demonstration: a made-up population whose truth is known, and a run of the service on it."""

__all__: list[str] = []
