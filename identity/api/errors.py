"""What a request to identity's routes can have wrong in itself, before any rule of identity is asked.

Invariant: messages name members of the documented bodies, parameters, sources and sizes; never a
value that the caller sent.
Elsewhere: rules about records and CIDs (`identity.errors`); HTTP statuses (`service.problems`).

    IdentityError
      * RequestRefused
        + BodyMalformed        400: not JSON, not an Arrow stream, not UTF-8
        + MediaTypeRefused     415: another media type than the route reads
        + BodyInvalid          422: the body has a wrong shape
        + ParameterInvalid     422: a query or header parameter has a wrong form
        + BodyTooLarge         413: body, line or list over its limit
        + KeyInPath            422: the source's keys are personal, so they may not stand in a path
        + SourceForbidden      403: the API key is not bound to this source
"""

from __future__ import annotations

from identity.errors import IdentityError
from matching.errors import Category

__all__ = [
    "BodyInvalid",
    "BodyMalformed",
    "BodyTooLarge",
    "KeyInPath",
    "MediaTypeRefused",
    "ParameterInvalid",
    "RequestRefused",
    "SourceForbidden",
]


class RequestRefused(IdentityError):
    """A request that no state of the store could make right."""

    category = Category.INCORRECT
    code = "request_refused"


class BodyMalformed(RequestRefused):
    """The body cannot be read as what it says it is."""

    code = "malformed"


class MediaTypeRefused(RequestRefused):
    """The body's media type is not one that this route reads."""

    code = "unsupported_media_type"


class BodyInvalid(RequestRefused):
    """The body can be read and has a wrong shape; the message names the member."""

    code = "body_invalid"


class ParameterInvalid(RequestRefused):
    """A parameter in the query or a header has a wrong form; the message names the parameter."""

    code = "parameter_invalid"


class BodyTooLarge(RequestRefused):
    """A body, a line or a list is over its limit."""

    code = "too_large"
    category = Category.TOO_LARGE


class KeyInPath(RequestRefused):
    """The keys of this source are personal data, and paths are written to logs of others."""

    code = "key_in_path"


class SourceForbidden(RequestRefused):
    """The API key is bound to other sources."""

    code = "source_forbidden"
    category = Category.FORBIDDEN
