"""Write the messages that go out to Kafka: what each topic's values hold, their keys and their headers.

    topic                   key                 value
    customers               CID                 `CustomerEvent`: one change of one source key
    crosswalk               `source|K`          `CrosswalkRow`: what the source key has now; null: erased
    cids                    CID                 `CidRow`: what the CID stands for now
    assignments.<source>    `AssignmentKey`     `AssignmentRow`; null: erased. Both with their Connect schema
    rejects.<source>        topic/partition     `RejectRow`: what could not be taken

Headers are those of CloudEvents 1.0, binary mode: two messages with the same `ce_source` and `ce_id` tell the same
thing. The key of a crosswalk message needs no escaping: a source's name holds no `|`, so the source key is all that
follows the first one, as it is.

Invariant: pure; equal input gives equal bytes. Members of a value are added, never removed or given another type:
`streams.message_schemas` compares them with what was published.
Elsewhere: topics (`streams.topics`), Connect schemas (`streams.connect`), the document of all messages
(`streams.asyncapi`), sending (`streams.relay`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from identity.model import CauseKind, Cid, CidStatus, CrosswalkEvent, EventType, Instant, KeyStatus
from identity.statement import format_instant
from streams.connect import ASSIGNMENT_KEY_SCHEMA, ASSIGNMENT_ROW_SCHEMA
from streams.topics import TopicNames

__all__ = [
    "AssignmentKey",
    "AssignmentKeyMessage",
    "AssignmentMessage",
    "AssignmentRow",
    "CidRow",
    "CrosswalkRow",
    "CustomerEvent",
    "EventCause",
    "MessageWriter",
    "OutMessage",
    "RejectOrigin",
    "RejectRow",
    "crosswalk_key",
    "schema_urn",
    "split_crosswalk_key",
]

_CID = "0199d2a4-6f3a-7c1e-9d27-5b8e3a1f0c42"
_TIME = "2026-11-23T09:30:00.000000Z"

SourceText = Annotated[str, Field(description="name of the source", examples=["crm"])]
KeyText = Annotated[str, Field(description="the record's key in its source", examples=["C-71"])]
CidText = Annotated[str, Field(description="a CID: UUIDv7 in canonical text form", examples=[_CID])]
VersionNumber = Annotated[
    int, Field(ge=1, description="changes of this source key so far; grows by one with each", examples=[3])
]
Time = Annotated[str, Field(description="RFC 3339 in UTC with microseconds", examples=[_TIME])]
RowStatus = Annotated[
    Literal[KeyStatus.LIVE, KeyStatus.WITHDRAWN, KeyStatus.RENAMED, KeyStatus.HELD],
    Field(description="what the crosswalk says of the source key; of an erased one nothing is left"),
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, populate_by_name=True)


class EventCause(_Value):
    """What made a change, by its kind and an id within that kind."""

    kind: CauseKind
    ref: str


class CustomerEvent(_Value):
    """One change of one source key; who follows a source key orders its events by `version`."""

    seq: Annotated[int, Field(description="number of the event; grows within one `known_at`")]
    id: Annotated[
        str, Field(description="`known_at` in microseconds and `seq`: the cursor of GET /v1/changes")
    ]
    type: EventType
    source: SourceText
    key: KeyText
    cid: CidText | None
    previous_cid: CidText | None
    version: VersionNumber
    valid_from: Time
    known_at: Time
    cause: EventCause


class CrosswalkRow(_Value):
    """The CID of one source key."""

    source: SourceText
    key: KeyText
    cid: CidText | None
    status: RowStatus
    version: VersionNumber
    known_at: Time


class CidRow(_Value):
    """What one CID stands for; `successors` are live, however many steps away, and empty while it is live itself."""

    cid: CidText
    status: CidStatus
    successors: list[CidText]
    known_at: Time


class AssignmentKey(_Value):
    """The key of an assignment."""

    source_key: KeyText


class AssignmentRow(_Value):
    """The CID of one key of one source, as a row for a database."""

    source_key: KeyText
    cid: CidText | None
    status: RowStatus
    version: VersionNumber
    assigned_at: Time


class AssignmentKeyMessage(_Value):
    """The key of an assignment with its Connect schema."""

    connect_schema: Annotated[
        dict[str, object], Field(alias="schema", json_schema_extra={"const": ASSIGNMENT_KEY_SCHEMA})
    ]
    payload: AssignmentKey


class AssignmentMessage(_Value):
    """An assignment with its Connect schema, so that a JDBC sink upserts it."""

    connect_schema: Annotated[
        dict[str, object], Field(alias="schema", json_schema_extra={"const": ASSIGNMENT_ROW_SCHEMA})
    ]
    payload: AssignmentRow


class RejectOrigin(_Value):
    """Where something came in that could not be taken."""

    kind: Literal["topic", "file", "request"]
    name: Annotated[str, Field(description="of the topic, the file or the route")]
    part: Annotated[int, Field(description="partition of the topic; else 0")]
    place: Annotated[int, Field(description="offset in the partition, or number of the row or line")]


class RejectRow(_Value):
    """What could not be taken, and why; what was sent stays in the store, sealed, until it is mended or discarded."""

    id: Annotated[int, Field(description="by which `sameas rejects` knows it")]
    source: SourceText
    code: Annotated[str, Field(description="stable, as in docs/errors.md")]
    detail: Annotated[str, Field(description="a sentence; holds no value that was sent")]
    origin: RejectOrigin
    rejected_at: Time


class OutMessage(NamedTuple):
    """A message as a producer takes it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


_KEY_HEAD: Final = b'{"schema":' + orjson.dumps(ASSIGNMENT_KEY_SCHEMA) + b',"payload":'
_ROW_HEAD: Final = b'{"schema":' + orjson.dumps(ASSIGNMENT_ROW_SCHEMA) + b',"payload":'


def crosswalk_key(source: str, key: str) -> str:
    """Return the key of the messages about one source key in the topic of the crosswalk."""
    return f"{source}|{key}"


def split_crosswalk_key(text: str) -> tuple[str, str]:
    """Return the source and the source key that `crosswalk_key` put together."""
    source, _, key = text.partition("|")
    return source, key


def schema_urn(shape: str) -> str:
    """Return the `$id` of a JSON Schema, which messages name in `ce_dataschema`."""
    return f"urn:sameas:schema:{shape}:v1"


class MessageWriter:
    """Writes messages for the topics of one installation."""

    def __init__(self, names: TopicNames) -> None:
        self._names = names
        self._customers = _Envelope(names.customers, "customers")
        self._crosswalk = _Envelope(names.crosswalk, "crosswalk", event_type="sameas.crosswalk.v1")
        self._cids = _Envelope(names.cids, "cids", event_type="sameas.cid.v1")
        self._assignments: dict[str, _Envelope] = {}
        self._rejects: dict[str, _Envelope] = {}

    def change(self, event: CrosswalkEvent, status: KeyStatus) -> list[OutMessage]:
        """Return the messages of one change: the event, the row of the crosswalk, last the source's assignment.

        Args:
            status: of the source key from this change on.
        """
        known_at = format_instant(event.known_at)
        told = self._event(event, known_at)
        row_key = crosswalk_key(event.source, event.key).encode()
        assignment_key = _KEY_HEAD + orjson.dumps({"source_key": event.key}) + b"}"
        assignments = self._assignments_of(event.source)
        if status is KeyStatus.ERASED:
            return [
                told,
                self._crosswalk.wrap(row_key, None, event_id=event.id, time=known_at),
                assignments.wrap(assignment_key, None, event_id=event.id, time=known_at),
            ]
        row = {"cid": event.cid, "status": status, "version": event.version}
        crosswalk = CrosswalkRow(source=event.source, key=event.key, known_at=known_at, **row)  # type: ignore[arg-type]
        assignment = AssignmentRow(source_key=event.key, assigned_at=known_at, **row)  # type: ignore[arg-type]
        return [
            told,
            self._crosswalk.wrap(row_key, _json(crosswalk), event_id=event.id, time=known_at),
            assignments.wrap(
                assignment_key, _ROW_HEAD + _json(assignment) + b"}", event_id=event.id, time=known_at
            ),
        ]

    def cid(self, cid: Cid, status: CidStatus, successors: tuple[Cid, ...], known_at: Instant) -> OutMessage:
        """Return the message of what a CID stands for from `known_at` on."""
        time = format_instant(known_at)
        value = CidRow(cid=cid, status=status, successors=list(successors), known_at=time)
        return self._cids.wrap(cid.encode(), _json(value), event_id=f"{cid}.{known_at}", time=time)

    def reject(self, reject: RejectRow) -> OutMessage:
        """Return the message of what could not be taken."""
        envelope = self._rejects.get(reject.source)
        if envelope is None:
            topic = self._names.rejects(reject.source)
            envelope = _Envelope(topic, "rejects", event_type="sameas.reject.v1")
            self._rejects[reject.source] = envelope
        key = f"{reject.origin.name}/{reject.origin.part}".encode()
        return envelope.wrap(key, _json(reject), event_id=str(reject.id), time=reject.rejected_at)

    def _event(self, event: CrosswalkEvent, known_at: str) -> OutMessage:
        value = CustomerEvent(
            seq=event.seq,
            id=event.id,
            type=event.type,
            source=event.source,
            key=event.key,
            cid=event.cid,
            previous_cid=event.previous_cid,
            version=event.version,
            valid_from=format_instant(event.valid_from),
            known_at=known_at,
            cause=EventCause(kind=event.cause.kind, ref=event.cause.ref),
        )
        key = event.cid or event.previous_cid or crosswalk_key(event.source, event.key)
        kind = f"sameas.customer.{event.type.value}.v1"
        return self._customers.wrap(
            key.encode(), _json(value), event_id=event.id, time=known_at, event_type=kind
        )

    def _assignments_of(self, source: str) -> _Envelope:
        envelope = self._assignments.get(source)
        if envelope is None:
            topic = self._names.assignments(source)
            envelope = _Envelope(topic, "assignments", event_type="sameas.assignment.v1")
            self._assignments[source] = envelope
        return envelope


class _Envelope:
    """Puts messages of one topic into CloudEvents headers.

    A message without a value (a tombstone) has no content type: CloudEvents' binary mode knows it by that.
    """

    def __init__(self, topic: str, shape: str, *, event_type: str = "") -> None:
        self._topic = topic
        self._head = [("ce_specversion", b"1.0"), ("ce_source", f"/{topic}".encode())]
        self._content = [
            ("content-type", b"application/json"),
            ("ce_dataschema", schema_urn(shape).encode()),
        ]
        self._type = event_type

    def wrap(
        self, key: bytes | None, value: bytes | None, *, event_id: str, time: str, event_type: str = ""
    ) -> OutMessage:
        headers = [
            *self._head,
            ("ce_type", (event_type or self._type).encode()),
            ("ce_id", event_id.encode()),
            ("ce_time", time.encode()),
        ]
        if value is not None:
            headers += self._content
        return OutMessage(self._topic, key, value, headers)


def _json(value: BaseModel) -> bytes:
    return value.__pydantic_serializer__.to_json(value)
