"""Tell Kafka every change of the store, once and in order, for as long as the service lives.

1. A relay that starts takes the store's row (`streams.relay_place`) and opens a session of Kafka transactions under
   the one name that all relays of the store share: an older relay is fenced, and what it left is taken back.
2. It reads a batch behind its place, writes all messages in one transaction, commits, then moves its place.
3. It looks again: at once while batches are full, after longer and longer pauses while there is nothing.
4. A relay that is fenced, or finds another's name in the row, stands by until that one is silent.
5. Whatever Kafka or the store refuses is tried again for ever, from the place kept; nothing is passed over.

Invariant: the place moves only after the commit, so that what was not told is told again. Readers of committed
messages see those of a key in order; after a crash a batch may come again, and (key, version) tells. Rejects are marked
as told in the transaction that moves the place, which notes too what was sent (`streams.ledger`).
Elsewhere: what is told (`streams.outbox`), what messages hold (`streams.messages`), counting (`service.relay_notes`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import chain
from typing import Final, Protocol

from identity.errors import StoreBusy, StoreFull, StoreMigrating, StoreUnreachable
from identity.model import CrosswalkEvent, Instant, KeyStatus
from identity.statement import format_instant
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from streams.errors import KafkaFenced, KafkaRefused, KafkaUnreachable
from streams.kafka_admin import apply_topics
from streams.kafka_options import KafkaAddress
from streams.kafka_transactions import KafkaSession
from streams.ledger import DeliveryLedger
from streams.messages import MessageWriter, OutMessage, RejectOrigin, RejectRow
from streams.outbox import Outbox, OutboxBatch, OutboxPlace
from streams.refused import Reject, RejectBook
from streams.relay_place import RelayPlace
from streams.sent_places import SentPlaces
from streams.topics import PARTITIONS_DEFAULT, TopicNames, plan_topics

__all__ = ["Relay", "RelayNotes", "RelayStep", "TopicMaker"]

SILENT_US_MAX: Final = 10_000_000
"""A relay that has shown nothing for so long is taken to have ended."""

_BATCH_MAX: Final = 1_000
_PAUSE_S_MIN: Final = 0.005
_PAUSE_S_MAX: Final = 0.2
_STANDBY_S: Final = 1.0
_RETRY_S_MIN: Final = 0.2
_RETRY_S_MAX: Final = 5.0
_TRIED_AGAIN: Final = (
    KafkaFenced,
    KafkaRefused,
    KafkaUnreachable,
    StoreBusy,
    StoreFull,
    StoreMigrating,
    StoreUnreachable,
)


class RelayStep(StrEnum):
    """Where a relay is within a batch."""

    PRODUCED = "produced"
    """Brokers have the messages, uncommitted."""
    COMMITTED = "committed"
    """Readers see the messages; the place has not moved."""
    SAVING = "saving"
    """The place has moved in a transaction that is not committed."""
    SAVED = "saved"
    """The place has moved."""


class RelayNotes(Protocol):
    """Is told what a relay does, for metrics and logs."""

    def leads(self, *, is_leading: bool) -> None:
        """The relay sends from now on, or stands by."""

    def sent(self, *, event_count: int, message_count: int, lag_us: Instant) -> None:
        """A batch was told; the oldest of it had waited `lag_us`."""

    def idle(self) -> None:
        """There is nothing to tell."""

    def failed(self, error: SameasError) -> None:
        """Something was refused and is tried again."""


class TopicMaker:
    """Makes the topics of sources as they appear, as `sameas topics apply` would; what is there is left alone."""

    def __init__(
        self,
        address: KafkaAddress,
        names: TopicNames,
        *,
        partitions: int = PARTITIONS_DEFAULT,
        replicas: int | None = None,
    ) -> None:
        self._address = address
        self._names = names
        self._partitions = partitions
        self._replicas = replicas
        self._known: set[str] = set()

    def ensure(self, sources: set[str], session: KafkaSession) -> None:
        """Create what these sources' messages need and the cluster has not."""
        if sources <= self._known:
            return
        plans = plan_topics(sources, names=self._names, partitions=self._partitions)
        there = session.list_topics()
        if missing := [plan for plan in plans if plan.name not in there]:
            apply_topics(self._address, missing, replicas=self._replicas)
        self._known |= sources

    def forget(self) -> None:
        """Look again: something was refused, and topics can be deleted."""
        self._known.clear()


class Relay:
    """Relays one store's changes to Kafka.

    Args:
        place: the store's row as this relay sees it, under a name of its own.
        now: the clock.
        reached: called at each step of a batch; does nothing in service.
    """

    def __init__(
        self,
        outbox: Outbox,
        place: RelayPlace,
        address: KafkaAddress,
        *,
        ledger: DeliveryLedger,
        names: TopicNames,
        topics: TopicMaker,
        notes: RelayNotes,
        now: Callable[[], Instant],
        reached: Callable[[RelayStep], None] = lambda step: None,
        batch_max: int = _BATCH_MAX,
    ) -> None:
        self._outbox = outbox
        self._place = place
        self._ledger = ledger
        self._sent = SentPlaces()
        self._address = address
        self._session_name = f"{names.prefix}.relay"
        self._writer = MessageWriter(names)
        self._topics = topics
        self._notes = notes
        self._now = now
        self._reached = reached
        self._batch_max = batch_max
        self._stop = threading.Event()
        self._retry_s = _RETRY_S_MIN

    def stop(self) -> None:
        """End `run` after the batch under way; may be called from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Relay until `stop` is called.

        Raises:
            SameasError: something that trying again does not mend, such as an option that librdkafka does not take.
        """
        is_new = True
        while not self._stop.is_set():
            try:
                if is_new or self._place.is_free(self._now()):
                    self._place.take(self._now())
                    is_new = False
                    self._lead()
                else:
                    self._stop.wait(_STANDBY_S)
            except _TRIED_AGAIN as error:
                self._notes.failed(error)
                self._topics.forget()
                self._stop.wait(self._retry_s)
                self._retry_s = min(2 * self._retry_s, _RETRY_S_MAX)
        self._leave()

    def _lead(self) -> None:
        """Tell batch after batch until another relay takes over or this one is to stop."""
        try:
            with KafkaSession(self._address, name=self._session_name, still=self._still) as session:
                # Read only now: the relay before this one may have moved it until it was fenced.
                at = self._place.find()
                self._notes.leads(is_leading=at is not None)
                pause_s = _PAUSE_S_MIN
                while at is not None and not self._stop.is_set():
                    batch = self._outbox.read(at, limit=self._batch_max)
                    if batch.begun_at is not None:
                        at = self._forward(session, at, batch)
                        pause_s = _PAUSE_S_MIN
                    else:
                        self._still()
                        self._notes.idle()
                        pause_s = min(2 * pause_s, _PAUSE_S_MAX)
                    if max(len(batch.keys), len(batch.rejects)) < self._batch_max:
                        self._stop.wait(pause_s)
        except _GivenUp:
            pass
        finally:
            self._notes.leads(is_leading=False)

    def _forward(self, session: KafkaSession, at: OutboxPlace, batch: OutboxBatch) -> OutboxPlace | None:
        """Tell one batch, then move behind it; None when another relay did so first."""
        self._send(session, batch)
        self._reached(RelayStep.COMMITTED)
        return self._save(at, batch)

    def _send(self, session: KafkaSession, batch: OutboxBatch) -> None:
        sources = {one.event.source for one in batch.keys} | {one.source for one in batch.rejects}
        self._topics.ensure(sources, session)
        self._sent = SentPlaces()
        count = session.send(
            self._messages(batch),
            written=lambda: self._reached(RelayStep.PRODUCED),
            place_of=self._sent.place_of,
        )
        self._retry_s = _RETRY_S_MIN
        lag_us = max(0, self._now() - (batch.begun_at or 0))
        self._notes.sent(event_count=len(batch.keys), message_count=count, lag_us=lag_us)

    def _save(self, at: OutboxPlace, batch: OutboxBatch) -> OutboxPlace | None:
        now = self._now()

        def save_beside(tx: SqlTransaction) -> None:
            RejectBook.note_told(tx, [one.id for one in batch.rejects], now=now)
            self._ledger.note_sent_in(tx, list(self._sent.list_sent(now=now)))
            self._reached(RelayStep.SAVING)

        if not self._place.advance(at, batch.end, now=now, beside=save_beside):
            return None
        self._reached(RelayStep.SAVED)
        return batch.end

    def _messages(self, batch: OutboxBatch) -> Iterator[OutMessage]:
        return chain(
            (self._writer.cid(*change) for change in batch.cids),
            chain.from_iterable(self._change(*change) for change in batch.keys),
            (self._writer.reject(_reject_row(reject)) for reject in batch.rejects),
        )

    def _change(self, event: CrosswalkEvent, status: KeyStatus) -> Iterator[OutMessage]:
        *others, assignment = self._writer.change(event, status)
        yield from others
        yield self._sent.expect(assignment, event)

    def _still(self) -> None:
        """Show that this relay runs; gives up when it is to stop or another one has taken over."""
        if self._stop.is_set():
            raise _GivenUp
        if not self._place.show(self._now()):
            raise _GivenUp

    def _leave(self) -> None:
        try:
            self._place.leave()
        except _TRIED_AGAIN as error:
            self._notes.failed(error)  # another relay waits a little longer


def _reject_row(reject: Reject) -> RejectRow:
    origin = RejectOrigin.model_validate(
        {
            "kind": reject.origin,
            "name": reject.origin_name,
            "part": reject.origin_part,
            "place": reject.origin_place,
        }
    )
    return RejectRow(
        id=reject.id,
        source=reject.source,
        code=reject.code,
        detail=reject.detail,
        origin=origin,
        rejected_at=format_instant(reject.created_at),
    )


class _GivenUp(Exception):
    """This relay does not send any more."""
