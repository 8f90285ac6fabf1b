"""Descriptions of routes."""

from __future__ import annotations

from identity.api.describe import BODY_LIMIT, PERSONAL, SCOPE, parameter, route
from identity.api.shapes import JudgementAnswer, JudgementBody


def test_a_route_states_its_policy_and_its_parameters() -> None:
    described = route(
        "/v1/x/{source}/{key}", scope="read", parameters=[parameter("at", "when")], personal=True
    )

    extra = described["openapi_extra"]
    assert (extra[SCOPE], extra[PERSONAL], extra[BODY_LIMIT]) == ("read", True, "record")
    assert [one["name"] for one in extra["parameters"]] == ["source", "key", "at"]


def test_shapes_of_bodies_stand_inline() -> None:
    described = route("/v1/j", scope="steward", body=JudgementBody, answer=JudgementAnswer)

    schema = described["openapi_extra"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["left"]["items"]["required"] == ["source", "key"]
    assert "$" not in str(schema)
    assert described["responses"][200]["model"] is JudgementAnswer
