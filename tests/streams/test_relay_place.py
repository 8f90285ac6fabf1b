"""The row that says how far the relay has come, and which relay that is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import SqlStore, open_store, store_url
from identity.store_sql.tables import relay_cursor, store_fact
from identity.store_sql.transaction import SqlTransaction
from streams.outbox import BEGINNING, OutboxPlace
from streams.relay_place import RelayPlace

SILENT = 1_000
NEXT = OutboxPlace(5, 7)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    url = store_url(None if request.param == "sqlite" else request.getfixturevalue("postgres_url"), tmp_path)
    migrate_store(url)
    store = open_store(url)
    yield store
    store.close()


def place_of(store: SqlStore, holder: str) -> RelayPlace:
    return RelayPlace(store, holder=holder, silent_us_max=SILENT)


def test_the_first_relay_begins_at_the_beginning_and_the_next_one_where_it_came_to(store: SqlStore) -> None:
    first, second = place_of(store, "first"), place_of(store, "second")
    first.take(0)
    assert first.find() == BEGINNING

    assert first.advance(BEGINNING, NEXT, now=1)
    second.take(2)

    assert second.find() == NEXT
    assert first.find() is None


def test_only_the_holder_moves_the_place_and_only_from_where_it_is(store: SqlStore) -> None:
    first, second = place_of(store, "first"), place_of(store, "second")
    first.take(0)
    assert first.advance(BEGINNING, NEXT, now=1)

    assert not first.advance(BEGINNING, OutboxPlace(9, 9), now=2)
    second.take(3)
    assert not first.advance(NEXT, OutboxPlace(9, 9), now=4)
    assert not first.keep(4)

    assert second.find() == NEXT


def test_who_shows_itself_often_writes_once_in_a_quarter_of_the_silence(store: SqlStore) -> None:
    first, second = place_of(store, "first"), place_of(store, "second")
    beats: list[int] = []
    first.take(0)

    for now in range(0, 3 * SILENT, SILENT // 20):
        assert first.show(now)
        with store.read() as connection:
            beats.append(connection.scalars(select(relay_cursor.c.beat_at)).one())
    second.take(3 * SILENT)

    assert sorted(set(beats)) == list(range(0, 3 * SILENT, SILENT // 20 * 6))
    assert not first.show(4 * SILENT)


@pytest.mark.parametrize("does", ["claim", "advance", "keep"])
def test_whatever_writes_the_row_has_shown_itself(store: SqlStore, does: str) -> None:
    first, second = place_of(store, "first"), place_of(store, "second")
    first.take(0)
    if does == "claim":
        assert first.is_free(SILENT)
        assert first.claim(SILENT)
    elif does == "advance":
        assert first.advance(BEGINNING, NEXT, now=SILENT)
    else:
        assert first.keep(SILENT)
    second.take(SILENT)

    assert first.show(SILENT + SILENT // 4)
    assert not first.show(SILENT + SILENT // 4 + 1)


def test_what_is_written_beside_a_move_is_written_with_it_or_not_at_all(store: SqlStore) -> None:
    place = place_of(store, "first")
    place.take(0)
    asked: list[str] = []

    def write(tx: SqlTransaction) -> None:
        tx.connection.execute(insert(store_fact).values(name="beside", value="x"))
        asked.append("moved")

    assert not place.advance(NEXT, NEXT, now=1, beside=write)
    assert place.advance(BEGINNING, NEXT, now=1, beside=write)

    assert asked == ["moved"]
    with store.read() as connection:
        assert connection.scalar(select(store_fact.c.value).where(store_fact.c.name == "beside")) == "x"


def test_a_move_that_breaks_off_before_its_commit_leaves_the_place(store: SqlStore) -> None:
    place = place_of(store, "first")
    place.take(0)

    def break_off(tx: SqlTransaction) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.advance(BEGINNING, NEXT, now=1, beside=break_off)

    assert place.find() == BEGINNING


def test_a_holder_that_shows_itself_is_not_followed_whatever_its_clock_says(store: SqlStore) -> None:
    holder, other = place_of(store, "holder"), place_of(store, "other")
    assert other.is_free(0)
    holder.take(10**15)

    assert not other.is_free(1)
    assert not other.is_free(1 + SILENT)
    assert holder.keep(10**15 + 1)
    assert not other.is_free(2 + SILENT)
    assert not other.is_free(2 + 2 * SILENT)
    assert other.is_free(3 + 2 * SILENT)
    assert holder.is_free(1)


def test_a_holder_that_leaves_is_followed_at_once(store: SqlStore) -> None:
    holder, other = place_of(store, "holder"), place_of(store, "other")
    holder.take(0)
    assert not other.is_free(1)

    holder.leave()

    assert other.is_free(1)
    other.take(2)
    holder.leave()
    assert not holder.is_free(3)


def test_a_row_is_claimed_only_as_it_was_seen(store: SqlStore) -> None:
    first, second = place_of(store, "first"), place_of(store, "second")
    first.take(0)
    first.leave()
    assert first.is_free(1)
    assert second.is_free(1)

    assert first.claim(2)
    assert not second.claim(3)
    assert first.find() == BEGINNING
    assert second.find() is None

    assert not second.is_free(4)
    assert second.is_free(4 + SILENT + 1)
    assert first.keep(5 + SILENT)
    assert not second.claim(6 + SILENT), "the holder has shown itself in between"


def test_a_row_that_is_not_there_is_not_claimed(store: SqlStore) -> None:
    place = place_of(store, "first")

    assert place.is_free(0)
    assert not place.claim(0)
