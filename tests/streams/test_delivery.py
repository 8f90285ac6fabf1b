"""One record's CID on its way back: what closes the gap, what opens it, and where it began."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model import Cid, RecordRef
from streams.delivery import (
    Acknowledgement,
    Assignment,
    Delivery,
    Evidence,
    Gap,
    Sent,
    acknowledge_delivery,
    assign_delivery,
    note_sent,
)

REF = RecordRef("crm", "1")
OLD, NEW = Cid("old"), Cid("new")
ISSUED = Assignment("crm", OLD, 1, is_live=True, at=100, gap=Gap(0, 10, 90))
MOVED = Assignment("crm", NEW, 2, is_live=True, at=200, gap=Gap(0, 20, 190))


def found(cid: Cid | None, evidence: Evidence = Evidence.CID_SEEN, at: int = 300) -> Acknowledgement:
    return Acknowledgement(REF, cid, evidence, at)


def acknowledge(held: Delivery, told: Acknowledgement, *, now_cid: Cid | None = None) -> Delivery:
    return acknowledge_delivery(held, told, now_cid=held.cid if now_cid is None else now_cid)


@pytest.fixture
def issued() -> Delivery:
    return assign_delivery(Delivery(1, "crm"), ISSUED)


def test_an_assigned_cid_is_a_gap_from_the_version_that_got_it(issued: Delivery) -> None:
    assert (issued.is_open, issued.is_covered, issued.gap) == (True, False, Gap(0, 10, 90))


def test_sending_is_no_evidence(issued: Delivery) -> None:
    sent = note_sent(issued, Sent(REF, 1, 150, 0, 7))

    assert (sent.sent_at, sent.sent_part, sent.sent_offset) == (150, 0, 7)
    assert sent.is_open


def test_an_older_message_sent_again_does_not_replace_the_place_of_the_newer_one(issued: Delivery) -> None:
    sent = note_sent(issued, Sent(REF, 2, 150, 0, 7))

    assert note_sent(sent, Sent(REF, 1, 160, 0, 8)) == sent


@pytest.mark.parametrize("evidence", list(Evidence))
def test_the_cid_that_the_record_has_closes_the_gap_by_any_evidence(
    issued: Delivery, evidence: Evidence
) -> None:
    assert acknowledge(issued, found(OLD, evidence)).is_covered


def test_another_cid_closes_nothing(issued: Delivery) -> None:
    told = acknowledge(issued, found(NEW))

    assert (told.is_open, told.acked_cid) == (True, NEW)


def test_of_two_evidences_the_stronger_and_the_earlier_time_are_kept(issued: Delivery) -> None:
    first = acknowledge(issued, found(OLD, Evidence.SINK_OFFSET, 300))
    both = acknowledge(first, found(OLD, Evidence.READ_BACK, 400))

    assert (both.evidence, both.acked_at) == (Evidence.READ_BACK, 300)
    assert acknowledge(both, found(OLD, Evidence.WEBHOOK, 500)) == both


def test_a_later_change_of_the_cid_makes_the_acknowledgement_old(issued: Delivery) -> None:
    moved = assign_delivery(acknowledge(issued, found(OLD)), MOVED)

    assert (moved.is_open, moved.acked_cid, moved.gap) == (True, OLD, MOVED.gap)
    assert acknowledge(moved, found(NEW)).is_covered


def test_a_gap_that_is_open_stays_open_from_where_it_began(issued: Delivery) -> None:
    assert assign_delivery(issued, MOVED).gap == ISSUED.gap


def test_a_withdrawn_record_lacks_nothing_and_one_that_returns_does(issued: Delivery) -> None:
    gone = assign_delivery(issued, replace_assignment(MOVED, cid=OLD, is_live=False))
    back = assign_delivery(gone, Assignment("crm", OLD, 3, is_live=True, at=400, gap=Gap(0, 40, 390)))

    assert (gone.is_open, gone.is_covered) == (False, False)
    assert (back.is_open, back.gap) == (True, Gap(0, 40, 390))


def test_a_cid_on_its_way_for_longer_takes_nothing_back_that_other_evidence_showed(issued: Delivery) -> None:
    covered = acknowledge(assign_delivery(issued, MOVED), found(NEW, Evidence.WEBHOOK))

    assert acknowledge(covered, found(OLD, Evidence.CID_SEEN)) == covered
    assert acknowledge(covered, found(None, Evidence.CID_SEEN)) == covered


def test_the_same_column_read_again_takes_back_what_it_showed(issued: Delivery) -> None:
    covered = acknowledge(issued, found(OLD))

    emptied = acknowledge(covered, found(None))

    assert (emptied.is_open, emptied.acked_cid, emptied.evidence) == (True, None, None)


def test_a_backdated_key_keeps_its_delivery(issued: Delivery) -> None:
    covered = acknowledge(issued, found(OLD))

    backdated = assign_delivery(covered, replace_assignment(MOVED, cid=OLD, is_live=None))

    assert backdated == covered._replace(key_version=2)


def test_a_change_that_comes_again_changes_nothing(issued: Delivery) -> None:
    assert assign_delivery(issued, ISSUED) == issued


@given(
    st.permutations(["issue", "move", "old", "new"]).filter(
        lambda order: order.index("issue") < order.index("move")
    )
)
def test_whatever_comes_first_the_record_ends_covered_once_the_last_cid_was_acknowledged(
    order: list[str],
) -> None:
    delivery = Delivery(1, "crm")
    for step in order:
        if step in ("issue", "move"):
            delivery = assign_delivery(delivery, ISSUED if step == "issue" else MOVED)
        else:
            told = found(OLD, Evidence.WEBHOOK) if step == "old" else found(NEW, Evidence.READ_BACK)
            delivery = acknowledge(delivery, told, now_cid=NEW)

    assert delivery.is_covered


def replace_assignment(change: Assignment, **values: object) -> Assignment:
    return change._replace(**values)  # type: ignore[arg-type]


def test_what_a_sink_wrote_before_the_column_was_emptied_is_no_evidence_any_more(issued: Delivery) -> None:
    sent = note_sent(issued, Sent(REF, 1, 150, 0, 7))

    emptied = acknowledge(acknowledge(sent, found(OLD)), found(None))

    assert (emptied.sent_part, emptied.sent_offset) == (None, None)
