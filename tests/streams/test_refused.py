"""What is kept of a refused message, and what is told of it."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from identity.model import RecordRef
from identity.service import Identity
from identity.store_sql import tables
from streams.errors import RejectClosed, RejectUnknown
from streams.refused import RejectFilter, RejectState
from tests.streams.stream import Told, plain
from tests.streams.taking import TABLE, Taking

SECRET = "anna.schmidt@web.de"
BAD = Told(b"C-secret", b'{"attributes": {"email": {"a": "anna.schmidt@web.de"}}}', headers=(("h", b"x"),))


@pytest.fixture
def taking(identity: Identity) -> Taking:
    identity.put_source("crm", TABLE, author="test")
    return Taking(identity)


def test_a_refused_message_is_kept_whole_with_its_cause_and_origin(taking: Taking) -> None:
    taking.take(plain("1", {"email": "x@web.de"}), BAD, number=3)

    [reject] = taking.list_open()
    message = taking.rejects.open_message(reject.id)

    assert (reject.source, reject.code, reject.origin) == ("crm", "attributes_invalid", "topic")
    assert (reject.origin_name, reject.origin_part, reject.origin_place) == ("t.records.crm", 3, 1)
    assert (message.key, message.fetched.key, message.fetched.value) == ("C-secret", BAD.key, BAD.value)
    assert message.fetched.headers == [("h", b"x")]


def test_nothing_of_the_message_can_be_read_in_the_table(taking: Taking) -> None:
    taking.take(BAD)

    with taking.identity.store.read() as connection:
        row = connection.execute(select(tables.reject)).one()
    kept = b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert b"schmidt" not in kept
    assert b"C-secret" not in kept


def test_the_same_message_refused_again_is_the_same_reject(taking: Taking) -> None:
    first = taking.slice(BAD)
    taking.take_together(first)
    taking.offsets.reposition("t.records.crm", partition=None, next_offset=0)

    taking.take_together(taking.slice(BAD, at=0))

    assert len(taking.list_open()) == 1


def test_another_message_at_the_same_offset_of_a_topic_made_anew_is_another_reject(taking: Taking) -> None:
    taking.take(BAD)
    taking.offsets.reposition("t.records.crm", partition=None, next_offset=0, is_anew=True)

    taking.take(Told(BAD.key, b"{"))

    assert [one.code for one in taking.list_open()] == ["attributes_invalid", "malformed"]


def test_rejects_are_found_by_source_record_reason_and_state(taking: Taking) -> None:
    taking.take(BAD, Told(b"2", b"{"), Told(b"\xff", b"{}"))
    first, second, third = taking.list_open()
    taking.rejects.discard(second.id, by="ann", now=9)

    def found(**wanted: object) -> list[int]:
        return [one.id for one in taking.rejects.list_rejects(RejectFilter(**wanted))]  # type: ignore[arg-type]

    assert found() == [first.id, third.id]
    assert found(ref=RecordRef("crm", "C-secret")) == [first.id]
    assert found(code=third.code) == [third.id]
    assert found(source="erp") == []
    assert found(state=None) == [first.id, second.id, third.id]
    assert found(state=RejectState.DISCARDED) == [second.id]
    assert [one.id for one in taking.rejects.list_rejects(RejectFilter(), limit=1)] == [first.id]


def test_a_closed_reject_keeps_who_closed_it_and_forgets_its_message(taking: Taking) -> None:
    taking.take(BAD)
    [reject] = taking.list_open()

    taking.rejects.discard(reject.id, by="os:ann", now=9)

    closed = taking.rejects.get(reject.id)
    assert (closed.state, closed.closed_by, closed.closed_at) == (RejectState.DISCARDED, "os:ann", 9)
    with pytest.raises(RejectClosed):
        taking.rejects.open_message(reject.id)
    with pytest.raises(RejectClosed):
        taking.rejects.discard(reject.id, by="os:ann", now=10)
    with taking.identity.store.read() as connection:
        assert connection.execute(text("SELECT data_key, sealed FROM reject")).one() == (None, None)


def test_a_reject_that_is_none_is_not_found(taking: Taking) -> None:
    for ask in (taking.rejects.get, taking.rejects.open_message, taking.rejects.require_open):
        with pytest.raises(RejectUnknown):
            ask(4711)
