"""Draw the AsyncAPI 3 document: every topic, who writes and who reads it, and what its messages hold.

Invariant: pure; payloads are the models that messages are written from, so the document cannot say otherwise.
Elsewhere: the models (`streams.messages`), how long topics keep messages (`streams.topics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from streams.message_schemas import SHAPES
from streams.messages import schema_urn
from streams.topics import TopicNames

__all__ = ["RecordStatement", "draw_asyncapi"]

_SOURCE: Final = "{source}"


class RecordStatement(BaseModel):
    """The whole statement of a source about one of its customers; null withdraws it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"attributes": {"full_name": "Ada Byron"}, "version": 3}]}
    )

    attributes: dict[str, Any]
    effective_at: Annotated[str | None, Field(description="RFC 3339 with its offset")] = None
    version: int | None = None
    alternate_keys: dict[str, str] | None = None
    same_as: Annotated[dict[str, str] | None, Field(description='{"source", "key"} or {"cid"}')] = None


@dataclass(frozen=True, slots=True)
class _Channel:
    """A topic, and the one kind of message in it."""

    name: str
    address: str
    summary: str
    message: str
    key: Mapping[str, Any]
    is_in: bool = False
    is_nullable: bool = False


def _text_key(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _channels(names: TopicNames) -> Sequence[_Channel]:
    return (
        _Channel(
            "records",
            names.records(_SOURCE),
            "What a source states: plain statements, or Debezium's envelopes, read by the source's contract.",
            "statement",
            _text_key("the source key; of a composite one the JSON array of its parts"),
            is_in=True,
            is_nullable=True,
        ),
        _Channel(
            "customers",
            names.customers,
            "Every change of a source key, in order for each CID; who follows a source key orders by `version`.",
            "customers",
            _text_key("the CID that the source key has after the change"),
        ),
        _Channel(
            "crosswalk",
            names.crosswalk,
            "The CID of every source key; compacted. Null: the record was erased.",
            "crosswalk",
            _text_key("`source|K`: all that follows the first `|` is the source key as it is"),
            is_nullable=True,
        ),
        _Channel(
            "cids",
            names.cids,
            "The status and the live successors of every CID ever issued; compacted.",
            "cids",
            _text_key("the CID"),
        ),
        _Channel(
            "assignments",
            names.assignments(_SOURCE),
            "The CID of each key of one source as a flat row with its Connect schema; compacted. Null: erased.",
            "assignments",
            # Not the bare reference: AsyncAPI's own schema cannot tell that from a schema here.
            {"allOf": [{"$ref": "#/components/schemas/AssignmentKeyMessage"}]},
            is_nullable=True,
        ),
        _Channel(
            "rejects",
            names.rejects(_SOURCE),
            "What of a source could not be taken, and why.",
            "rejects",
            _text_key("topic and partition that it came from, `topic/partition`"),
        ),
    )


def draw_asyncapi(names: TopicNames, *, version: str) -> dict[str, Any]:
    """Return the document of the topics of one installation.

    Args:
        version: of this program.
    """
    channels = _channels(names)
    models: dict[str, type[BaseModel]] = {**SHAPES, "statement": RecordStatement}
    drawn, payloads = models_json_schema(
        [(model, "serialization") for model in models.values()],
        by_alias=True,
        ref_template="#/components/schemas/{model}",
    )
    references = {name: drawn[model, "serialization"] for name, model in models.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "sameas: records in, CIDs out",
            "version": version,
            "description": (
                "Written in transactions: read with isolation level read_committed. A message may come twice; "
                "its key and `version` (of a CID: `known_at`) tell. Keys go to the partition that murmur2 gives."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {one.name: _channel_document(one) for one in channels},
        "operations": {
            f"{'receive' if one.is_in else 'send'}{one.name.capitalize()}": {
                "action": "receive" if one.is_in else "send",
                "channel": {"$ref": f"#/channels/{one.name}"},
                "messages": [{"$ref": f"#/channels/{one.name}/messages/{one.message}"}],
            }
            for one in channels
        },
        "components": {
            "messages": {one.message: _message_document(one, references[one.message]) for one in channels},
            "schemas": payloads["$defs"],
        },
    }


def _channel_document(channel: _Channel) -> dict[str, Any]:
    document: dict[str, Any] = {
        "address": channel.address,
        "description": channel.summary,
        "messages": {channel.message: {"$ref": f"#/components/messages/{channel.message}"}},
    }
    if _SOURCE in channel.address:
        document["parameters"] = {"source": {"description": "name of the source", "examples": ["crm"]}}
    return document


def _message_document(channel: _Channel, payload: Mapping[str, Any]) -> dict[str, Any]:
    nullable = {"oneOf": [payload, {"type": "null"}]}
    document: dict[str, Any] = {
        "name": channel.message,
        "contentType": "application/json",
        "payload": nullable if channel.is_nullable else payload,
        "bindings": {"kafka": {"key": channel.key, "bindingVersion": "0.5.0"}},
    }
    if not channel.is_in:
        document["headers"] = _headers_document(channel.message)
    return document


def _headers_document(shape: str) -> dict[str, Any]:
    """Return the CloudEvents headers, binary mode; a tombstone has no `content-type` and no `ce_dataschema`."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"],
        "properties": {
            "content-type": {"const": "application/json"},
            "ce_specversion": {"const": "1.0"},
            "ce_id": text,
            "ce_source": text,
            "ce_type": text,
            "ce_time": text,
            "ce_dataschema": {"const": schema_urn(shape)},
        },
    }
