"""Keep webhooks: where changes are sent, under which secret, how far each has come, and what waits.

Invariant: a secret is shown once, when it is made; it is stored sealed with a data key of the webhook's own. Events that
wait name keys by keyed hashes. Per (webhook, key) the waiting events are sent in order, and no later event of that
key is sent before them.
Elsewhere: sending (`streams.webhook_courier`); the place is a row of `streams.relay_place`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from identity.cursor import format_cursor
from identity.feed_begin import place_to_begin
from identity.model import Instant
from identity.service import Identity
from identity.store_sql import tables
from identity.store_sql.transaction import SqlTransaction
from streams.errors import WebhookInvalid, WebhookUnknown
from streams.outbox import OutboxPlace
from streams.webhook_address import read_url
from streams.webhook_signature import SECRET_BYTES, format_secret

__all__ = ["WaitingEvent", "Webhook", "WebhookBook", "WebhookState", "place_name"]

_TABLE: Final = tables.webhook
_WAITING: Final = tables.webhook_waiting
_PLACE: Final = tables.relay_cursor
_SECRET_BEFORE_US: Final = 86_400_000_000
"""How long a replaced secret goes on signing beside the new one."""
_ID: Final = re.compile(r"wh_[0-9a-f]{16}")


class WebhookState(StrEnum):
    """Whether anything is sent."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Webhook(NamedTuple):
    """A webhook as it stands; without its secrets."""

    id: str
    url: str
    sources: tuple[str, ...] | None
    state: WebhookState
    reason: str | None
    failing_since: Instant | None
    failed_count: int
    next_at: Instant
    created_at: Instant
    created_by: str
    cursor: str
    waiting_count: int


class WaitingEvent(NamedTuple):
    """An event that waits, by its place in the feed."""

    place: OutboxPlace
    ref_hash: int
    failed_count: int
    next_at: Instant


def place_name(webhook_id: str) -> str:
    """Return the name of the row that holds a webhook's place."""
    return f"webhook:{webhook_id}"


class WebhookBook:
    """The webhooks of one store; thread-safe."""

    def __init__(
        self,
        identity: Identity,
        *,
        now: Callable[[], Instant],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._identity = identity
        self._store = identity.store
        self._now = now
        self._random_bytes = random_bytes

    # -- what an admin does ---------------------------------------------------------------------------------

    def add(
        self, url: str, *, sources: Collection[str] | None, begin_at: str, author: str
    ) -> tuple[Webhook, str]:
        """Register a webhook; return it and its secret, which is shown only here.

        Args:
            sources: whose changes are sent; None for those of all.
            begin_at: `now`, `start` or a cursor of the feed.

        Raises:
            WebhookInvalid: the URL is none that messages may go to, or no source is named.
            SourceUnknown: a source is not registered.
            StatementRefused: `begin_at` is none of these, or ahead of the feed.
        """
        read_url(url)
        if sources is not None and not sources:
            raise WebhookInvalid("A webhook is for all sources, or names at least one.")
        for source in sources or ():
            self._identity.get_source(source)
        feed_end = self._identity.feed_end()
        now, webhook_id = self._now(), f"wh_{self._random_bytes(8).hex()}"
        data_key, wrapped = self._store.sealer.new_data_key()
        secret = self._random_bytes(SECRET_BYTES)
        named = None if sources is None else orjson.dumps(sorted(set(sources))).decode()
        with self._store.write() as tx:
            known_at, seq = place_to_begin(tx.connection, begin_at, feed_end=feed_end)
            tx.connection.execute(
                insert(_PLACE).values(
                    name=place_name(webhook_id), known_at=known_at, seq=seq, holder=None, beat_at=now
                )
            )
            tx.connection.execute(
                insert(_TABLE).values(
                    id=webhook_id,
                    url=url,
                    sources=named,
                    data_key=wrapped,
                    sealed_secret=self._store.sealer.seal(data_key, secret),
                    created_at=now,
                    created_by=author,
                    state=WebhookState.ACTIVE.value,
                    failed_count=0,
                    next_at=0,
                )
            )
        return self.get(webhook_id), format_secret(secret)

    def list_all(self) -> list[Webhook]:
        """Return all webhooks, oldest first."""
        with self._store.read() as connection:
            return _read(connection)

    def get(self, webhook_id: str) -> Webhook:
        """Return one webhook; raises WebhookUnknown."""
        with self._store.read() as connection:
            found = _read(connection, webhook_id) if _ID.fullmatch(webhook_id) else []
        if not found:
            raise WebhookUnknown("No webhook has this id; `sameas webhook list` shows all.")
        return found[0]

    def remove(self, webhook_id: str) -> None:
        """Forget a webhook and what waits for it; raises WebhookUnknown."""
        self.get(webhook_id)
        with self._store.write() as tx:
            # The place first: a courier that is moving it holds its row, and adds what waits before it lets go.
            tx.connection.execute(delete(_PLACE).where(_PLACE.c.name == place_name(webhook_id)))
            tx.connection.execute(delete(_WAITING).where(_WAITING.c.webhook == webhook_id))
            tx.connection.execute(delete(_TABLE).where(_TABLE.c.id == webhook_id))

    def rotate_secret(self, webhook_id: str) -> str:
        """Give a webhook a new secret and return it; the one before signs beside it for a day."""
        secret, now = self._random_bytes(SECRET_BYTES), self._now()
        row = self._row(webhook_id)
        sealed = self._store.sealer.seal(self._store.sealer.unwrap(row.data_key), secret)
        with self._store.write() as tx:
            tx.connection.execute(
                update(_TABLE)
                .where(_TABLE.c.id == webhook_id)
                .values(
                    sealed_secret=sealed,
                    sealed_secret_before=_TABLE.c.sealed_secret,
                    before_until=now + _SECRET_BEFORE_US,
                )
            )
        return format_secret(secret)

    def resume(self, webhook_id: str) -> Webhook:
        """Send again, at once, from where it stands: what waited while it was disabled comes first."""
        self.get(webhook_id)
        with self._store.write() as tx:
            tx.connection.execute(
                update(_TABLE)
                .where(_TABLE.c.id == webhook_id)
                .values(
                    state=WebhookState.ACTIVE.value,
                    reason=None,
                    failing_since=None,
                    failed_count=0,
                    next_at=0,
                )
            )
            tx.connection.execute(update(_WAITING).where(_WAITING.c.webhook == webhook_id).values(next_at=0))
        return self.get(webhook_id)

    # -- what a courier does --------------------------------------------------------------------------------

    def secrets_of(self, webhook_id: str) -> list[bytes]:
        """Return the secrets that sign now, the newest first."""
        row = self._row(webhook_id)
        sealer, data_key = self._store.sealer, self._store.sealer.unwrap(row.data_key)
        secrets = [sealer.open(data_key, row.sealed_secret)]
        if row.sealed_secret_before is not None and self._now() < row.before_until:
            secrets.append(sealer.open(data_key, row.sealed_secret_before))
        return secrets

    def waiting_hashes(self, webhook_id: str) -> set[int]:
        """Return the keyed hashes of the keys that have events waiting."""
        query = select(_WAITING.c.ref_hash).where(_WAITING.c.webhook == webhook_id).distinct()
        with self._store.read() as connection:
            return set(connection.execute(query).scalars())

    def waiting_lanes(
        self, webhook_id: str, *, due_at: Instant | None, lanes: int, each: int
    ) -> list[list[WaitingEvent]]:
        """Return the first waiting events of keys, those that are due longest first, each key's in order.

        Args:
            due_at: only keys whose first event is due by then; None for all.
            lanes: of so many keys at most.
            each: so many events of a key at most.
        """
        head = (
            select(
                _WAITING.c.ref_hash,
                func.min(_WAITING.c.known_at).label("known_at"),
                func.max(_WAITING.c.next_at).label("next_at"),
            )
            .where(_WAITING.c.webhook == webhook_id)
            .group_by(_WAITING.c.ref_hash)
            .order_by("next_at", "known_at", _WAITING.c.ref_hash)
            .limit(lanes)
        )
        if due_at is not None:
            # Only the first of a key's events has an instant of its own; those behind it have 0.
            head = head.having(func.max(_WAITING.c.next_at) <= due_at)
        with self._store.read() as connection:
            found = []
            for ref_hash, _, _ in connection.execute(head).all():
                query = (
                    select(_WAITING)
                    .where(_WAITING.c.webhook == webhook_id, _WAITING.c.ref_hash == ref_hash)
                    .order_by(_WAITING.c.known_at, _WAITING.c.seq)
                    .limit(each)
                )
                found.append([_waiting(row) for row in connection.execute(query)])
        return found

    @staticmethod
    def add_waiting(tx: SqlTransaction, webhook_id: str, events: Iterable[WaitingEvent]) -> None:
        """Put events among those that wait; in the transaction that moves the place behind them."""
        for event in events:
            tx.connection.execute(
                insert(_WAITING).values(
                    webhook=webhook_id, ref_hash=event.ref_hash, **event.place._asdict(), **_tried(event)
                )
            )

    @staticmethod
    def put_off(tx: SqlTransaction, webhook_id: str, events: Iterable[WaitingEvent]) -> None:
        """Keep when events that wait are tried again; what waits no longer, as of a removed webhook, stays away."""
        for event in events:
            is_it = _is(webhook_id, event.place)
            tx.connection.execute(update(_WAITING).where(is_it).values(**_tried(event)))

    @staticmethod
    def end_waiting(tx: SqlTransaction, webhook_id: str, places: Iterable[OutboxPlace]) -> None:
        """Take events that were taken off those that wait."""
        for place in places:
            tx.connection.execute(delete(_WAITING).where(_is(webhook_id, place)))

    @staticmethod
    def note_health(
        tx: SqlTransaction,
        webhook_id: str,
        *,
        failing_since: Instant | None,
        failed_count: int,
        next_at: Instant,
        reason: str | None,
        is_dead: bool,
    ) -> None:
        """Keep how the receiver does."""
        state = WebhookState.DISABLED if is_dead else WebhookState.ACTIVE
        tx.connection.execute(
            update(_TABLE)
            .where(_TABLE.c.id == webhook_id)
            .values(
                failing_since=failing_since,
                failed_count=failed_count,
                next_at=next_at,
                reason=reason,
                state=state.value,
            )
        )

    def _row(self, webhook_id: str) -> Row[Any]:
        with self._store.read() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.id == webhook_id)).first()
        if row is None:
            raise WebhookUnknown("No webhook has this id; `sameas webhook list` shows all.")
        return row


def _tried(event: WaitingEvent) -> dict[str, int]:
    return {"failed_count": event.failed_count, "next_at": event.next_at}


def _is(webhook_id: str, place: OutboxPlace) -> Any:
    return and_(
        _WAITING.c.webhook == webhook_id, _WAITING.c.known_at == place.known_at, _WAITING.c.seq == place.seq
    )


def _waiting(row: Row[Any]) -> WaitingEvent:
    return WaitingEvent(OutboxPlace(row.known_at, row.seq), row.ref_hash, row.failed_count, row.next_at)


def _read(connection: Connection, webhook_id: str | None = None) -> list[Webhook]:
    query = (
        select(_TABLE, _PLACE.c.known_at, _PLACE.c.seq)
        .join(_PLACE, _PLACE.c.name == "webhook:" + _TABLE.c.id)
        .order_by(_TABLE.c.created_at, _TABLE.c.id)
    )
    counting = select(_WAITING.c.webhook, func.count().label("waiting")).group_by(_WAITING.c.webhook)
    if webhook_id is not None:
        query = query.where(_TABLE.c.id == webhook_id)
        counting = counting.where(_WAITING.c.webhook == webhook_id)
    counts = {row.webhook: int(row.waiting) for row in connection.execute(counting)}
    return [_webhook(row, counts.get(row.id, 0)) for row in connection.execute(query)]


def _webhook(row: Row[Any], waiting_count: int) -> Webhook:
    sources: Sequence[str] | None = None if row.sources is None else orjson.loads(row.sources)
    return Webhook(
        id=row.id,
        url=row.url,
        sources=None if sources is None else tuple(sources),
        state=WebhookState(row.state),
        reason=row.reason,
        failing_since=row.failing_since,
        failed_count=row.failed_count,
        next_at=row.next_at,
        created_at=row.created_at,
        created_by=row.created_by,
        cursor=format_cursor(row.known_at, row.seq),
        waiting_count=waiting_count,
    )
