"""The service: settings, application, access control, telemetry, processes and the command line."""

__all__: list[str] = []
