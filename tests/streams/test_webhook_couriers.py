"""Couriers come and go with their webhooks; of two processes one sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from identity.model import Instant
from identity.store_sql import tables
from streams.webhook_address import WebhookTarget
from streams.webhook_book import WebhookBook, place_name
from streams.webhook_couriers import WebhookCouriers
from streams.webhook_post import PostAnswer, Poster
from tests.identity.stores import Place, stated, tell
from tests.promises.world import Clock
from tests.streams.receiver import Receiver, receiver_at
from tests.streams.webhooks import Notes

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiver_at(tmp_path) as running:
        yield running


class Arriving:
    """Lets a test wait for what a receiver takes."""

    def __init__(self, receiver: Receiver) -> None:
        loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        receiver.noticed = lambda: loop.call_soon_threadsafe(self._arrived.set)

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_so():
                await self._arrived.wait()
                self._arrived.clear()


def couriers_of(
    place: Place,
    receiver: Receiver,
    holder: str,
    *,
    first_cid: int,
    clock: Clock,
    post: Poster | None = None,
    notes: Notes | None = None,
) -> WebhookCouriers:
    return WebhookCouriers(
        place.open_identity(first_cid=first_cid, clock=clock),
        holder=holder,
        post=post or receiver.poster(),
        notes=notes or Notes(),
        now=clock,
        chance=lambda: 0.0,
        days_max=5,
    )


def test_a_webhook_is_sent_to_from_when_it_is_added_until_it_is_removed(
    place: Place, receiver: Receiver
) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    book = WebhookBook(identity, now=clock)

    async def scene() -> None:
        arriving = Arriving(receiver)
        couriers = couriers_of(place, receiver, "one", first_cid=10**9, clock=clock)
        running = asyncio.create_task(couriers.run())
        hook, _ = await asyncio.to_thread(
            lambda: book.add(receiver.url, sources=None, begin_at="start", author="t")
        )
        await asyncio.to_thread(tell, identity, stated("1", email=("ann",)))
        await arriving.wait_for(lambda: len(receiver.taken) == 1)
        await asyncio.to_thread(book.remove, hook.id)
        couriers.stop()
        await running

    asyncio.run(scene())

    assert receiver.changes() == [("1", 1)]


def test_of_two_processes_one_sends_and_the_other_goes_on_when_it_leaves(
    place: Place, receiver: Receiver
) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    WebhookBook(identity, now=clock).add(receiver.url, sources=None, begin_at="start", author="t")

    async def scene() -> None:
        arriving = Arriving(receiver)
        both = [
            couriers_of(place, receiver, name, first_cid=(at + 1) * 10**9, clock=clock)
            for at, name in enumerate(("one", "two"))
        ]
        running = [asyncio.create_task(one.run()) for one in both]
        for number in range(10):
            await asyncio.to_thread(tell, identity, stated(f"a{number}", email=(f"a{number}",)))
        await arriving.wait_for(lambda: len(receiver.taken) >= 10)
        both[0].stop()
        await running[0]
        await asyncio.to_thread(tell, identity, stated("last", email=("last",)))
        await arriving.wait_for(lambda: any(key == "last" for key, _ in receiver.changes()))
        both[1].stop()
        await running[1]

    asyncio.run(scene())

    assert sorted(receiver.changes()) == sorted([*((f"a{n}", 1) for n in range(10)), ("last", 1)])


def test_what_nobody_foresaw_at_one_webhook_does_not_end_the_others(place: Place, receiver: Receiver) -> None:
    clock, notes = Clock(), Notes()
    identity = place.open_identity(clock=clock)
    book = WebhookBook(identity, now=clock)
    broken = book.add("https://broken.example.com/", sources=None, begin_at="start", author="t")[0].id
    book.add(receiver.url, sources=None, begin_at="start", author="t")
    poster = receiver.poster()

    async def post(target: WebhookTarget, headers: Mapping[str, str], body: bytes) -> PostAnswer:
        if target.host == "broken.example.com":
            raise ZeroDivisionError("nobody foresaw it")
        return await poster(target, headers, body)

    async def scene() -> None:
        arriving = Arriving(receiver)
        couriers = couriers_of(place, receiver, "one", first_cid=10**9, clock=clock, post=post, notes=notes)
        running = asyncio.create_task(couriers.run())
        for number, key in enumerate("ab", 1):
            await asyncio.to_thread(tell, identity, stated(key, email=(key,)))
            await arriving.wait_for(partial(receiver.has_taken, number))
        couriers.stop()
        await running

    asyncio.run(scene())

    assert set(notes.faults) == {f"{broken}: nobody foresaw it"}
    assert receiver.changes() == [("a", 1), ("b", 1)]


class Reaching(Clock):
    """A clock that tells when it comes to an instant."""

    def __init__(self, reached: Callable[[], object], *, at: Instant) -> None:
        super().__init__()
        self._reached = reached
        self._at = self.now + at

    def __call__(self) -> Instant:
        now = super().__call__()
        if now >= self._at:
            self._reached()
        return now


def test_a_webhook_with_nothing_to_send_is_not_written_each_round(place: Place, receiver: Receiver) -> None:
    identity = place.open_identity()
    row = tables.relay_cursor

    async def scene() -> tuple[Instant, Instant]:
        loop, reached = asyncio.get_running_loop(), asyncio.Event()
        clock = Reaching(lambda: loop.call_soon_threadsafe(reached.set), at=24_000)
        hook = WebhookBook(identity, now=clock).add(receiver.url, sources=None, begin_at="now", author="t")[0]
        begun = clock.now
        couriers = couriers_of(place, receiver, "one", first_cid=10**9, clock=clock)
        running = asyncio.create_task(couriers.run())
        async with asyncio.timeout(30):
            await reached.wait()
        with identity.store.read() as connection:
            beat_at = connection.scalars(select(row.c.beat_at).where(row.c.name == place_name(hook.id))).one()
        couriers.stop()
        await running
        return begun, beat_at

    begun, beat_at = asyncio.run(scene())

    assert begun < beat_at <= begun + 12_000
