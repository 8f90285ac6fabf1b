"""Send one webhook's receiver every change, each key's in order, for as long as it takes.

A round:
1. Keys whose waiting events are due are tried again, in order, until one is not taken.
2. A page of the feed is read behind the place. Events of keys that wait are put behind what waits already; the others
   are sent, keys beside each other, those of one key one after the other. One that is not taken makes its key wait.
3. In one transaction the place moves behind the page, by compare-and-set, what was not taken is kept as waiting, and
   what was taken counts as acknowledged by its source.

When several keys in a row are not taken, the receiver is down: the round ends where it is, and from then on one message
at a time is tried, another one each time, after longer and longer pauses. One message that is refused for itself
holds up its own key only. A receiver that says 410, or takes nothing for days, is disabled and
stays where it stands until somebody resumes it.

Invariant: the place moves only over events that were taken or are kept as waiting; nothing is passed over. After a
crash a page may be sent again under the same ids. No event of a key is first sent before an earlier one was taken.
Elsewhere: one message (`streams.webhook_post`), what is kept (`streams.webhook_book`), when to try again
(`streams.webhook_schedule`), all couriers of a store (`streams.webhook_couriers`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import orjson

from identity.api.render import event_document
from identity.cursor import format_cursor
from identity.model import CrosswalkEvent, Instant, RecordRef
from identity.service import Identity
from identity.statement import format_instant
from identity.store_sql.transaction import SqlTransaction
from streams.delivery import Acknowledgement, Evidence
from streams.errors import WebhookInvalid
from streams.ledger import DeliveryLedger
from streams.outbox import OutboxPlace
from streams.relay_place import RelayPlace
from streams.webhook_address import read_url
from streams.webhook_book import WaitingEvent, Webhook, WebhookBook
from streams.webhook_post import PostAnswer, Poster
from streams.webhook_schedule import is_dead, pause_us
from streams.webhook_signature import signed_headers

__all__ = ["CourierNotes", "WebhookCourier", "send_test"]

_PAGE: Final = 500
_LANES: Final = 16
_EACH: Final = 100
_DOWN_AFTER: Final = 3
"""So many failures with nothing taken since mean that the receiver is down."""
_SECOND_US: Final = 1_000_000
_NO_ANSWER: Final = PostAnswer(0)


class CourierNotes(Protocol):
    """Is told what a courier does, for metrics and logs."""

    def tried(self, webhook_id: str, answer: PostAnswer) -> None:
        """A message was sent."""

    def disabled(self, webhook_id: str) -> None:
        """Nothing more is sent until somebody resumes it."""


@dataclass(slots=True)
class _Health:
    """How the receiver does, within a round."""

    failing_since: Instant | None
    failed_count: int
    next_at: Instant = 0
    answer: PostAnswer = _NO_ANSWER
    failed_now: int = 0
    is_dead: bool = False

    @property
    def is_down(self) -> bool:
        return self.failed_now >= _DOWN_AFTER or self.is_dead


@dataclass(slots=True)
class _Done:
    """What a round did."""

    taken: list[CrosswalkEvent] = field(default_factory=list)
    kept: list[WaitingEvent] = field(default_factory=list)
    untried: set[str] = field(default_factory=set)

    @property
    def has_tried(self) -> bool:
        """True when a message was sent, whatever was answered."""
        return bool(self.taken) or any(one.failed_count for one in self.kept)


class WebhookCourier:
    """Sends what one webhook is to be told.

    Args:
        place: the webhook's row, as held by this process.
        chance: gives numbers in [0, 1), for spreading retries.
        days_max: a receiver that takes nothing for so many days is disabled.
        is_stopping: once true, a round ends after the messages under way.
    """

    def __init__(
        self,
        webhook_id: str,
        *,
        identity: Identity,
        book: WebhookBook,
        place: RelayPlace,
        post: Poster,
        notes: CourierNotes,
        now: Callable[[], Instant],
        chance: Callable[[], float],
        days_max: int,
        is_stopping: Callable[[], bool] = lambda: False,
        page: int = _PAGE,
    ) -> None:
        self._id = webhook_id
        self._identity = identity
        self._book = book
        self._ledger = DeliveryLedger(identity)
        self._place = place
        self._post = post
        self._notes = notes
        self._now = now
        self._chance = chance
        self._days_max = days_max
        self._is_stopping = is_stopping
        self._page = page

    async def run_round(self, hook: Webhook, at: OutboxPlace) -> bool:
        """Do one round; return whether there may be more to do at once.

        Args:
            hook: the webhook, read since this process holds its row.
            at: its place.

        Raises:
            WebhookUnknown: it was removed.
        """
        now = self._now()
        if hook.state != "active" or hook.next_at > now:
            return False
        health = _Health(hook.failing_since, hook.failed_count)
        is_probe = hook.failed_count > 0
        retried = await self._retry(hook, health, due_at=None if is_probe else now, is_probe=is_probe)
        if is_probe and retried:
            return not health.failed_now
        if health.is_down:
            return False
        return await self._go_on(hook, health, at, is_probe=is_probe) or retried

    # -- what waits -----------------------------------------------------------------------------------------

    async def _retry(self, hook: Webhook, health: _Health, *, due_at: Instant | None, is_probe: bool) -> bool:
        lanes = await asyncio.to_thread(
            lambda: self._book.waiting_lanes(
                self._id, due_at=due_at, lanes=1 if is_probe else _LANES, each=1 if is_probe else _EACH
            )
        )
        if not lanes:
            return False
        events = await asyncio.to_thread(self._read_events, [one.place for lane in lanes for one in lane])
        failed = {one.place: one.failed_count for lane in lanes for one in lane}
        done = await self._send_lanes(
            hook,
            health,
            {lane[0].ref_hash: [events[one.place] for one in lane] for lane in lanes},
            failed_before=failed,
        )
        # Behind a first event that was not taken the others of its key wait as they did.
        heads = {one.place: one for one in done.kept if one.failed_count}
        if not done.has_tried:
            return False  # it was stopped before it tried any

        def save(tx: SqlTransaction) -> None:
            self._book.end_waiting(tx, self._id, [_place_of(event) for event in done.taken])
            self._book.put_off(tx, self._id, heads.values())
            self._note(tx, health)
            self._acknowledge(tx, hook, done.taken)

        await asyncio.to_thread(self._write, save)
        return bool(done.taken or heads)

    def _read_events(self, places: Sequence[OutboxPlace]) -> dict[OutboxPlace, CrosswalkEvent]:
        return {_place_of(event): event for event in self._identity.events_at(places)}

    # -- what is new ----------------------------------------------------------------------------------------

    async def _go_on(self, hook: Webhook, health: _Health, at: OutboxPlace, *, is_probe: bool) -> bool:
        limit = 1 if is_probe else self._page
        events, cursor = await asyncio.to_thread(
            lambda: self._identity.changes(format_cursor(*at), limit=limit, sources=hook.sources)
        )
        if cursor == format_cursor(*at):
            return False
        waiting = await asyncio.to_thread(self._book.waiting_hashes, self._id)
        lanes: dict[int, list[CrosswalkEvent]] = defaultdict(list)
        behind: list[CrosswalkEvent] = []
        for event in events:
            ref_hash = self._ref_hash(event)
            (behind if ref_hash in waiting else lanes[ref_hash]).append(event)
        done = await self._send_lanes(hook, health, lanes)
        done.kept += [WaitingEvent(_place_of(event), self._ref_hash(event), 0, 0) for event in behind]
        if done.untried and not done.has_tried:
            return False  # the same
        end, kept = _end_of(events, done, cursor)

        def beside(tx: SqlTransaction) -> None:
            self._book.add_waiting(tx, self._id, kept(self._ref_hash))
            self._note(tx, health)
            self._acknowledge(tx, hook, done.taken)

        moved = await asyncio.to_thread(lambda: self._place.advance(at, end, now=self._now(), beside=beside))
        return moved and not health.is_down

    # -- sending --------------------------------------------------------------------------------------------

    async def _send_lanes(
        self,
        hook: Webhook,
        health: _Health,
        lanes: dict[int, list[CrosswalkEvent]],
        *,
        failed_before: dict[OutboxPlace, int] | None = None,
    ) -> _Done:
        done, gate = _Done(), asyncio.Semaphore(_LANES)
        secrets = await asyncio.to_thread(self._book.secrets_of, self._id)

        async def send_lane(ref_hash: int, events: list[CrosswalkEvent]) -> None:
            async with gate:
                for number, event in enumerate(events):
                    if health.is_down or self._is_stopping():
                        done.untried.update(one.id for one in events[number:])
                        return
                    answer = await self._send(hook, secrets, event)
                    self._judge(health, answer)
                    if answer.is_taken:
                        done.taken.append(event)
                        continue
                    failed_count = (failed_before or {}).get(_place_of(event), 0) + 1
                    pause = pause_us(failed_count, chance=self._chance(), retry_after_s=answer.retry_after_s)
                    head = WaitingEvent(_place_of(event), ref_hash, failed_count, self._now() + pause)
                    rest = [WaitingEvent(_place_of(one), ref_hash, 0, 0) for one in events[number + 1 :]]
                    done.kept += [head, *rest]
                    return

        await asyncio.gather(*(send_lane(*lane) for lane in lanes.items()))
        return done

    async def _send(self, hook: Webhook, secrets: Sequence[bytes], event: CrosswalkEvent) -> PostAnswer:
        body = orjson.dumps(
            {
                "type": f"crosswalk.{event.type.value}",
                "timestamp": format_instant(event.known_at),
                "data": event_document(event),
            }
        )
        timestamp_s = self._now() // _SECOND_US
        headers = signed_headers(secrets, message_id=event.id, timestamp_s=timestamp_s, body=body)
        try:
            answer = await self._post(read_url(hook.url), headers, body)
        except WebhookInvalid:  # kept by a version that let it through
            answer = PostAnswer(0, "url_invalid")
        self._notes.tried(self._id, answer)
        return answer

    def _judge(self, health: _Health, answer: PostAnswer) -> None:
        now = self._now()
        if answer.is_taken:
            health.failing_since, health.failed_count, health.failed_now, health.next_at = None, 0, 0, 0
            health.answer = answer
            return
        health.failed_now += 1
        health.answer = answer
        if health.failing_since is None:
            health.failing_since = now
        health.is_dead |= is_dead(
            health.failing_since, status=answer.status, now=now, days_max=self._days_max
        )

    def _note(self, tx: SqlTransaction, health: _Health) -> None:
        """Keep how the receiver does: down once so many failed together, or while a probe fails."""
        if health.answer is _NO_ANSWER:
            return  # nothing was sent to it, so nothing is known that was not
        is_failing = health.is_down or (health.failed_count > 0 and health.failed_now > 0)
        failed_count = health.failed_count + 1 if is_failing else 0
        pause = (
            pause_us(failed_count, chance=self._chance(), retry_after_s=health.answer.retry_after_s)
            if is_failing
            else 0
        )
        self._book.note_health(
            tx,
            self._id,
            failing_since=health.failing_since,
            failed_count=failed_count,
            next_at=self._now() + pause if is_failing else 0,
            reason=(health.answer.fault or f"status {health.answer.status}") if health.failed_now else None,
            is_dead=health.is_dead,
        )
        if health.is_dead:
            self._notes.disabled(self._id)

    def _acknowledge(self, tx: SqlTransaction, hook: Webhook, taken: Sequence[CrosswalkEvent]) -> None:
        """Note that sources know: a webhook that names its sources is their way back, one for all only listens."""
        if hook.sources is not None:
            now = self._now()
            self._ledger.acknowledge_in(
                tx,
                [
                    Acknowledgement(
                        RecordRef(one.source, one.key), one.cid, Evidence.WEBHOOK, now, one.known_at
                    )
                    for one in taken
                    if one.cid is not None
                ],
            )

    def _write(self, save: Callable[[SqlTransaction], None]) -> None:
        with self._identity.store.write() as tx:
            save(tx)

    def _ref_hash(self, event: CrosswalkEvent) -> int:
        return self._identity.store.sealer.ref_hash(RecordRef(event.source, event.key))


async def send_test(hook: Webhook, *, book: WebhookBook, post: Poster, now: Instant) -> PostAnswer:
    """Send a message that tells nothing, and return the answer."""
    body = orjson.dumps({"type": "sameas.test", "timestamp": format_instant(now), "data": {}})
    secrets = await asyncio.to_thread(book.secrets_of, hook.id)
    headers = signed_headers(secrets, message_id=f"test.{now}", timestamp_s=now // _SECOND_US, body=body)
    return await post(read_url(hook.url), headers, body)


def _place_of(event: CrosswalkEvent) -> OutboxPlace:
    return OutboxPlace(event.known_at, event.seq)


def _end_of(
    events: Sequence[CrosswalkEvent], done: _Done, cursor: str
) -> tuple[OutboxPlace, Callable[[Callable[[CrosswalkEvent], int]], list[WaitingEvent]]]:
    """Return the place to move to, and what is to be kept as waiting up to there.

    When a round ended early, it moves behind the last event that was sent; what was not tried before that one waits.
    """
    if not done.untried:
        known_at, _, seq = cursor.partition(".")
        return OutboxPlace(int(known_at), int(seq)), lambda _: done.kept
    touched = {_place_of(one) for one in done.taken} | {one.place for one in done.kept if one.failed_count}
    end = max(touched)
    kept = [one for one in done.kept if one.place <= end]
    skipped = [one for one in events if one.id in done.untried and _place_of(one) <= end]
    return end, lambda ref_hash: kept + [WaitingEvent(_place_of(one), ref_hash(one), 0, 0) for one in skipped]
