"""Draw the JSON Schemas of outgoing messages from their models, and tell what of a change breaks consumers.

A change breaks when a message that is written by the new schema can surprise who reads by the old one: a member
is gone or may be missing, or may hold what it never held (another type, a new value of a list). New members do not.

Invariant: pure; equal models give equal documents.
Elsewhere: the models (`streams.messages`), the files (`streams.schema_files`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from streams import messages
from streams.messages import schema_urn

__all__ = ["SHAPES", "breaking_changes", "draw_schema"]

SHAPES: Final[Mapping[str, type[BaseModel]]] = {
    "assignments": messages.AssignmentMessage,
    "assignments-key": messages.AssignmentKeyMessage,
    "cids": messages.CidRow,
    "crosswalk": messages.CrosswalkRow,
    "customers": messages.CustomerEvent,
    "rejects": messages.RejectRow,
}
"""The model of each kind of value (and of the one key that is no text), by the name that its schema has."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ANY: Final = "anything"

Schema = Mapping[str, Any]


class _Slot(NamedTuple):
    """One place in a message: what may stand there, and whether something always does."""

    types: frozenset[str]
    values: frozenset[str] | None
    is_required: bool


def draw_schema(shape: str) -> dict[str, Any]:
    """Return the JSON Schema of one kind of value."""
    drawn = SHAPES[shape].model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": _DIALECT, "$id": schema_urn(shape), **drawn}


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return what surprises who reads messages of the schema `new` by the schema `old`, a sentence each."""
    found = []
    after = dict(_slots(new, new))
    for place, was in _slots(old, old):
        now = after.get(place)
        if now is None:
            found.append(f"{place} is gone")
            continue
        if was.is_required and not now.is_required:
            found.append(f"{place} may be missing")
        if _ANY not in was.types and not now.types <= was.types:
            found.append(f"{place} may be {_listed(now.types - was.types)}")
        if was.values is not None:
            if now.values is None:
                found.append(f"{place} may be any value")
            elif not now.values <= was.values:
                found.append(f"{place} may be {_listed(now.values - was.values)}")
    return found


def _slots(
    root: Schema, schema: Schema, place: str = "$", *, is_required: bool = True
) -> Iterator[tuple[str, _Slot]]:
    """Yield every place of a message by its path."""
    options = list(_options(root, schema))
    types = frozenset(kind for option in options for kind in _types(option))
    lists = [_values(option) for option in options if option.get("type") != "null"]
    values = (
        None if not lists or None in lists else frozenset().union(*(one for one in lists if one is not None))
    )
    yield place, _Slot(types, values, is_required)
    for option in options:
        required = option.get("required", ())
        for name, inner in option.get("properties", {}).items():
            yield from _slots(root, inner, f"{place}.{name}", is_required=name in required)
        if "items" in option:
            yield from _slots(root, option["items"], f"{place}[]")


def _options(root: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the schemas of which one holds, references followed."""
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from _options(root, target)
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from _options(root, option)
    else:
        yield schema


def _types(schema: Schema) -> frozenset[str]:
    kind = schema.get("type", _ANY)
    return frozenset([kind] if isinstance(kind, str) else kind)


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset([str(schema["const"])])
    return frozenset(map(str, schema["enum"])) if "enum" in schema else None


def _listed(texts: frozenset[str]) -> str:
    return " or ".join(sorted(texts))
