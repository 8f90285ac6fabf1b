"""A subscriber keeps its place, and only moves on from where its mover believes it to be."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from identity.errors import CursorMoved, Refused, StatementRefused, SubscriberUnknown
from identity.service import Identity
from identity.subscribers import SUBSCRIBERS_MAX
from tests.identity.stores import Place, stated, tell


def cursors(identity: Identity, count: int) -> list[str]:
    tell(identity, *(stated(str(number), email=(f"p{number}",)) for number in range(count)))
    return [event.id for event in identity.changes(None, limit=count)[0]]


def test_it_begins_at_the_start_now_or_a_cursor_and_is_made_once(identity: Identity) -> None:
    places = cursors(identity, 3)
    subscribers = identity.subscribers

    begun = [subscribers.ensure("a", name, begin_at=at) for name, at in
             (("one", "start"), ("two", "now"), ("three", places[1]))]  # fmt: skip
    again = subscribers.ensure("a", "one", begin_at="now")

    assert [(one.cursor, is_new) for one, is_new in begun] == [
        ("0.0", True),
        (places[2], True),
        (places[1], True),
    ]
    assert again == (begun[0][0], False)
    assert subscribers.get("a", "three") == begun[2][0]


def test_acknowledging_moves_it_on_and_repeating_that_changes_nothing(identity: Identity) -> None:
    places = cursors(identity, 3)
    identity.subscribers.ensure("a", "one", begin_at="start")

    moved = identity.subscribers.acknowledge("a", "one", places[1])

    assert moved.cursor == places[1]
    assert identity.subscribers.acknowledge("a", "one", places[1], was="0.0") == moved
    assert identity.subscribers.get("a", "one") == moved


def test_it_moves_neither_back_nor_from_where_it_is_not(identity: Identity) -> None:
    places = cursors(identity, 3)
    identity.subscribers.ensure("a", "one", begin_at=places[1])

    with pytest.raises(CursorMoved, match=places[1]):
        identity.subscribers.acknowledge("a", "one", places[0])
    with pytest.raises(CursorMoved, match=places[1]):
        identity.subscribers.acknowledge("a", "one", places[2], was=places[0])
    assert identity.subscribers.get("a", "one").cursor == places[1]


def test_a_place_ahead_of_the_feed_is_refused(identity: Identity) -> None:
    ahead = f"{int(cursors(identity, 1)[0].partition('.')[0]) + 1}.0"
    identity.subscribers.ensure("a", "one", begin_at="start")

    with pytest.raises(StatementRefused, match="ahead"):
        identity.subscribers.acknowledge("a", "one", ahead)
    with pytest.raises(StatementRefused, match="ahead"):
        identity.subscribers.ensure("a", "two", begin_at=ahead)


@pytest.mark.parametrize("begin_at", ["yesterday", f"{1 << 62}.0"], ids=["no cursor", "ahead"])
def test_where_to_begin_has_to_be_a_place_even_for_one_that_is_there(
    identity: Identity, begin_at: str
) -> None:
    identity.subscribers.ensure("a", "one", begin_at="start")

    with pytest.raises(StatementRefused):
        identity.subscribers.ensure("a", "one", begin_at=begin_at)


def test_each_owner_has_its_own_and_no_other(identity: Identity) -> None:
    identity.subscribers.ensure("a", "one", begin_at="start")
    identity.subscribers.ensure("b", "one", begin_at="start")

    identity.subscribers.remove("a", "one")

    assert [(one.owner, one.name) for one in identity.subscribers.list_of(None)] == [("b", "one")]
    assert identity.subscribers.list_of("a") == []
    for do in (identity.subscribers.get, identity.subscribers.remove):
        with pytest.raises(SubscriberUnknown):
            do("a", "one")
    with pytest.raises(SubscriberUnknown):
        identity.subscribers.acknowledge("a", "one", "0.0")


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a" * 64])
def test_a_name_is_of_the_letters_of_names(sqlite_identity: Identity, name: str) -> None:
    with pytest.raises(Refused, match="name"):
        sqlite_identity.subscribers.ensure("a", name, begin_at="start")


def test_an_owner_cannot_fill_the_store(sqlite_identity: Identity) -> None:
    for number in range(SUBSCRIBERS_MAX):
        sqlite_identity.subscribers.ensure("a", f"s{number}", begin_at="start")

    with pytest.raises(Refused, match="delete"):
        sqlite_identity.subscribers.ensure("a", "more", begin_at="start")


def test_of_two_that_move_it_from_one_place_one_is_told_that_it_was_late(place: Place) -> None:
    identity = place.open_identity()
    places = cursors(identity, 21)
    identity.subscribers.ensure("a", "one", begin_at=places[0])
    gate = threading.Barrier(2)

    def move(number: int) -> int:
        moved = 0
        for was, to in pairwise(places):
            gate.wait(30)
            try:
                # Each goes to a place of its own, so that both cannot mean the same move.
                identity.subscribers.acknowledge("a", "one", to if number else places[-1], was=was)
                moved += 1
            except CursorMoved:
                pass
        return moved

    with ThreadPoolExecutor(2) as pool:
        moves = list(pool.map(move, range(2)))

    assert identity.subscribers.get("a", "one").cursor == places[-1]
    assert sum(moves) <= len(places)
    assert moves[0] >= 1
