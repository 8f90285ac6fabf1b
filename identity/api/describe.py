"""Describe a route: the scope it needs, its bodies and parameters for OpenAPI, its limits.

Invariant: a route's policy (`x-sameas-scope`) stands beside the route itself and in the OpenAPI
document; `service.guard` enforces it and refuses to start over a route that has none.
Bodies are read by hand (`identity.api.read_body`), because validating hot routes twice costs more than
answering them; the shapes in `identity.api.shapes` document them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

__all__ = ["BODY_LIMIT", "PERSONAL", "SCOPE", "parameter", "route"]

SCOPE: Final = "x-sameas-scope"
"""The scope that a caller needs: read, write, steward, admin, or any (each valid API key)."""

PERSONAL: Final = "x-sameas-personal"
"""True where the answer holds personal data, so that each call is logged with its caller."""

BODY_LIMIT: Final = "x-sameas-body"
"""Which limit holds for the body: record (1 MiB), list (32 MiB), stream (none, a line 1 MiB)."""

_JSON: Final = "application/json"


def parameter(name: str, text: str, *, place: str = "query", example: str | None = None) -> dict[str, Any]:
    """Return the OpenAPI description of one optional parameter."""
    described: dict[str, Any] = {"name": name, "in": place, "description": text, "schema": {"type": "string"}}
    if example is not None:
        described["example"] = example
    return described


def route(
    path: str,
    *,
    scope: str,
    answer: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    status: int = 200,
    also: Mapping[int, str] | None = None,
    parameters: Sequence[Mapping[str, Any]] = (),
    media_types: Sequence[str] = (_JSON,),
    answer_types: Sequence[str] = (),
    limit: str = "record",
    personal: bool = False,
) -> dict[str, Any]:
    """Return the arguments of `APIRouter.add_api_route` that describe and guard a route."""
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "one percent-encoded segment, %2F included" if name == "key" else name,
        }
        for name in re.findall(r"{(\w+)}", path)
    ]
    extra: dict[str, Any] = {SCOPE: scope, BODY_LIMIT: limit, PERSONAL: personal}
    if in_path or parameters:
        extra["parameters"] = [*in_path, *parameters]
    if body is not None:
        schema = _inline(body.model_json_schema())
        extra["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} if kind.endswith("json") else {} for kind in media_types},
        }
    answers: dict[int | str, dict[str, Any]] = {}
    if answer is not None:
        answers[status] = {"model": answer, "description": "Done"}
        if answer_types:
            answers[status]["content"] = {kind: {} for kind in answer_types}
    for code, text in (also or {}).items():
        answers[code] = {"description": text}
    return {
        "path": path,
        "status_code": status,
        "responses": answers,
        "openapi_extra": extra,
        "response_model": None,
    }


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """Put the definitions of a JSON Schema where they are referred to; ours never refer to themselves."""
    definitions = schema.pop("$defs", {})

    def put(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return put(definitions[node["$ref"].rpartition("/")[2]])
            return {name: put(child) for name, child in node.items()}
        return [put(child) for child in node] if isinstance(node, list) else node

    inlined = put(schema)
    assert isinstance(inlined, dict)
    return inlined
