"""Read the body and the parameters of a request, refusing what is malformed without echoing it.

Invariant: JSON is UTF-8 and RFC 8259 (no NaN, no lone surrogates); an error names documented members
and counts, never a value or an undocumented member's name.
Elsewhere: limits on bytes (`service.guard`), Arrow bodies (`identity.api.arrow`).
"""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from identity.api.errors import BodyInvalid, BodyMalformed, MediaTypeRefused, ParameterInvalid
from identity.errors import StatementRefused
from identity.model import Instant
from identity.statement import parse_instant

__all__ = [
    "body_of",
    "check_media_type",
    "decode_object",
    "instant_parameter",
    "media_type_of",
    "number_parameter",
    "path_text",
    "read_object",
    "read_shape",
]

Shape = TypeVar("Shape", bound=BaseModel)

_JSON: Final = "application/json"
_INTEGER_DIGITS_MAX: Final = 19


def media_type_of(request: Request) -> str:
    """Return the media type of the body, lower case, without parameters; JSON when none is stated."""
    stated = request.headers.get("content-type", _JSON)
    return stated.partition(";")[0].strip().lower()


def check_media_type(request: Request, *accepted: str) -> None:
    """Raise MediaTypeRefused unless the body is of one of the media types."""
    if media_type_of(request) not in accepted:
        raise MediaTypeRefused(f"this route reads {' or '.join(accepted)}; set the header Content-Type")


async def body_of(request: Request) -> bytes:
    """Return the body of a JSON request as it came."""
    check_media_type(request, _JSON)
    return await request.body()


async def read_object(request: Request) -> dict[str, object]:
    """Return the JSON object that the request's body is."""
    return decode_object(await body_of(request))


def decode_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in `body`."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        # The parser's own message quotes positions only, yet it is built from what was sent: leave it out.
        raise BodyMalformed("the body is not JSON (UTF-8)") from exc
    if not isinstance(parsed, dict):
        raise BodyInvalid("the body is not a JSON object")
    return parsed


async def read_shape(request: Request, shape: type[Shape]) -> Shape:
    """Return the body as a value of `shape`."""
    stated = await read_object(request)
    try:
        return shape.model_validate(stated, strict=True)
    except ValidationError as exc:
        raise BodyInvalid(f"the body has a wrong shape: {_failures(exc)}; see /docs") from None


def path_text(request: Request, name: str) -> str:
    """Return a path parameter decoded from its one percent-encoded segment."""
    try:
        return unquote_to_bytes(request.path_params[name]).decode("utf-8")
    except UnicodeDecodeError:
        raise ParameterInvalid(f"{name} in the path is not percent-encoded UTF-8") from None


def instant_parameter(request: Request, name: str) -> Instant | None:
    """Return a query parameter that is an RFC 3339 time."""
    stated = request.query_params.get(name)
    try:
        return parse_instant(stated, name)
    except StatementRefused as exc:
        raise ParameterInvalid(f"{exc.detail} (in a query a + is written %2B)") from None


def number_parameter(request: Request, name: str, *, least: int, most: int) -> int | None:
    """Return a query parameter that is a whole number from `least` to `most`; None if not stated."""
    stated = request.query_params.get(name)
    if stated is None:
        return None
    if stated.isascii() and stated.isdecimal() and len(stated) <= _INTEGER_DIGITS_MAX:
        number = int(stated)
        if least <= number <= most:
            return number
    raise ParameterInvalid(f"{name} is a whole number from {least} to {most}")


def _failures(error: ValidationError) -> str:
    parts: list[str] = []
    for failure in error.errors(include_input=False, include_url=False, include_context=False)[:5]:
        # A member that is not documented has a name that the caller chose: it is not repeated.
        where = failure["loc"][:-1] if failure["type"] == "extra_forbidden" else failure["loc"]
        parts.append(f"{'.'.join(map(str, where)) or 'body'}: {failure['type']}")
    return ", ".join(parts)
