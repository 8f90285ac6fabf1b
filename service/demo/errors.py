"""The errors of the demonstration, drawn from the root in `matching.errors`.

Invariant: a message says what could not be done and where to read more.
Elsewhere: the errors of the service that is shown (`service.errors`).

    SameasError
      * DemoFailed      the service that is shown did not start, or did not answer as it should
"""

from __future__ import annotations

from matching.errors import SameasError

__all__ = ["DemoFailed"]


class DemoFailed(SameasError):
    """The demonstration cannot go on."""

    code = "demo_failed"
