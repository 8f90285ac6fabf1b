"""Where assignments lie: the last one of a key counts."""

from __future__ import annotations

from identity.model import Cause, CauseKind, Cid, CrosswalkEvent, EventType, KeyStatus, RecordRef
from streams.delivery import Sent
from streams.messages import MessageWriter
from streams.sent_places import SentPlaces
from streams.topics import TopicNames


def event(key: str, version: int) -> CrosswalkEvent:
    return CrosswalkEvent(
        version,
        str(version),
        EventType.ISSUED,
        "crm",
        key,
        Cid("c"),
        None,
        version,
        0,
        0,
        Cause(CauseKind.RECORD, ""),
    )


def test_the_last_assignment_of_a_key_counts_and_other_messages_do_not() -> None:
    places, writer = SentPlaces(), MessageWriter(TopicNames("t"))
    offset = 10
    for change in (event("1", 1), event("2", 1), event("1", 2)):
        *others, assignment = writer.change(change, KeyStatus.LIVE)
        assert [places.place_of(one) for one in others] == [None, None]
        placed = places.place_of(places.expect(assignment, change))
        assert placed is not None
        placed(0, offset)
        offset += 1

    assert sorted(places.list_sent(now=5)) == [
        Sent(RecordRef("crm", "1"), 2, 5, 0, 12),
        Sent(RecordRef("crm", "2"), 1, 5, 0, 11),
    ]
