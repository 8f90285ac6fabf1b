"""A follower begins at the start, now or behind an event that was told, and nowhere else."""

from __future__ import annotations

import pytest

from identity.errors import StatementRefused
from identity.feed_begin import check_is_told, place_to_begin
from identity.service import Identity
from tests.identity.stores import stated, tell


def test_it_is_the_start_the_end_or_the_cursor(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    first, last = identity.changes(None, limit=2)[0]
    end = identity.feed_end()

    with identity.store.read() as connection:
        begun = [place_to_begin(connection, at, feed_end=end) for at in ("start", "now", first.id)]

    assert begun == [(0, 0), (last.known_at, last.seq), (first.known_at, first.seq)]


@pytest.mark.parametrize("begin_at", ["yesterday", "1.-1", "1.2.3"])
def test_what_is_no_place_is_refused(identity: Identity, begin_at: str) -> None:
    with identity.store.read() as connection, pytest.raises(StatementRefused):
        place_to_begin(connection, begin_at, feed_end="0.0")


def test_a_place_ahead_of_every_event_is_refused_and_an_empty_feed_has_its_start(identity: Identity) -> None:
    with identity.store.read() as connection:
        check_is_told(connection, (0, 0))
        with pytest.raises(StatementRefused, match="ahead"):
            check_is_told(connection, (0, 1))

    tell(identity, stated("1", email=("ann",)))
    [event] = identity.changes(None, limit=1)[0]

    with identity.store.read() as connection:
        check_is_told(connection, (event.known_at, event.seq))
        with pytest.raises(StatementRefused, match="ahead"):
            check_is_told(connection, (event.known_at, event.seq + 1))
