"""Questions about keys and CIDs: now, at a date, as believed at a time; events in the order of the feed."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.errors import CidUnknown, HorizonNotReached, KnownAtInFuture, StatementRefused
from identity.look_up import AlternateRef
from identity.model import Cid, CidStatus, EventType, KeyStatus, RecordRef, Verdict
from identity.service import Identity
from tests.identity.stores import Place, empty_database, find_cid, stated, tell, withdrawn
from tests.promises.world import BEGIN, Clock

ONE, TWO = RecordRef("crm", "1"), RecordRef("crm", "2")
UNKNOWN = (None, KeyStatus.UNKNOWN)
DAY = 86_400_000_000


# ----------------------------------------------------------------------------------------------- keys


def test_answers_come_in_the_order_of_the_keys_asked_for_repeats_included(identity: Identity) -> None:
    first, second = tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))

    rows = identity.look_up([TWO, RecordRef("crm", "9"), ONE, TWO]).rows

    assert rows == [(second.cid, "live"), UNKNOWN, (first.cid, "live"), (second.cid, "live")]


def test_no_keys_have_no_answers(identity: Identity) -> None:
    assert identity.look_up([]).rows == []


@pytest.mark.parametrize("key", ["", "1 ", "１", "x" * 600])
def test_a_key_that_was_never_stated_is_unknown(identity: Identity, key: str) -> None:
    tell(identity, stated("1", email=("ann",)))

    assert identity.look_up([RecordRef("crm", key), RecordRef("nowhere", "1")]).rows == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "\n", "1\n", "\n1\n1", "1,1", '"1"', "\\n"])
def test_a_key_that_no_store_can_hold_is_unknown_and_the_others_are_answered(
    identity: Identity, text: str
) -> None:
    [answer] = tell(identity, stated("1", email=("ann",), alternate_keys={"old": "77"}))
    asked: list[RecordRef | AlternateRef] = [
        RecordRef("crm", text),
        RecordRef(text, "1"),
        AlternateRef("crm", "old", text),
        AlternateRef("crm", text, "77"),
        AlternateRef("crm", text, "1"),
        AlternateRef(text, "old", "77"),
    ]

    for ref in asked:
        assert identity.look_up([ref]).rows == [UNKNOWN]
    assert identity.look_up([*asked, ONE]).rows == [*[UNKNOWN] * len(asked), (answer.cid, "live")]


def test_empty_texts_name_nothing_however_many_are_asked_for(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",), alternate_keys={"old": "77"}))
    asked: list[RecordRef | AlternateRef] = [
        RecordRef("", ""),
        RecordRef("crm", ""),
        RecordRef("", "1"),
        AlternateRef("crm", "", "1"),
        AlternateRef("crm", "", "77"),
        AlternateRef("", "", ""),
    ]

    assert [identity.look_up([ref] * count).rows for ref in asked for count in (1, 2)] == [
        [UNKNOWN] * count for _ in asked for count in (1, 2)
    ]


def test_keys_are_compared_as_bytes_and_not_by_the_rules_of_a_language(identity: Identity) -> None:
    tell(identity, stated("é", email=("ann",)))

    assert identity.look_up([RecordRef("crm", "e\u0301"), RecordRef("crm", "É")]).rows == [UNKNOWN, UNKNOWN]


def test_more_keys_than_one_statement_takes_are_answered(identity: Identity) -> None:
    [answer] = tell(identity, stated("1", email=("ann",)))
    keys = [RecordRef("crm", str(number)) for number in range(1201)]

    rows = identity.look_up(keys).rows

    assert [place for place, row in enumerate(rows) if row != UNKNOWN] == [1]
    assert rows[1] == (answer.cid, "live")


def test_an_alternate_key_leads_to_the_record_that_stated_it(identity: Identity) -> None:
    [answer] = tell(identity, stated("1", email=("ann",), alternate_keys={"old": "77"}))

    rows = identity.look_up(
        [AlternateRef("crm", "old", "77"), AlternateRef("crm", "new", "77"), AlternateRef("one", "old", "77")]
    ).rows

    assert rows == [(answer.cid, "live"), UNKNOWN, UNKNOWN]


def test_both_kinds_of_keys_are_answered_together_now_and_as_of_a_time(identity: Identity) -> None:
    first, second = tell(
        identity,
        stated("1", email=("ann",), alternate_keys={"old": "77"}),
        stated("2", email=("bob",), alternate_keys={"old": "78"}),
    )
    tell(identity, withdrawn("2"))
    asked: list[RecordRef | AlternateRef] = [
        AlternateRef("crm", "old", "77"),
        TWO,
        RecordRef("crm", "77"),
        ONE,
    ]

    now = identity.look_up(asked).rows
    then = identity.look_up(asked, known_at=first.known_at).rows

    assert now == [(first.cid, "live"), (second.cid, "withdrawn"), UNKNOWN, (first.cid, "live")]
    assert then == [(first.cid, "live"), (second.cid, "live"), UNKNOWN, (first.cid, "live")]


def test_an_alternate_key_no_longer_stated_leads_nowhere(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",), alternate_keys={"old": "77"}))

    tell(identity, stated("1", version=2, email=("ann",)))

    assert identity.look_up([AlternateRef("crm", "old", "77")]).rows == [UNKNOWN]


def test_before_a_key_was_valid_it_is_unknown_and_from_then_on_it_has_its_cid(identity: Identity) -> None:
    [answer] = tell(identity, stated("1", effective_at=BEGIN - DAY, email=("ann",)))

    at = [identity.look_up([ONE], valid_at=BEGIN - DAY + ahead).rows[0] for ahead in (-1, 0, 2 * DAY)]

    assert at == [UNKNOWN, (answer.cid, "live"), (answer.cid, "live")]


def test_what_was_believed_then_is_told_whatever_came_after(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=1, email=("ann",)))
    [last] = tell(identity, withdrawn("1", version=2))

    assert identity.look_up([ONE], known_at=first.known_at - 1).rows == [UNKNOWN]
    assert identity.look_up([ONE], known_at=first.known_at).rows == [(first.cid, "live")]
    assert identity.look_up([ONE], known_at=last.known_at - 1).rows == [(first.cid, "live")]
    assert identity.look_up([ONE], known_at=last.known_at).rows == [(first.cid, "withdrawn")]


def test_both_clocks_can_be_asked_at_once(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=1, effective_at=BEGIN - 2 * DAY, email=("ann",)))
    tell(identity, stated("2", email=("bob",)), stated("3", email=("bob",), place="x"))
    [moved] = tell(identity, stated("1", version=2, effective_at=BEGIN - DAY, email=("bob",)))
    assert moved.cid != first.cid

    believed_then = identity.look_up([ONE], valid_at=BEGIN, known_at=moved.known_at - 1).rows
    believed_now = [identity.look_up([ONE], valid_at=BEGIN - DAY + ahead).rows[0][0] for ahead in (-1, 0)]

    assert believed_then == [(first.cid, "live")]
    assert believed_now == [first.cid, moved.cid]


def test_what_will_be_believed_is_not_known(identity: Identity) -> None:
    with pytest.raises(KnownAtInFuture):
        identity.look_up([ONE], known_at=BEGIN + DAY)


def test_the_time_an_answer_named_stays_askable_when_the_clock_steps_back(place: Place) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    [answer] = tell(identity, stated("1", email=("ann",)))
    clock.now = BEGIN - DAY

    assert identity.look_up([ONE], known_at=answer.known_at).rows == [(answer.cid, "live")]


def test_another_program_answers_at_once_what_was_committed(place: Place) -> None:
    ours, theirs = place.open_identity(), place.open_identity(first_cid=100)
    [answer] = tell(ours, stated("1", email=("ann",)))

    assert theirs.look_up([ONE]).rows == [(answer.cid, "live")]


@pytest.mark.slow
@pytest.mark.service
def test_a_time_that_an_open_write_may_still_change_is_not_answered(
    kept_database: str, tmp_path: Path
) -> None:
    """It waits two seconds first, as it has to."""
    empty_database(kept_database)
    place = Place(kept_database, tmp_path)
    identity = place.open_identity()

    with place.open_store().write() as tx:
        known_at = tx.tick(BEGIN)
        with pytest.raises(HorizonNotReached):
            identity.look_up([ONE], known_at=known_at)
    answer = identity.look_up([ONE], known_at=known_at)
    place.close()

    assert answer.rows == [UNKNOWN]
    assert answer.horizon >= known_at


# ----------------------------------------------------------------------------------------------- CIDs


def merged(identity: Identity) -> tuple[Cid, Cid]:
    """Return the CID that two customers have after their merge, and the one that went."""
    tell(identity, stated("1", email=("ann",)), stated("2", website=("w",)))
    cids = find_cid(identity, "1"), find_cid(identity, "2")
    identity.judge(Verdict.SAME, [ONE], [TWO], reason="", author="ann")
    stays = find_cid(identity, "1")
    return stays, cids[1] if stays == cids[0] else cids[0]


def test_cids_are_resolved_in_the_order_asked_for(identity: Identity) -> None:
    stays, goes = merged(identity)
    never = "018bcfe5-6805-7000-8000-00000000ffff"

    resolved, _ = identity.resolve_cids([goes, never, stays, goes, "no cid", "\x00", f"{stays}\n{stays}"])

    assert [(one.cid, one.status, one.current) for one in resolved] == [
        (goes, CidStatus.MERGED, (stays,)),
        (never, None, ()),
        (stays, CidStatus.LIVE, (stays,)),
        (goes, CidStatus.MERGED, (stays,)),
        ("no cid", None, ()),
        ("\x00", None, ()),
        (f"{stays}\n{stays}", None, ()),
    ]


def test_a_cid_is_resolved_as_it_was_believed_then(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    [then] = tell(identity, stated("2", website=("w",)))
    identity.judge(Verdict.SAME, [ONE], [TWO], reason="", author="ann")

    [resolved], _ = identity.resolve_cids([str(then.cid)], known_at=then.known_at)

    assert (resolved.status, resolved.current) == (CidStatus.LIVE, (then.cid,))


def test_a_chain_of_merges_is_followed_to_the_live_cid(identity: Identity) -> None:
    [gone] = tell(identity, stated("3", city=("rome",)))
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), place="x"))
    middle = find_cid(identity, "1")
    identity.judge(Verdict.SAME, [ONE], [RecordRef("crm", "3")], reason="", author="ann")
    tell(identity, *(stated(key, email=("zoe",), place=key) for key in "abcd"))
    identity.judge(Verdict.SAME, [ONE], [RecordRef("crm", "a")], reason="", author="ann")
    identity.judge(Verdict.SAME, [TWO], [RecordRef("crm", "b")], reason="", author="ann")

    [resolved], _ = identity.resolve_cids([str(gone.cid)])
    view = identity.get_cid(str(gone.cid))

    assert resolved.current == view.successors
    assert all(identity.get_cid(cid).status is CidStatus.LIVE for cid in view.successors)
    assert find_cid(identity, "3") in view.successors
    assert middle != gone.cid


@pytest.mark.parametrize("cid", ["", "x", "\x00", "018bcfe5-6805-7000-8000-00000000ffff"])
def test_a_cid_never_issued_is_unknown(identity: Identity, cid: str) -> None:
    with pytest.raises(CidUnknown):
        identity.get_cid(cid)
    with pytest.raises(CidUnknown):
        identity.cid_events(cid)


def test_the_records_of_a_cid_stand_in_the_order_of_their_bytes(identity: Identity) -> None:
    tell(identity, *(stated(key, email=("ann",)) for key in ("b", "B", "_", "\U0001f600", "\uff21")))

    view = identity.get_cid(find_cid(identity, "b"))

    assert [ref.key for ref in view.records] == ["B", "_", "b", "\uff21", "\U0001f600"]


# ------------------------------------------------------------------------------------------------ feed


def test_the_feed_is_read_in_pages_without_gaps_or_repeats(identity: Identity) -> None:
    tell(identity, *(stated(str(number), email=(f"p{number}",)) for number in range(5)))
    whole, _ = identity.changes(None, limit=100)

    pages, cursor = [], None
    for _ in range(4):
        page, cursor = identity.changes(cursor, limit=2)
        pages.append(page)

    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [event for page in pages for event in page] == whole


def test_a_cursor_at_the_end_stays_where_it_is_until_something_comes(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    _, cursor = identity.changes(None, limit=10)

    assert identity.changes(cursor, limit=10) == ([], cursor)
    tell(identity, stated("2", email=("bob",)))
    assert [event.key for event in identity.changes(cursor, limit=10)[0]] == ["2"]


def test_the_feed_shows_a_caller_its_own_sources_and_moves_on_past_the_others(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("1", "one", email=("bob",)))

    events, cursor = identity.changes(None, limit=10, sources=["one"])

    assert [(event.source, event.type) for event in events] == [("one", EventType.ISSUED)]
    assert identity.changes(cursor, limit=10)[0] == []


@pytest.mark.parametrize(
    "cursor", ["x", "1", "1.", ".1", "1.x", "-1.0", "1.2.3", "9" * 50 + ".1", "１.1", "²." + "1"]
)
def test_a_cursor_that_the_feed_never_gave_is_refused(sqlite_identity: Identity, cursor: str) -> None:
    with pytest.raises(StatementRefused, match="cursor"):
        sqlite_identity.changes(cursor, limit=10)


@pytest.mark.parametrize("cursor", ["9" * 20 + "." + "9" * 20, "0.9223372036854775808"])
def test_a_cursor_beyond_what_a_store_counts_is_refused(identity: Identity, cursor: str) -> None:
    with pytest.raises(StatementRefused, match="cursor"):
        identity.changes(cursor, limit=10)
