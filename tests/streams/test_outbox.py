"""What is to be told: nothing left out, in order, with what became of each CID."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from sqlalchemy import text

from identity.model import CidStatus, EventType, Instant, KeyStatus, RecordRef
from streams.outbox import BEGINNING, Outbox, OutboxBatch
from streams.relay_place import RelayPlace
from tests.promises.amount import examples
from tests.promises.draw import command_from, runs
from tests.promises.world import BEGIN, Command, Judge, State, World, command_of, make_identity, open_world
from tests.streams.stream import Told
from tests.streams.taking import Taking

ANN, BOB, EVE = ({"email": (name,), "city": (name,)} for name in ("ann", "bob", "eve"))
ONE, TWO, THREE = (("crm", name) for name in "123")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with open_world(url, tmp_path) as world:
        yield world


@dataclass
class Reader:
    """Folds what it reads, as a consumer of the topics does."""

    outbox: Outbox
    limit: int = 100
    rows: dict[RecordRef, tuple[object, KeyStatus, int]] = field(default_factory=dict)
    cids: dict[str, tuple[Instant, CidStatus, tuple[str, ...]]] = field(default_factory=dict)
    batches: list[OutboxBatch] = field(default_factory=list)

    def read_on(self) -> None:
        while True:
            after = self.batches[-1].end if self.batches else BEGINNING
            batch = self.outbox.read(after, limit=self.limit)
            if not batch.keys:
                assert batch.end == after
                return
            self.batches.append(batch)
            for event, status in batch.keys:
                ref = RecordRef(event.source, event.key)
                before = self.rows.get(ref)
                assert event.version == (before[2] if before else 0) + 1
                self.rows[ref] = (event.cid, status, event.version)
            for change in batch.cids:
                known = self.cids.get(change.cid)
                assert known is None or known[0] <= change.known_at
                self.cids[change.cid] = (change.known_at, change.status, change.successors)

    def check(self, world: World) -> None:
        """Assert that the folds are what the store holds."""
        with world.identity.store.read() as connection:
            rows = connection.execute(text("SELECT source, key, cid, status, key_version FROM record")).all()
            issued = sorted(connection.execute(text("SELECT DISTINCT cid FROM cid_state")).scalars())
        assert self.rows == {RecordRef(*row[:2]): (row[2], KeyStatus(row[3]), row[4]) for row in rows}
        resolved, _ = world.identity.resolve_cids(issued)
        assert {cid: told[1:] for cid, told in self.cids.items()} == {
            one.cid: (one.status, () if one.status is CidStatus.LIVE else one.current) for one in resolved
        }


@pytest.mark.slow
def test_p5_folding_what_is_told_gives_the_store_after_every_command(tmp_path: Path) -> None:
    numbers = iter(range(10**6))

    @examples(15)
    @given(runs(20, 60))
    def property_holds(commands: list[Command]) -> None:
        with open_world(None, tmp_path / str(next(numbers))) as world:
            outbox = Outbox(world.identity)
            reader, late = Reader(outbox), Reader(outbox, limit=3)
            for command in commands:
                world.tell(command)
                reader.read_on()
                reader.check(world)
            late.read_on()  # in small parts, within what changed at one instant too
            late.check(world)
            said = {(one.cid, one.known_at): one for batch in reader.batches for one in batch.cids}
            again = {(one.cid, one.known_at): one for batch in late.batches for one in batch.cids}
            assert again == said, "read later, an event tells something else"

    property_holds()


def test_a_cid_that_is_merged_twice_is_told_again_with_the_one_that_lives(world: World) -> None:
    reader = Reader(Outbox(world.identity))
    # The customer of more records keeps its CID: the second merge is to end the CID that the first one left.
    many = [THREE, *(("crm", f"eve {number}") for number in range(3))]
    world.tell(State(ONE, ANN), State(TWO, BOB), *(State(name, EVE) for name in many))
    reader.read_on()
    first, second, third = (reader.rows[RecordRef(*name)][0] for name in (ONE, TWO, THREE))
    world.tell(Judge("same", (ONE,), (TWO,)))
    reader.read_on()
    kept, gone = (first, second) if reader.cids[str(second)][1] is CidStatus.MERGED else (second, first)
    assert reader.cids[str(gone)][2] == (kept,)

    world.tell(Judge("same", (ONE,), tuple(many)))
    reader.read_on()

    assert {one.cid for one in reader.batches[-1].cids} == {gone, kept}
    assert reader.cids[str(gone)][2] == reader.cids[str(kept)][2] == (third,)
    reader.check(world)


def test_a_key_that_is_backdated_while_it_is_withdrawn_stays_withdrawn(world: World) -> None:
    reader = Reader(Outbox(world.identity))
    world.tell(State(ONE, ANN, version=2, effective_at=BEGIN), State(ONE, None, version=3))

    world.tell(State(ONE, BOB, version=1, effective_at=BEGIN - 10**9))
    world.tell(State(ONE, ANN, version=4))
    reader.read_on()

    told = [(event.type, status) for batch in reader.batches for event, status in batch.keys]
    assert told == [
        (EventType.ISSUED, KeyStatus.LIVE),
        (EventType.WITHDRAWN, KeyStatus.WITHDRAWN),
        (EventType.BACKDATED, KeyStatus.WITHDRAWN),
        (EventType.RETURNED, KeyStatus.LIVE),
    ]


def test_a_customer_that_gains_a_record_is_no_change_of_its_cid(world: World) -> None:
    reader = Reader(Outbox(world.identity))
    world.tell(State(ONE, ANN))
    reader.read_on()

    world.tell(State(TWO, ANN))
    reader.read_on()

    assert [len(batch.cids) for batch in reader.batches] == [1, 0]


@pytest.mark.slow
@pytest.mark.service
def test_the_oldest_that_is_not_told_is_found_whether_event_or_reject(world: World) -> None:
    outbox, place = (
        Outbox(world.identity),
        RelayPlace(world.identity.store, holder="one", silent_us_max=1),
    )
    assert outbox.find_oldest_untold() is None
    world.tell(State(ONE, ANN))
    world.tell(State(TWO, BOB))
    # Who follows by another way has come to the end: that tells Kafka nothing.
    ledger = RelayPlace(world.identity.store, holder="one", silent_us_max=1, name="a ledger")
    ledger.take(BEGIN)
    assert ledger.advance(BEGINNING, outbox.read(BEGINNING, limit=10).end, now=BEGIN)
    batch = outbox.read(BEGINNING, limit=1)
    [first], [second] = batch.keys, outbox.read(batch.end, limit=1).keys

    found = [outbox.find_oldest_untold()]
    place.take(BEGIN)
    assert place.advance(BEGINNING, batch.end, now=BEGIN)
    found.append(outbox.find_oldest_untold())
    assert place.advance(batch.end, outbox.read(batch.end, limit=1).end, now=BEGIN)
    found.append(outbox.find_oldest_untold())
    Taking(world.identity).take(Told(b"x", b"{"))
    [refused] = outbox.read(BEGINNING, limit=1).rejects
    found.append(outbox.find_oldest_untold())

    assert found == [first.event.known_at, second.event.known_at, None, refused.created_at]


def test_p5_reading_while_three_writers_commit_out_of_sequence_leaves_nothing_out(
    postgres_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        identities = [make_identity(postgres_url, tmp_path, first_cid=n * 10**9) for n in range(4)]
        for identity in identities:
            stack.callback(identity.close)
        reader = Reader(Outbox(identities[0]), limit=7)

        def write(number: int) -> None:
            chance = random.Random(number)
            for _ in range(20):
                drawn = [command_from(chance.randrange(10**6)) for _ in range(6)]
                states = {one.name: State(one.name, one.statement) for one in drawn if isinstance(one, State)}
                identities[number].resolve([command_of(state) for state in states.values()])

        with ThreadPoolExecutor(3) as pool:
            writing = [pool.submit(write, number) for number in (1, 2, 3)]
            while not all(one.done() for one in writing):
                reader.read_on()
            for one in writing:
                one.result()
        reader.read_on()

        assert len(reader.batches) > 5
        reader.check(World(identities[0]))
