"""Requests and answers of identity's routes (over a server: `tests/service/test_serve.py`)."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from starlette.requests import Request

from identity.api.errors import BodyInvalid, BodyMalformed, MediaTypeRefused, ParameterInvalid
from identity.api.read_body import instant_parameter, number_parameter, path_text, read_object, read_shape
from identity.api.render import error_line, event_document, record_line, stated_document
from identity.api.shapes import SearchBody
from identity.errors import StoreBusy
from identity.model import (
    Cause,
    CauseKind,
    Cid,
    CrosswalkEvent,
    EventType,
    Outcome,
    RecordAnswer,
    RecordRef,
)


def request(body: bytes = b"", *, query: str = "", kind: str = "application/json", key: str = "") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": query.encode(),
        "headers": [(b"content-type", kind.encode())],
        "path_params": {"key": key},
    }
    return Request(scope, receive)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":NaN}', b'{"a":"\\ud800"}'])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(BodyMalformed):
        asyncio.run(read_object(request(body)))


def test_another_shape_or_media_type_is_refused() -> None:
    with pytest.raises(BodyInvalid):
        asyncio.run(read_object(request(b"[]")))
    with pytest.raises(MediaTypeRefused):
        asyncio.run(read_object(request(b"{}", kind="text/xml")))
    assert asyncio.run(read_object(request(b"{}", kind="Application/JSON; charset=utf-8"))) == {}


def test_a_wrong_member_is_named_and_an_undocumented_one_is_not() -> None:
    with pytest.raises(BodyInvalid) as caught:
        asyncio.run(read_shape(request(b'{"attributes":{},"limit":"canary","canary":1}'), SearchBody))

    assert "limit: int_type" in caught.value.detail
    assert "canary" not in caught.value.detail


def test_parameters_are_read_or_refused() -> None:
    asked = request(query="n=7&bad=x&at=2026-01-01T00:00:00%2B01:00&naive=2026-01-01T00:00:00", key="a%2Fb")

    assert path_text(asked, "key") == "a/b"
    assert number_parameter(asked, "n", least=1, most=9) == 7
    assert number_parameter(asked, "none", least=1, most=9) is None
    assert instant_parameter(asked, "at") == 1_767_222_000_000_000
    for name in ("n", "bad"):
        with pytest.raises(ParameterInvalid):
            number_parameter(asked, name, least=8, most=9)
    with pytest.raises(ParameterInvalid):
        instant_parameter(asked, "naive")


def test_answers_have_the_promised_members() -> None:
    ref = RecordRef("crm", "1")
    answer = RecordAnswer(ref, Cid("c"), Outcome.LINKED, 1_000_001, warnings=(("email", "junk"),))
    event = CrosswalkEvent(
        7, "1.7", EventType.MOVED, "crm", "1", Cid("c"), None, 2, 0, 1, Cause(CauseKind.RECORD, "v1")
    )

    assert stated_document(answer) == {
        "source": "crm",
        "key": "1",
        "cid": "c",
        "outcome": "linked",
        "known_at": "1970-01-01T00:00:01.000001Z",
        "warnings": [{"attribute": "email", "code": "junk"}],
    }
    assert orjson.loads(record_line(answer)) == {"key": "1", "cid": "c", "outcome": "linked"}
    assert orjson.loads(error_line(5, StoreBusy("b"))) == {
        "key": None,
        "error": {"code": "store_busy", "detail": "b"},
    }
    assert list(event_document(event)) == [
        "seq", "id", "type", "source", "key", "cid", "previous_cid", "version", "valid_from", "known_at",
        "cause",
    ]  # fmt: skip
