"""The errors of the service package, drawn from the root in `matching.errors`.

Invariant: messages never hold an API key, a path, a query string or a value of a body.
Elsewhere: the HTTP status of each (`service.problems`); all codes in `docs/errors.md`; what a request
can have wrong in itself (`identity.api.errors`).

    SameasError
      * ServiceError
        + SettingsInvalid        the environment does not make a valid configuration
        + Unauthenticated        no API key, or one that is unknown or revoked
        + ScopeMissing           the API key does not have the scope of this route
        + RouteUnknown           no such route
        + MethodNotAllowed       the route exists, with other methods
        + ApiKeyUnknown          no API key in force has this id
        + ApiKeyRefused          an API key with these scopes or sources cannot be
        + ResolverLost           the resolver process died twice over the same command
        + CompanionLost          a program that runs beside the service ended as it started
        + ResolversBusy          too many commands wait for the resolver processes
        + ServiceClosing         the service is shutting down
        + SpoolFull              a stream's answers were not taken and outgrew their spool
        + FileInaccessible       a file that is needed cannot be read or written
        + InternalFault          a fault of the service; the log has it under the answer's id
"""

from __future__ import annotations

from matching.errors import Category, SameasError

__all__ = [
    "ApiKeyRefused",
    "ApiKeyUnknown",
    "CompanionLost",
    "FileInaccessible",
    "InternalFault",
    "MethodNotAllowed",
    "ResolverLost",
    "ResolversBusy",
    "RouteUnknown",
    "ScopeMissing",
    "ServiceClosing",
    "ServiceError",
    "SettingsInvalid",
    "SpoolFull",
    "Unauthenticated",
]


class ServiceError(SameasError):
    """An error of the service package."""


class SettingsInvalid(ServiceError):
    """The environment does not make a valid configuration; the message names the variable only."""

    code = "settings_invalid"
    category = Category.INCORRECT


class Unauthenticated(ServiceError):
    """No API key, or one that is unknown or revoked."""

    code = "unauthenticated"
    category = Category.UNAUTHENTICATED


class ScopeMissing(ServiceError):
    """The API key does not have the scope of this route."""

    code = "scope_missing"
    category = Category.FORBIDDEN


class RouteUnknown(ServiceError):
    """No such route."""

    code = "unknown_route"
    category = Category.NOT_FOUND


class MethodNotAllowed(ServiceError):
    """The route exists, with other methods."""

    code = "method_not_allowed"
    category = Category.INCORRECT


class ApiKeyUnknown(ServiceError):
    """No API key in force has this id."""

    code = "unknown_api_key"
    category = Category.NOT_FOUND


class ApiKeyRefused(ServiceError):
    """An API key with these scopes or sources cannot be."""

    code = "api_key_invalid"
    category = Category.INCORRECT


class ResolverLost(ServiceError):
    """The resolver process died over this command, and again when it was tried once more."""

    code = "resolver_lost"
    category = Category.UNAVAILABLE
    retryable = True


class CompanionLost(ServiceError):
    """A program that runs beside the service ended as it started."""

    code = "companion_lost"
    category = Category.UNAVAILABLE
    retryable = True


class ResolversBusy(ServiceError):
    """Too many commands wait for the resolver processes."""

    code = "resolvers_busy"
    category = Category.BUSY
    retryable = True


class ServiceClosing(ServiceError):
    """The service is shutting down; another one, or this one after its start, will answer."""

    code = "service_closing"
    category = Category.UNAVAILABLE
    retryable = True


class SpoolFull(ServiceError):
    """A stream's answers were not taken, and their spool is full; what was answered is committed."""

    code = "spool_full"
    category = Category.UNAVAILABLE
    retryable = True


class FileInaccessible(ServiceError):
    """A file or directory that the service or its command line needs cannot be read or written."""

    code = "file_inaccessible"
    category = Category.INCORRECT


class InternalFault(ServiceError):
    """A fault of the service itself; the log names it."""

    code = "fault"
    category = Category.FAULT
