"""JSON Schemas drawn from models, and which changes of them break consumers."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, create_model

from streams.message_schemas import SHAPES, breaking_changes, draw_schema


class Inner(BaseModel):
    ref: str
    kind: Literal["a", "b"]


def drawn(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "text": (str, ...),
        "number": (int | None, ...),
        "inner": (Inner, ...),
        "list": (list[str], ...),
        **changes,
    }
    kept = {name: field for name, field in fields.items() if field is not None}
    model: type[BaseModel] = create_model("Value", **kept)
    return model.model_json_schema(mode="serialization")


class Retyped(BaseModel):
    ref: int
    kind: Literal["a", "b"]


class Wider(BaseModel):
    ref: str
    kind: Literal["a", "b", "c"]


class Narrower(BaseModel):
    ref: str
    kind: Literal["a"]
    new: int


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": None}, ["$.text is gone"]),
        ({"text": (int, ...)}, ["$.text may be integer"]),
        ({"text": (str | None, ...)}, ["$.text may be null"]),
        ({"text": (str | None, None)}, ["$.text may be missing", "$.text may be null"]),
        ({"list": (list[int], ...)}, ["$.list[] may be integer"]),
        ({"list": (str, ...)}, ["$.list may be string", "$.list[] is gone"]),
        ({"inner": (Retyped, ...)}, ["$.inner.ref may be integer"]),
        ({"inner": (Wider, ...)}, ["$.inner.kind may be c"]),
        ({"inner": (dict[str, str], ...)}, ["$.inner.ref is gone", "$.inner.kind is gone"]),
    ],
)
def test_a_change_that_can_surprise_a_reader_breaks(changes: dict[str, Any], expected: list[str]) -> None:
    assert breaking_changes(drawn(), drawn(**changes)) == expected


@pytest.mark.parametrize(
    "changes", [{}, {"new": (str, ...)}, {"number": (int, ...)}, {"inner": (Narrower, ...)}]
)
def test_a_change_that_a_reader_need_not_know_of_breaks_nothing(changes: dict[str, Any]) -> None:
    assert breaking_changes(drawn(), drawn(**changes)) == []


def test_a_member_that_may_be_missing_breaks() -> None:
    optional = drawn()
    optional["required"].remove("text")

    assert breaking_changes(drawn(), optional) == ["$.text may be missing"]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_schema_is_one_and_says_which(shape: str) -> None:
    schema = draw_schema(shape)

    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:sameas:schema:{shape}:v1"
    assert sorted(schema["required"]) == sorted(schema["properties"])
