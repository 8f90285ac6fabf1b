"""Render errors as RFC 9457 problem details; the one table from error to HTTP status.

Invariant: a problem never holds a value that the caller sent unless the error's own message does,
and errors of foreign libraries are rendered without their message.
Elsewhere: the errors (`errors.py` of each package); the list of codes (`docs/errors.md`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from identity.api.errors import BodyInvalid, BodyMalformed, BodyTooLarge, MediaTypeRefused
from matching.errors import Category, SameasError
from service.errors import InternalFault, MethodNotAllowed, RouteUnknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "STATUS_OF_CATEGORY",
    "STATUS_OF_CODE",
    "add_problem_handlers",
    "problem_document",
    "problem_of",
    "problem_response",
    "status_of",
]

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

STATUS_OF_CATEGORY: Final[Mapping[Category, int]] = {
    Category.INCORRECT: 422,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.TOO_LARGE: 413,
    Category.BUSY: 429,
    Category.UNSUPPORTED: 501,
    Category.UNAVAILABLE: 503,
    Category.FAULT: 500,
}

STATUS_OF_CODE: Final[Mapping[str, int]] = {
    BodyMalformed.code: 400,
    MediaTypeRefused.code: 415,
    MethodNotAllowed.code: 405,
}
"""The codes of `incorrect` for which HTTP has a status of their own."""

_RETRY_AFTER_SECONDS: Final = 1


def status_of(error: SameasError) -> int:
    """Return the HTTP status of an error."""
    return STATUS_OF_CODE.get(error.code) or STATUS_OF_CATEGORY[error.category]


def problem_document(error: SameasError) -> dict[str, object]:
    """Return the members of the problem; `code` is stable, `detail` is for people."""
    status = status_of(error)
    return {
        "type": f"urn:sameas:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
    }


def problem_response(error: SameasError, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the HTTP answer of an error, with `Retry-After` where a retry can help soon."""
    extra = dict(headers or {})
    if error.category in {Category.UNAVAILABLE, Category.BUSY}:
        extra.setdefault("retry-after", str(_RETRY_AFTER_SECONDS))
    if error.category is Category.UNAUTHENTICATED:
        extra.setdefault("www-authenticate", "Bearer")
    return Response(
        orjson.dumps(problem_document(error)),
        status_code=status_of(error),
        media_type=PROBLEM_MEDIA_TYPE,
        headers=extra,
    )


def problem_of(error: Exception) -> SameasError:
    """Return the error of ours that an exception stands for; its own message is left out.

    Ours pass as they are; those of FastAPI and Starlette are translated; all else is a fault.
    """
    if isinstance(error, SameasError):
        return error
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_status(error.status_code)
    return InternalFault("the service failed; its log says more under the id of this request")


def add_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every error as a problem."""

    async def answer(_request: Request, error: Exception) -> Response:
        headers = error.headers if isinstance(error, HTTPException) else None
        return problem_response(problem_of(error), headers=headers)

    for kind in (SameasError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def _of_validation(error: RequestValidationError) -> SameasError:
    """Only the kinds of the failures are told: locations and inputs may hold what the caller sent."""
    kinds = sorted({str(failure.get("type", "invalid")) for failure in error.errors()})
    if "json_invalid" in kinds:
        return BodyMalformed("the body is not JSON")
    return BodyInvalid(f"the request has a wrong shape: {', '.join(kinds)}; see /docs")


def _of_status(status: int) -> SameasError:
    if status == HTTPStatus.NOT_FOUND:
        return RouteUnknown("no such route; /docs lists all")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowed("this route has other methods; see the header Allow")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return BodyTooLarge("the body is over its limit")
    if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return MediaTypeRefused("this route reads another media type; see /docs")
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BodyMalformed("the request cannot be read")
    return InternalFault("the service failed; its log says more")
