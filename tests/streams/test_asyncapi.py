"""The AsyncAPI document says what the topics and messages are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.asyncapi import RecordStatement, draw_asyncapi
from streams.message_schemas import SHAPES
from streams.plain_message import _FIELDS
from streams.topics import TopicNames, plan_topics

DOCUMENT = draw_asyncapi(TopicNames("west"), version="1.2.3")


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_topic_has_its_channel() -> None:
    planned = {plan.name for plan in plan_topics(["{source}"], names=TopicNames("west"))}

    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}

    assert planned - addresses == {"west.dead-letters.{source}"}  # written by the sink, not by us
    assert addresses <= planned


def test_a_channel_with_a_parameter_says_what_it_is() -> None:
    for channel in DOCUMENT["channels"].values():
        assert ("{source}" in channel["address"]) == ("source" in channel.get("parameters", {}))


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))

    assert found
    for reference in found:
        target: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_every_kind_of_value_is_a_message_or_its_key() -> None:
    messages = DOCUMENT["components"]["messages"]

    assert set(messages) - {"statement"} == {shape for shape in SHAPES if not shape.endswith("-key")}
    key = messages["assignments"]["bindings"]["kafka"]["key"]
    assert list(references(key)) == ["#/components/schemas/AssignmentKeyMessage"]


def test_we_receive_records_and_send_the_rest() -> None:
    assert {name: one["action"] for name, one in DOCUMENT["operations"].items()} == {
        "receiveRecords": "receive",
        "sendCustomers": "send",
        "sendCrosswalk": "send",
        "sendCids": "send",
        "sendAssignments": "send",
        "sendRejects": "send",
    }


def test_a_plain_statement_has_the_members_that_are_read() -> None:
    assert set(RecordStatement.model_fields) == set(_FIELDS)
