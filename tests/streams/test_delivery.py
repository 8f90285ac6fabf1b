"""One record's CID on its way back: what closes the gap, what opens it, and where it began."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import Cid, RecordRef
from streams.delivery import (
    Acknowledgement,
    Assignment,
    Delivery,
    Evidence,
    Gap,
    KeyNow,
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
    now = KeyNow(held.cid if now_cid is None else now_cid, held.assigned_at or 0, held.key_version)
    return acknowledge_delivery(held, told, now=now)


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


def test_a_record_that_went_and_comes_again_is_a_gap_though_its_cid_was_acknowledged(
    issued: Delivery,
) -> None:
    covered = acknowledge(issued, found(OLD, Evidence.WEBHOOK, at=150))
    gone = assign_delivery(covered, replace_assignment(MOVED, cid=OLD, is_live=False))
    back = assign_delivery(gone, Assignment("crm", OLD, 3, is_live=True, at=400, gap=Gap(0, 40, 390)))

    assert (back.is_open, back.gap) == (True, Gap(0, 40, 390))
    assert acknowledge(back, found(None, Evidence.CID_SEEN, at=410)).is_open
    assert acknowledge(back, found(OLD, Evidence.READ_BACK, at=420)).is_covered


def test_a_cid_that_left_and_came_back_is_a_gap_until_it_is_acknowledged_anew(issued: Delivery) -> None:
    covered = acknowledge(issued, found(OLD, Evidence.WEBHOOK, at=150))
    moved = assign_delivery(covered, MOVED)
    back = assign_delivery(moved, Assignment("crm", OLD, 3, is_live=True, at=400, gap=Gap(0, 40, 390)))

    assert (back.is_open, back.gap) == (True, MOVED.gap)
    again = acknowledge(back, found(OLD, Evidence.READ_BACK, at=420))
    assert (again.is_covered, again.acked_at) == (True, 420)


def test_what_was_delivered_by_an_earlier_change_closes_nothing_of_a_later_one(issued: Delivery) -> None:
    moved = assign_delivery(issued, MOVED)
    back = assign_delivery(moved, Assignment("crm", OLD, 3, is_live=True, at=400, gap=Gap(0, 40, 390)))

    assert acknowledge(back, Acknowledgement(REF, OLD, Evidence.WEBHOOK, 450, known_at=100)).is_open
    assert acknowledge(back, Acknowledgement(REF, OLD, Evidence.WEBHOOK, 450, known_at=400)).is_covered


def test_an_acknowledgement_counts_though_the_clock_of_who_tells_it_is_behind(issued: Delivery) -> None:
    assert acknowledge(issued, found(OLD, Evidence.WEBHOOK, at=ISSUED.at - 50)).is_covered


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
            delivery = acknowledge_delivery(delivery, told, now=KeyNow(NEW, MOVED.at, MOVED.key_version))

    assert delivery.is_covered


def replace_assignment(change: Assignment, **values: object) -> Assignment:
    return change._replace(**values)  # type: ignore[arg-type]


def test_what_a_sink_wrote_before_the_column_was_emptied_is_no_evidence_any_more(issued: Delivery) -> None:
    sent = note_sent(issued, Sent(REF, 1, 150, 0, 7))

    emptied = acknowledge(acknowledge(sent, found(OLD)), found(None))

    assert (emptied.sent_part, emptied.sent_offset) == (None, None)


class World:
    """A key in the crosswalk, what its source has, and a ledger that follows behind; each step takes a moment."""

    def __init__(self) -> None:
        self.now = 100
        self.version = 0
        self.cid: Cid = OLD
        self.is_live = False
        self.since = 0
        self.column: Cid | None = None
        self.has_had_it = False
        """The source had the CID at some moment since it was assigned; what is older may yet be on its way."""
        self.delivery = Delivery(1, "crm")
        self.events: list[Assignment] = []
        self.unsent: list[Assignment] = []
        self.untold: list[Acknowledgement] = []

    def step(self, name: str) -> None:
        self.now += 10
        getattr(self, name)()
        self.has_had_it |= self.column == self.cid

    def assign(self, cid: Cid, *, is_live: bool) -> None:
        if (cid, is_live) == (self.cid, self.is_live):
            return
        self.has_had_it = False
        self.version, self.cid, self.is_live, self.since = self.version + 1, cid, is_live, self.now
        gap = Gap(0, self.version, self.now)
        change = Assignment("crm", cid, self.version, is_live=is_live, at=self.now, gap=gap)
        self.events.append(change)
        self.unsent.append(change)

    def old(self) -> None:
        self.assign(OLD, is_live=True)

    def new(self) -> None:
        self.assign(NEW, is_live=True)

    def withdraw(self) -> None:
        self.column = None
        self.assign(self.cid, is_live=False)

    def post(self) -> None:
        if self.unsent:
            change = self.unsent.pop(0)
            self.column = change.cid if self.is_live else None
            self.untold.append(Acknowledgement(REF, change.cid, Evidence.WEBHOOK, self.now, change.at))

    def tell(self) -> None:
        if self.untold:
            self.acknowledge(self.untold.pop(0))

    def read_back(self) -> None:
        self.acknowledge(found(self.column, Evidence.READ_BACK, self.now))

    def acknowledge(self, told: Acknowledgement) -> None:
        now = KeyNow(self.cid, self.since, self.version)
        self.delivery = acknowledge_delivery(self.delivery, told, now=now)

    def follow(self) -> None:
        while self.events:
            self.delivery = assign_delivery(self.delivery, self.events.pop(0))


@settings(max_examples=400)
@given(
    st.lists(
        st.sampled_from(["old", "new", "withdraw", "post", "tell", "read_back", "follow"]),
        min_size=6,
        max_size=25,
    )
)
def test_no_way_back_makes_a_record_covered_that_is_not_and_the_last_acknowledgement_covers_it(
    steps: list[str],
) -> None:
    world = World()
    for name in steps:
        world.step(name)
    world.step("follow")
    assert not world.delivery.is_covered or world.has_had_it

    world.step("old")
    while world.unsent or world.untold:
        world.step("post")
        world.step("tell")
    world.step("follow")
    world.step("read_back")

    assert world.delivery.is_covered
