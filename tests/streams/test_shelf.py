"""What the polling thread puts there, and what the taking thread is given of it."""

from __future__ import annotations

import threading

from streams.offsets import Partition, Position
from streams.reading import Fetched
from streams.shelf import MESSAGES_MAX, Shelf

ONE, TWO = Partition("t", 1), Partition("t", 2)


def fetched(partition: Partition, *offsets: int, size: int = 1) -> list[Fetched]:
    return [Fetched(partition, offset, b"k", b"v" * size) for offset in offsets]


def place(shelf: Shelf, *partitions: Partition, at: int = 0) -> None:
    """Assign partitions and let them go on at an offset."""
    shelf.assign(partitions)
    shelf.locate({assignment: Position(at, range(at)) for assignment in shelf.list_unlocated()})
    for assignment, _ in shelf.list_seeks():
        shelf.mark_sought(assignment)


def picked(shelf: Shelf, limit: int = 100) -> dict[Partition, list[int]]:
    return {one.partition: [message.offset for message in one.messages] for one in shelf.pick(limit)}


def test_messages_are_picked_in_order_from_where_the_store_says() -> None:
    shelf = Shelf()
    place(shelf, ONE, at=5)

    shelf.put(fetched(ONE, 5, 6, 9))

    [one] = shelf.pick(100)
    assert (one.expected, [message.offset for message in one.messages]) == (5, [5, 6, 9])
    assert one.taken_before == range(5)


def test_what_is_fetched_before_the_partition_is_sought_is_dropped() -> None:
    shelf = Shelf()
    shelf.assign([ONE])
    shelf.put(fetched(ONE, 0))
    shelf.locate({shelf.list_unlocated()[0]: Position(3, range(0))})
    shelf.put(fetched(ONE, 1))
    [(assignment, offset)] = shelf.list_seeks()

    shelf.mark_sought(assignment)
    shelf.put(fetched(ONE, 2, 3))

    assert offset == 3
    assert picked(shelf) == {ONE: [3]}


def test_a_message_fetched_twice_is_kept_once() -> None:
    shelf = Shelf()
    place(shelf, ONE)

    shelf.put(fetched(ONE, 0, 1))
    shelf.put(fetched(ONE, 0, 1, 2))

    assert picked(shelf) == {ONE: [0, 1, 2]}


def test_messages_stay_until_they_are_taken() -> None:
    shelf = Shelf()
    place(shelf, ONE)
    shelf.put(fetched(ONE, 0, 1, 2))
    assert picked(shelf) == {ONE: [0, 1, 2]}

    shelf.mark_taken(ONE, expected=0, next_offset=2)

    assert picked(shelf) == {ONE: [2]}
    assert shelf.pick(1)[0].expected == 2


def test_what_was_taken_of_an_older_assignment_is_not_heard() -> None:
    shelf = Shelf()
    place(shelf, ONE, at=4)
    shelf.put(fetched(ONE, 4, 5))
    shelf.revoke([ONE])
    place(shelf, ONE, at=2)
    shelf.put(fetched(ONE, 2, 3, 4, 5))

    shelf.mark_taken(ONE, expected=4, next_offset=6)

    assert picked(shelf) == {ONE: [2, 3, 4, 5]}


def test_an_offset_told_for_an_older_assignment_is_not_heard() -> None:
    shelf = Shelf()
    shelf.assign([ONE])
    [old] = shelf.list_unlocated()
    shelf.revoke([ONE])
    shelf.assign([ONE])

    shelf.locate({old: Position(7, range(0))})

    assert shelf.list_seeks() == []


def test_a_revoked_partition_is_dropped_with_what_is_kept_of_it() -> None:
    shelf = Shelf()
    place(shelf, ONE, TWO)
    shelf.put(fetched(ONE, 0) + fetched(TWO, 0))

    shelf.revoke([ONE])
    shelf.put(fetched(ONE, 1))

    assert picked(shelf) == {TWO: [0]}


def test_a_misplaced_partition_is_located_and_sought_anew() -> None:
    shelf = Shelf()
    place(shelf, ONE)
    shelf.put(fetched(ONE, 0, 1))

    shelf.misplace([ONE])
    shelf.put(fetched(ONE, 2))

    assert picked(shelf) == {}
    [assignment] = shelf.list_unlocated()
    shelf.locate({assignment: Position(9, range(0))})
    assert shelf.list_seeks() == [(assignment, 9)]


def test_a_batch_shares_its_room_and_leaves_none_unused() -> None:
    shelf = Shelf()
    place(shelf, ONE, TWO)
    shelf.put(fetched(ONE, 0, 1) + fetched(TWO, *range(50)))

    counts = {partition: len(offsets) for partition, offsets in picked(shelf, 10).items()}

    assert counts == {ONE: 2, TWO: 8}


def test_partitions_take_turns_when_there_is_room_for_one_message_only() -> None:
    shelf = Shelf()
    place(shelf, ONE, TWO)
    shelf.put(fetched(ONE, 0) + fetched(TWO, 0))

    assert {next(iter(picked(shelf, 1))) for _ in range(2)} == {ONE, TWO}


def test_fetching_pauses_when_a_partition_is_full_and_goes_on_when_half_is_taken() -> None:
    shelf = Shelf()
    place(shelf, ONE)
    shelf.put(fetched(ONE, *range(MESSAGES_MAX)))
    assert shelf.is_full(ONE, was_full=False)

    shelf.mark_taken(ONE, expected=0, next_offset=10)
    assert (shelf.is_full(ONE, was_full=True), shelf.is_full(ONE, was_full=False)) == (True, False)
    shelf.mark_taken(ONE, expected=10, next_offset=MESSAGES_MAX // 2 + 1)

    assert not shelf.is_full(ONE, was_full=True)


def test_fetching_pauses_when_all_partitions_together_are_too_large() -> None:
    shelf = Shelf()
    place(shelf, ONE, TWO)

    shelf.put(fetched(ONE, *range(20), size=1 << 20) + fetched(TWO, *range(12), size=1 << 20))

    assert shelf.is_full(ONE, was_full=False)
    assert shelf.is_full(TWO, was_full=False)


def test_who_waits_is_woken_by_a_message_and_by_the_end() -> None:
    shelf = Shelf()
    place(shelf, ONE)
    woken = threading.Semaphore(0)

    def wait() -> None:
        shelf.wait(600)
        woken.release()

    threading.Thread(target=wait, daemon=True).start()
    shelf.put(fetched(ONE, 0))
    assert woken.acquire(timeout=60)
    shelf.mark_taken(ONE, expected=0, next_offset=1)
    threading.Thread(target=wait, daemon=True).start()
    shelf.close()

    assert woken.acquire(timeout=60)
    assert shelf.is_closed
