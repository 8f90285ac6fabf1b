"""The HTTP routes of identity, without the service that runs them.

Elsewhere: all of them together (`identity.api.routes`); settings, access control, processes and the
application (`service`). Nothing is re-exported: resolver processes need single rooms, not the routes.
"""

__all__: list[str] = []
