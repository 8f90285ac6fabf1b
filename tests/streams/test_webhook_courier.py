"""A receiver is told every change, each key's in order, whatever it answers and whenever its courier ends."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook as Reader

from identity.api.render import event_document
from identity.service import Identity
from identity.store_sql import tables
from identity.store_sql.transaction import SqlTransaction
from streams.delivery import Evidence
from streams.ledger import DeliveryLedger
from streams.relay_place import RelayPlace
from streams.webhook_book import WebhookState
from streams.webhook_post import PostAnswer
from tests.identity.stores import Place, stated, tell, withdrawn
from tests.promises.world import Clock
from tests.streams.receiver import Receiver, receiver_at
from tests.streams.webhooks import DAY, SECOND, Sending


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiver_at(tmp_path) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sending(place: Place, receiver: Receiver, clock: Clock) -> Sending:
    return Sending(place.open_identity(clock=clock), receiver, clock=clock)


def write(identity: Identity, keys: str, *, times: int = 1, source: str = "crm") -> None:
    """Let each key change so many times, one after the other."""
    for number in range(times):
        for key in keys:
            tell(
                identity,
                withdrawn(key, source) if number % 2 else stated(key, source, email=(f"{key}{number}",)),
            )


def assert_told(sending: Sending) -> None:
    """Everything was taken, and the first time each change was, its key's earlier ones had been."""
    wanted = {
        event.id for event in sending.identity.changes(None, limit=10_000, sources=sending.hook.sources)[0]
    }
    assert {one.headers["webhook-id"] for one in sending.receiver.taken} == wanted
    seen: dict[str, int] = defaultdict(int)
    for key, version in sending.receiver.changes():
        assert version <= seen[key] + 1, "a change overtook an earlier one of its key"
        seen[key] = max(seen[key], version)
    assert sending.hook.waiting_count == 0


def test_each_change_is_sent_once_in_order_and_signed(sending: Sending) -> None:
    write(sending.identity, "abc", times=3)
    sending.clock.now = int(datetime.now(UTC).timestamp()) * SECOND

    sending.run()

    events = sending.identity.changes(None, limit=100)[0]
    assert sorted(one.headers["webhook-id"] for one in sending.receiver.receipts) == sorted(
        event.id for event in events
    )
    assert_told(sending)
    by_id = {event.id: event_document(event) for event in events}
    reader = Reader(sending.secret)
    for receipt in sending.receiver.receipts:
        told = reader.verify(receipt.body, receipt.headers)
        assert told["data"] == by_id[receipt.headers["webhook-id"]]
        assert told["type"] == f"crosswalk.{told['data']['type']}"
        assert told["timestamp"] == told["data"]["known_at"]


def test_a_key_that_is_refused_waits_and_holds_up_no_other(sending: Sending) -> None:
    write(sending.identity, "ab", times=3)
    sending.receiver.answer = lambda receipt: 500 if receipt.event["key"] == "a" else 204

    sending.run()
    tell(sending.identity, withdrawn("a"), withdrawn("b"))
    sending.run()

    assert {key for key, _ in sending.receiver.changes()} == {"b"}
    assert [one.event["version"] for one in sending.receiver.receipts if one.event["key"] == "a"] == [1]
    assert (sending.hook.waiting_count, sending.hook.state) == (4, WebhookState.ACTIVE)

    sending.receiver.answer = lambda _: 204
    sending.run()
    assert sending.hook.waiting_count == 4, "it comes again before its pause is over"
    sending.later(6 * SECOND)
    sending.run()
    assert_told(sending)


def test_pauses_grow_with_each_refusal_of_one_message(sending: Sending) -> None:
    write(sending.identity, "ab")
    sending.receiver.answer = lambda receipt: 500 if receipt.event["key"] == "a" else 204
    begun = sending.clock.now
    tried: list[int] = []

    for _ in range(40):
        before = len(sending.receiver.receipts)
        sending.run()
        if any(one.event["key"] == "a" for one in sending.receiver.receipts[before:]):
            tried.append((sending.clock.now - begun) // SECOND)
        sending.later(30 * SECOND)

    assert tried == [0, 30, 90, 390]


def test_a_receiver_that_is_down_is_tried_with_one_message_at_a_time(sending: Sending) -> None:
    write(sending.identity, "abcdefghijklmnopqrstuvwxyz")
    sending.receiver.answer = lambda _: 503

    sending.run()
    flooded = len(sending.receiver.receipts)
    sending.run()
    sending.later(6 * SECOND)
    sending.run()

    assert flooded < 26
    assert len(sending.receiver.receipts) == flooded + 1
    assert sending.hook.failing_since is not None
    assert sending.hook.reason == "status 503"

    sending.receiver.answer = lambda _: 204
    sending.later(DAY)
    sending.run()
    assert_told(sending)
    now = sending.hook
    assert (now.failing_since, now.failed_count, now.reason) == (None, 0, None)


def test_a_receiver_that_comes_back_is_not_held_up_by_one_message_it_refuses(sending: Sending) -> None:
    write(sending.identity, "abcdefghijklmnopqrstuvwxyz")
    sending.receiver.answer = lambda _: 503
    sending.run()

    sending.receiver.answer = lambda receipt: 422 if receipt.event["key"] == "a" else 204
    for _ in range(5):
        sending.later(DAY)
        sending.run()

    assert {key for key, _ in sending.receiver.changes()} == set("bcdefghijklmnopqrstuvwxyz")


def test_a_receiver_that_takes_nothing_for_days_is_disabled_and_goes_on_when_resumed(
    sending: Sending,
) -> None:
    write(sending.identity, "abcd")
    sending.receiver.answer = lambda _: 500
    for _ in range(12):
        sending.run()
        sending.later(DAY // 2 + DAY // 4)

    assert sending.hook.state is WebhookState.DISABLED
    assert sending.notes.ended == [sending.id]
    count = len(sending.receiver.receipts)
    write(sending.identity, "e")
    sending.receiver.answer = lambda _: 204
    sending.later(DAY)
    sending.run()
    assert len(sending.receiver.receipts) == count

    sending.book.resume(sending.id)
    sending.run()
    assert_told(sending)


def test_a_receiver_that_says_gone_is_disabled_at_once(sending: Sending) -> None:
    write(sending.identity, "a")
    sending.receiver.answer = lambda _: 410

    sending.run()

    assert (sending.hook.state, sending.hook.reason) == (WebhookState.DISABLED, "status 410")
    sending.receiver.answer = lambda _: 204
    sending.book.resume(sending.id)
    sending.run()
    assert_told(sending)


def test_a_receiver_may_ask_for_a_longer_pause(sending: Sending) -> None:
    write(sending.identity, "a")
    sending.receiver.answer = lambda _: (429, {"retry-after": "600"})
    sending.run()
    sending.receiver.answer = lambda _: 204

    sending.later(599 * SECOND)
    sending.run()
    assert sending.receiver.taken == []
    sending.later(2 * SECOND)
    sending.run()
    assert_told(sending)


def test_a_kept_url_that_would_not_be_let_through_today_is_a_receiver_that_does_not_answer(
    sending: Sending,
) -> None:
    write(sending.identity, "a")
    with sending.identity.store.write() as tx:
        tx.connection.execute(update(tables.webhook).values(url="https://crm..example.com/"))

    sending.run()

    assert (sending.notes.answers, sending.hook.waiting_count) == ([PostAnswer(0, "url_invalid")], 1)


def test_only_changes_of_the_sources_that_it_names_are_sent(
    place: Place, receiver: Receiver, clock: Clock
) -> None:
    sending = Sending(place.open_identity(clock=clock), receiver, clock=clock, sources=["one"])
    write(sending.identity, "ab")
    write(sending.identity, "c", source="one")

    sending.run()

    assert [one.event["source"] for one in receiver.taken] == ["one"]
    assert sending.hook.cursor == sending.identity.feed_end()


def test_a_webhook_of_the_source_acknowledges_and_one_for_all_only_listens(
    place: Place, receiver: Receiver, clock: Clock
) -> None:
    identity = place.open_identity(clock=clock)
    delivery = select(tables.delivery.c.evidence)
    for sources, evidence in ((None, None), (["crm"], Evidence.WEBHOOK)):
        sending = Sending(identity, receiver, clock=clock, sources=sources)
        write(identity, "a")
        DeliveryLedger(identity).follow(batches_max=10)

        sending.run()

        with identity.store.read() as connection:
            assert connection.scalar(delivery) == evidence


def test_a_new_secret_signs_beside_the_one_before_for_a_day(sending: Sending) -> None:
    sending.clock.now = int(datetime.now(UTC).timestamp()) * SECOND
    new = sending.book.rotate_secret(sending.id)
    write(sending.identity, "a")
    sending.run()

    [first] = sending.receiver.receipts
    for secret in (sending.secret, new):
        Reader(secret).verify(first.body, first.headers)
    sending.later(DAY + 1)
    write(sending.identity, "b")
    sending.run()
    assert len(sending.receiver.receipts[1].headers["webhook-signature"].split(" ")) == 1


class Ended(Exception):
    """The process ends here."""


def test_a_courier_that_ends_before_its_place_moves_sends_again_and_loses_nothing(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sending.identity, "abc", times=2)

    def end(self: RelayPlace, *args: object, **more: object) -> bool:
        raise Ended

    with monkeypatch.context() as ending:
        ending.setattr(RelayPlace, "advance", end)
        with pytest.raises(Ended):
            sending.run()
    first = [one.headers["webhook-id"] for one in sending.receiver.receipts]
    sending.run(sending.courier_of("two"))

    assert len(first) == 6
    assert sorted(one.headers["webhook-id"] for one in sending.receiver.receipts) == sorted(2 * first)
    assert_told(sending)


def test_a_webhook_that_is_removed_while_it_is_sent_to_leaves_nothing_behind(sending: Sending) -> None:
    write(sending.identity, "a", times=2)
    sending.receiver.answer = lambda _: 500
    sending.run()
    hook, at = sending.hook, sending.places[sending.courier].find()
    sending.later(6 * SECOND)

    async def removing(*message: object) -> PostAnswer:
        sending.book.remove(sending.id)
        return PostAnswer(500)

    courier = sending.courier_of("two", post=removing)
    assert at is not None
    asyncio.run(courier.run_round(hook, at))

    assert hook.waiting_count == 2
    with sending.identity.store.read() as connection:
        assert connection.execute(select(tables.webhook_waiting)).all() == []


def test_a_courier_that_is_stopped_ends_after_the_messages_under_way_and_repeats_none(
    sending: Sending,
) -> None:
    write(sending.identity, "abcdefghijklmnopqrstuvwxyz", times=2)
    receipts = sending.receiver.receipts

    sending.run(sending.courier_of("two", is_stopping=lambda: len(receipts) >= 5))
    under_way = len(receipts)
    sending.run(sending.courier_of("three"))

    assert 5 <= under_way <= 5 + 16
    assert len(receipts) == 52
    assert_told(sending)


def test_a_courier_that_is_stopped_before_it_sends_leaves_everything_as_it_was(sending: Sending) -> None:
    write(sending.identity, "abcd")
    sending.receiver.answer = lambda _: 503
    sending.run()
    sending.later(DAY)
    before = sending.hook
    assert before.failed_count > 0

    sending.run(sending.courier_of("two", is_stopping=lambda: True))

    assert sending.hook == before


def test_a_round_that_sends_nothing_says_nothing_of_the_receiver(sending: Sending) -> None:
    write(sending.identity, "abc")
    sending.receiver.answer = lambda _: 503
    sending.run()
    tell(sending.identity, withdrawn("a"))
    sending.later(DAY)
    before = sending.hook

    sending.run(sending.courier_of("two", is_stopping=lambda: True))

    after = sending.hook
    assert (before.failed_count, before.waiting_count, after.waiting_count) == (1, 3, 4)
    assert after == before._replace(cursor=after.cursor, waiting_count=4)


def test_a_courier_that_is_stopped_before_the_first_message_does_not_move(sending: Sending) -> None:
    write(sending.identity, "ab")

    sending.run(sending.courier_of("two", is_stopping=lambda: True))

    assert (sending.receiver.receipts, sending.hook.cursor, sending.hook.waiting_count) == ([], "0.0", 0)


def test_a_courier_that_was_replaced_moves_nothing(sending: Sending) -> None:
    write(sending.identity, "a")
    replaced = sending.courier
    sending.run(sending.courier_of("two"))
    write(sending.identity, "b")

    sending.run(replaced)

    assert [key for key, _ in sending.receiver.changes()] == ["a"]


def test_what_is_kept_as_waiting_is_committed_with_the_place(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sending.identity, "a")
    sending.receiver.answer = lambda _: 500

    def end(tx: SqlTransaction, webhook_id: str, **more: object) -> None:
        raise Ended

    with monkeypatch.context() as ending:
        ending.setattr("streams.webhook_book.WebhookBook.note_health", staticmethod(end))
        with pytest.raises(Ended):
            sending.run()

    assert (sending.hook.waiting_count, sending.hook.cursor) == (0, "0.0")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_receiver_answers_every_change_arrives_and_none_overtakes(
    place: Place, receiver: Receiver, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    sending = Sending(place.open_identity(clock=clock), receiver, clock=clock)
    moods = [lambda _: 204, lambda _: 500, lambda _: chance.choice((204, 500, 204, 429))]

    for number in range(30):
        write(sending.identity, chance.sample("abcdefgh", 5), times=2)  # type: ignore[arg-type]
        receiver.answer = chance.choice(moods)
        if number % 5 == 4:
            sending.courier = sending.courier_of(f"courier {number}", page=chance.choice((3, 10, 500)))
        sending.run(rounds_max=chance.choice((1, 2, 100)))
        sending.later(chance.choice((SECOND, 10 * SECOND, DAY // 100)))
    receiver.answer = lambda _: 204
    for _ in range(4):
        sending.later(2 * DAY)
        if sending.hook.state is WebhookState.DISABLED:
            sending.book.resume(sending.id)
        sending.run()

    assert_told(sending)
