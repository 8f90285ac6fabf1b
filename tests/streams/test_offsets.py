"""Where partitions stand: moved on by who is right, with the counts of what was taken."""

from __future__ import annotations

import pytest

from identity.service import Identity
from streams.errors import PartitionUnknown
from streams.fate import Fate, Tally
from streams.offsets import BEGINNING, Advance, OffsetBook, OffsetMoved, Partition, Position

ONE, TWO = Partition("sameas.records.crm", 1), Partition("sameas.records.crm", 2)


@pytest.fixture
def book(identity: Identity) -> OffsetBook:
    book = OffsetBook(identity.store)
    book.locate([ONE, TWO], now=1)
    return book


def advance(identity: Identity, *advances: Advance) -> None:
    with identity.store.write() as tx:
        OffsetBook.advance(tx, advances, now=2)


def test_a_partition_seen_for_the_first_time_begins_at_the_beginning(book: OffsetBook) -> None:
    assert book.locate([ONE, TWO], now=5) == dict.fromkeys((ONE, TWO), Position(BEGINNING, range(0)))


def test_offsets_and_counts_move_on_together(identity: Identity, book: OffsetBook) -> None:
    advance(
        identity,
        Advance(TWO, 0, 70_000, Tally({Fate.APPLIED: 2, Fate.STALE: 1})),
        Advance(ONE, 0, 3, Tally({Fate.REJECTED: 1})),
    )
    advance(identity, Advance(TWO, 70_000, 2**40, Tally({Fate.APPLIED: 1})))

    one, two = book.list_states()
    assert (one.partition, one.next_offset, one.consumed, one.tally[Fate.REJECTED]) == (ONE, 3, 1, 1)
    assert (two.partition, two.next_offset, two.consumed) == (TWO, 2**40, 4)
    assert (two.tally[Fate.APPLIED], two.tally[Fate.STALE], two.refreshed_at) == (3, 1, 2)


def test_who_expects_another_offset_moves_nothing(identity: Identity, book: OffsetBook) -> None:
    advance(identity, Advance(ONE, 0, 3, Tally({Fate.APPLIED: 3})))

    with pytest.raises(OffsetMoved) as moved:
        advance(
            identity,
            Advance(TWO, 0, 1, Tally({Fate.APPLIED: 1})),
            Advance(ONE, 0, 2, Tally({Fate.APPLIED: 2})),
        )

    assert set(moved.value.partitions) == {ONE, TWO}
    assert {one: at.next_offset for one, at in book.locate([ONE, TWO], now=5).items()} == {ONE: 3, TWO: 0}


def test_what_was_taken_is_remembered_as_one_range(identity: Identity, book: OffsetBook) -> None:
    advance(identity, Advance(ONE, 0, 10, Tally({Fate.APPLIED: 10})))

    assert book.reposition(ONE.topic, partition=1, next_offset=4) == 1
    assert book.locate([ONE], now=5)[ONE] == Position(4, range(10))
    advance(identity, Advance(ONE, 4, 6, Tally({Fate.DUPLICATE: 2})))
    assert book.locate([ONE], now=5)[ONE] == Position(6, range(10))


def test_what_was_passed_over_counts_as_not_taken(identity: Identity, book: OffsetBook) -> None:
    advance(identity, Advance(ONE, 0, 10, Tally({Fate.APPLIED: 10})))

    book.reposition(ONE.topic, partition=None, next_offset=20)
    advance(identity, Advance(ONE, 20, 25, Tally({Fate.APPLIED: 5})))

    assert book.locate([ONE], now=5)[ONE] == Position(25, range(20, 25))
    book.reposition(ONE.topic, partition=1, next_offset=BEGINNING)
    assert book.locate([ONE], now=5)[ONE] == Position(0, range(0))


def test_offsets_of_a_topic_made_anew_say_nothing_of_what_was_taken(
    identity: Identity, book: OffsetBook
) -> None:
    advance(identity, Advance(ONE, 0, 10, Tally({Fate.APPLIED: 10})))

    assert book.reposition(ONE.topic, partition=None, next_offset=BEGINNING, is_anew=True) == 2

    assert book.locate([ONE], now=5)[ONE] == Position(0, range(0))


def test_a_topic_that_nobody_took_from_is_not_repositioned(book: OffsetBook) -> None:
    with pytest.raises(PartitionUnknown):
        book.reposition("sameas.records.erp", partition=None, next_offset=BEGINNING)
    with pytest.raises(PartitionUnknown):
        book.reposition(ONE.topic, partition=9, next_offset=BEGINNING)
