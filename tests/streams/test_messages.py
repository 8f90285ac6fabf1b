"""What goes out to Kafka, byte by byte."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from identity.model import Cause, CauseKind, Cid, CidStatus, CrosswalkEvent, EventType, KeyStatus
from streams.connect import ASSIGNMENT_KEY_SCHEMA, ASSIGNMENT_ROW_SCHEMA
from streams.messages import (
    AssignmentKey,
    AssignmentRow,
    MessageWriter,
    OutMessage,
    RejectOrigin,
    RejectRow,
    crosswalk_key,
    split_crosswalk_key,
)
from streams.topics import TopicNames

OLD, NEW = Cid("0199d2a4-6f3a-7c1e-9d27-5b8e3a1f0c42"), Cid("0199d2a4-6f3a-7c1e-9d27-5b8e3a1f0c43")
EVENT = CrosswalkEvent(
    seq=12,
    id="1700000000000001.12",
    type=EventType.MERGED,
    source="crm",
    key="a|b",
    cid=NEW,
    previous_cid=OLD,
    version=3,
    valid_from=1_600_000_000_000_000,
    known_at=1_700_000_000_000_001,
    cause=Cause(CauseKind.JUDGEMENT, "j7"),
)
WRITER = MessageWriter(TopicNames())
KNOWN_AT = "2023-11-14T22:13:20.000001Z"


def content(message: OutMessage) -> object:
    assert message.value is not None
    return orjson.loads(message.value)


def test_one_change_is_told_as_an_event_as_a_row_of_the_crosswalk_and_as_an_assignment() -> None:
    event, row, assignment = WRITER.change(EVENT, KeyStatus.LIVE)

    assert (event.topic, event.key) == ("sameas.customers", NEW.encode())
    assert content(event) == {
        "seq": 12,
        "id": "1700000000000001.12",
        "type": "merged",
        "source": "crm",
        "key": "a|b",
        "cid": NEW,
        "previous_cid": OLD,
        "version": 3,
        "valid_from": "2020-09-13T12:26:40.000000Z",
        "known_at": KNOWN_AT,
        "cause": {"kind": "judgement", "ref": "j7"},
    }
    assert (row.topic, row.key) == ("sameas.crosswalk", b"crm|a|b")
    assert content(row) == {
        "source": "crm",
        "key": "a|b",
        "cid": NEW,
        "status": "live",
        "version": 3,
        "known_at": KNOWN_AT,
    }
    assert assignment.topic == "sameas.assignments.crm"
    assert orjson.loads(assignment.key or b"") == {
        "schema": ASSIGNMENT_KEY_SCHEMA,
        "payload": {"source_key": "a|b"},
    }
    assert content(assignment) == {
        "schema": ASSIGNMENT_ROW_SCHEMA,
        "payload": {
            "source_key": "a|b",
            "cid": NEW,
            "status": "live",
            "version": 3,
            "assigned_at": KNOWN_AT,
        },
    }


def test_headers_are_those_of_cloudevents_in_binary_mode() -> None:
    event, row, _ = WRITER.change(EVENT, KeyStatus.LIVE)

    assert dict(event.headers) == {
        "ce_specversion": b"1.0",
        "ce_source": b"/sameas.customers",
        "ce_type": b"sameas.customer.merged.v1",
        "ce_id": b"1700000000000001.12",
        "ce_time": KNOWN_AT.encode(),
        "content-type": b"application/json",
        "ce_dataschema": b"urn:sameas:schema:customers:v1",
    }
    assert dict(row.headers)["ce_source"] == b"/sameas.crosswalk"


@pytest.mark.parametrize("status", [KeyStatus.WITHDRAWN, KeyStatus.RENAMED, KeyStatus.HELD])
def test_only_an_erasure_is_a_tombstone(status: KeyStatus) -> None:
    kept = WRITER.change(EVENT, status)
    event, *erased = WRITER.change(dataclasses.replace(EVENT, type=EventType.ERASED), KeyStatus.ERASED)

    assert all(message.value is not None for message in kept)
    assert content(event)["type"] == "erased"  # type: ignore[index]
    assert [message.value for message in erased] == [None, None]
    assert [message.key for message in erased] == [message.key for message in kept[1:]]
    assert all("content-type" not in dict(message.headers) for message in erased)


def test_a_status_that_a_key_cannot_be_told_with_is_refused() -> None:
    with pytest.raises(ValidationError):
        WRITER.change(EVENT, KeyStatus.UNKNOWN)


def test_an_event_without_a_cid_goes_to_the_one_before_it_or_to_its_source_key() -> None:
    left = dataclasses.replace(EVENT, cid=None)
    never = dataclasses.replace(left, previous_cid=None)

    assert WRITER.change(left, KeyStatus.HELD)[0].key == OLD.encode()
    assert WRITER.change(never, KeyStatus.HELD)[0].key == b"crm|a|b"


def test_a_cid_is_told_with_its_successors() -> None:
    message = WRITER.cid(OLD, CidStatus.MERGED, (NEW,), 1_700_000_000_000_001)

    assert (message.topic, message.key) == ("sameas.cids", OLD.encode())
    assert content(message) == {
        "cid": OLD,
        "status": "merged",
        "successors": [NEW],
        "known_at": KNOWN_AT,
    }
    assert dict(message.headers)["ce_id"] == f"{OLD}.1700000000000001".encode()


def test_what_could_not_be_taken_is_told_in_order_of_where_it_came_from() -> None:
    origin = RejectOrigin(kind="topic", name="sameas.records.crm", part=3, place=71)
    reject = RejectRow(
        id=7, source="crm", code="malformed", detail="no JSON", origin=origin, rejected_at=KNOWN_AT
    )

    message = WRITER.reject(reject)

    assert (message.topic, message.key) == ("sameas.rejects.crm", b"sameas.records.crm/3")
    assert content(message) == reject.model_dump()
    assert dict(message.headers)["ce_id"] == b"7"


def test_two_installations_on_one_cluster_have_topics_and_sources_of_their_own() -> None:
    other = MessageWriter(TopicNames("west")).change(EVENT, KeyStatus.LIVE)

    assert [message.topic for message in other] == [
        "west.customers",
        "west.crosswalk",
        "west.assignments.crm",
    ]
    assert dict(other[1].headers)["ce_source"] == b"/west.crosswalk"


@given(
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
)
def test_the_key_of_the_crosswalk_leads_back_to_source_and_key_whatever_the_key_holds(
    source: str, key: str
) -> None:
    assert split_crosswalk_key(crosswalk_key(source, key)) == (source, key)


@pytest.mark.parametrize(
    ("schema", "row"), [(ASSIGNMENT_KEY_SCHEMA, AssignmentKey), (ASSIGNMENT_ROW_SCHEMA, AssignmentRow)]
)
def test_the_connect_schema_names_the_members_of_its_row_in_order(
    schema: dict[str, object], row: type[AssignmentRow]
) -> None:
    fields = schema["fields"]
    assert isinstance(fields, list)
    drawn = row.model_json_schema()["properties"]

    assert [one["field"] for one in fields] == list(row.model_fields)
    for one in fields:
        is_optional = {"type": "null"} in drawn[one["field"]].get("anyOf", ())
        assert one["optional"] == is_optional
