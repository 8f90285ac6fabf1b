"""A snapshot taken while others write, and the feed from its cursor on, give the crosswalk."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from identity.export import CURSOR_METADATA, export_crosswalk
from identity.model import Cid, EventType, KeyStatus, RecordRef
from identity.service import Identity
from identity.snapshot import iter_crosswalk_pages
from tests.identity.stores import Place, find_cid, stated, tell, withdrawn
from tests.promises.draw import command_from
from tests.promises.world import State, command_of

SOURCES = ("crm", "one", "trusty")


class Known(NamedTuple):
    """What a consumer knows of a key."""

    version: int
    cid: Cid | None
    status: KeyStatus


def snapshot(
    identity: Identity, *, page_rows: int = 5_000, between: Callable[[], object] = lambda: None
) -> dict[RecordRef, Known]:
    known: dict[RecordRef, Known] = {}
    for page in iter_crosswalk_pages(identity.store, SOURCES, page_rows=page_rows):
        known.update(
            (RecordRef(row.source, row.key), Known(row.version, row.cid, row.status)) for row in page
        )
        between()
    return known


def fold(identity: Identity, known: dict[RecordRef, Known], cursor: str) -> dict[RecordRef, Known]:
    """Follow the feed as a consumer does: of each key the greatest version stands, in order, none left out."""
    known = dict(known)
    while True:
        events, cursor = identity.changes(cursor, limit=7)
        if not events:
            return known
        for event in events:
            ref = RecordRef(event.source, event.key)
            before = known.get(ref)
            if before is not None and event.version <= before.version:
                continue
            if before is not None:
                assert event.version == before.version + 1, "an event between snapshot and feed is missing"
            status = {
                EventType.WITHDRAWN: KeyStatus.WITHDRAWN,
                EventType.RENAMED: KeyStatus.RENAMED,
                EventType.BACKDATED: before.status if before is not None else KeyStatus.LIVE,
            }.get(event.type, KeyStatus.LIVE)
            known[ref] = Known(event.version, event.cid, status)


@pytest.fixture
def writing(place: Place) -> Iterator[list[Future[None]]]:
    """Three writers at work."""
    writers = [place.open_identity(first_cid=(n + 1) * 10**9) for n in range(3)]

    def write(number: int) -> None:
        chance = random.Random(number)
        for _ in range(20):
            drawn = [command_from(chance.randrange(10**6)) for _ in range(5)]
            states = {one.name: State(one.name, one.statement) for one in drawn if isinstance(one, State)}
            writers[number].resolve([command_of(state) for state in states.values()])

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(write, number) for number in range(3)]
        yield running
        for one in running:
            one.result(60)


def test_pages_hold_every_key_once_in_order_with_its_status(identity: Identity) -> None:
    tell(identity, *(stated(key, email=(f"mail{at}",)) for at, key in enumerate(("b", "B", "a", "é"))))
    tell(identity, withdrawn("a"))

    pages = list(iter_crosswalk_pages(identity.store, SOURCES, page_rows=2))

    assert [[(row.key, row.version, row.status.value) for row in page] for page in pages] == [
        [("B", 1, "live"), ("a", 2, "withdrawn")],
        [("b", 1, "live"), ("é", 1, "live")],
    ]
    assert pages[0][0].cid == find_cid(identity, "B")


def test_a_source_that_was_not_asked_for_is_left_out(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("1", "one", email=("bob",)))

    [[row]] = iter_crosswalk_pages(identity.store, ["one"])

    assert (row.source, row.key) == ("one", "1")


def test_the_end_of_the_feed_is_behind_its_last_event(identity: Identity) -> None:
    assert identity.feed_end() == "0.0"
    tell(identity, stated("1", email=("ann",)))

    assert identity.feed_end() == identity.changes(None, limit=10)[1]


@pytest.mark.slow
def test_a_snapshot_taken_while_others_write_and_the_feed_from_its_cursor_on_give_the_crosswalk(
    place: Place, writing: list[Future[None]]
) -> None:
    reader, fourth = (place.open_identity(first_cid=first * 10**9) for first in (9, 8))
    taken: list[tuple[dict[RecordRef, Known], str]] = []
    written = count()

    def write() -> None:
        """However fast the others are, something is written between two pages."""
        number = next(written)
        tell(fourth, stated(f"{number % 7}", email=(f"mail{number % 5}",), version=number))

    write()
    while not all(one.done() for one in writing) or len({cursor for _, cursor in taken}) < 4:
        cursor = reader.feed_end()
        taken.append((snapshot(reader, page_rows=3, between=write), cursor))

    now = snapshot(reader)
    assert len(now) > 10
    for known, cursor in taken:
        assert fold(reader, known, cursor) == now


@pytest.mark.slow
def test_a_file_and_the_feed_from_the_cursor_in_it_give_the_crosswalk(
    place: Place, writing: list[Future[None]], tmp_path: Path
) -> None:
    reader = place.open_identity(first_cid=9 * 10**9)
    out = tmp_path / "out.parquet"
    assert export_crosswalk(reader.store, out, cursor=reader.feed_end()) >= 0

    wait(writing)

    table = pq.read_table(out)
    known = {
        RecordRef(row["source"], row["key"]): Known(row["version"], row["cid"], KeyStatus.LIVE)
        for row in table.to_pylist()
    }
    folded = fold(reader, known, table.schema.metadata[CURSOR_METADATA.encode()].decode())

    def live(rows: dict[RecordRef, Known]) -> dict[RecordRef, Known]:
        return {ref: one for ref, one in rows.items() if one.status is KeyStatus.LIVE}

    assert live(folded) == live(snapshot(reader))
