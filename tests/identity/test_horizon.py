"""How far into system time answers are final."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.horizon import Horizon
from tests.identity.stores import Place, empty_database, stated, tell
from tests.promises.world import BEGIN

FRESH_US = 100_000


def test_the_horizon_never_goes_back(place: Place) -> None:
    horizon = Horizon(place.open_store())

    given = [horizon.advance(now) for now in (BEGIN, BEGIN + 5, BEGIN - 1000, BEGIN + 6)]

    assert given == sorted(given)
    assert given[0] >= BEGIN


def test_what_is_committed_after_a_horizon_was_given_is_later(place: Place) -> None:
    store = place.open_store()
    given = Horizon(store).advance(BEGIN)

    with store.write() as tx:
        ticked = tx.tick(BEGIN - 1000)

    assert ticked > given


def test_a_recent_horizon_is_given_again_for_a_tenth_of_a_second(place: Place) -> None:
    store = place.open_store()
    horizon = Horizon(store)
    first = horizon.recent(BEGIN)
    with store.write() as tx:
        ticked = tx.tick(BEGIN + 1)

    again, later = horizon.recent(BEGIN + FRESH_US - 1), horizon.recent(BEGIN + FRESH_US)

    assert again == first
    assert later >= ticked


def test_a_clock_that_stepped_back_does_not_freeze_the_horizon(place: Place) -> None:
    store = place.open_store()
    horizon = Horizon(store)
    horizon.recent(BEGIN)
    with store.write() as tx:
        ticked = tx.tick(BEGIN)

    assert horizon.recent(BEGIN - 10 * FRESH_US) >= ticked


def test_the_horizon_of_an_answer_reaches_what_the_same_program_just_told(place: Place) -> None:
    identity = place.open_identity()
    [answer] = tell(identity, stated("1", email=("ann",)))

    assert identity.horizon.advance(BEGIN) >= answer.known_at


def test_reading_moves_nothing_on_sqlite(sqlite_place: Place) -> None:
    store = sqlite_place.open_store()
    horizon = Horizon(store)

    assert horizon.advance(BEGIN, can_write=False) == 0
    assert horizon.advance(BEGIN) == BEGIN


@pytest.mark.service
def test_an_open_write_holds_the_horizon_below_its_instant(kept_database: str, tmp_path: Path) -> None:
    empty_database(kept_database)
    ours = Place(kept_database, tmp_path)
    try:
        store, other = ours.open_store(), ours.open_store()
        horizon = Horizon(other)
        with store.write() as tx:
            ticked = tx.tick(BEGIN)
            while_open = horizon.advance(BEGIN + 10)
        after = horizon.advance(BEGIN + 20)
    finally:
        ours.close()

    assert while_open < ticked
    assert after >= BEGIN + 20
