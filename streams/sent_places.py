"""Note where the assignments of one batch came to lie: that is what a sink's offsets are compared with.

Invariant: of several assignments of a key the last one counts.
Elsewhere: sending (`streams.relay`), keeping (`streams.ledger`), comparing (`streams.sink_offsets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from identity.model import CrosswalkEvent, Instant, RecordRef
from streams.delivery import Sent
from streams.kafka_transactions import Placed
from streams.messages import OutMessage

__all__ = ["SentPlaces"]


class SentPlaces:
    """The assignments of one batch."""

    def __init__(self) -> None:
        self._refs: dict[tuple[str, bytes | None], RecordRef] = {}
        self._versions: dict[RecordRef, int] = {}
        self._places: dict[RecordRef, tuple[int, int]] = {}

    def expect(self, message: OutMessage, event: CrosswalkEvent) -> OutMessage:
        """Return the message, which is the assignment of this change."""
        ref = RecordRef(event.source, event.key)
        self._refs[message.topic, message.key] = ref
        self._versions[ref] = event.version
        return message

    def place_of(self, message: OutMessage) -> Placed | None:
        """Return what notes the message's place; None for what is no assignment."""
        ref = self._refs.get((message.topic, message.key))
        return None if ref is None else partial(self._note, ref)

    def list_sent(self, *, now: Instant) -> Iterable[Sent]:
        """Return what was sent; brokers have all of it."""
        for ref, version in self._versions.items():
            part, offset = self._places.get(ref, (None, None))
            yield Sent(ref, version, now, part, offset)

    def _note(self, ref: RecordRef, part: int, offset: int) -> None:
        self._places[ref] = (part, offset)
