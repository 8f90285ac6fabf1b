"""Keep the ledger up to date beside a relay: follow the crosswalk, find frontiers, read what sinks have committed.

Once in a while, in one thread; each of the three is tried again the next time if the store or Kafka refuses it. More
than one keeper at once does no harm.

Elsewhere: the ledger (`streams.ledger`), frontiers (`streams.frontier`), sinks (`streams.sink_offsets`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from identity.model import Instant
from identity.service import Identity
from matching.errors import SameasError
from streams.frontier import FrontierFinder
from streams.kafka_options import KafkaAddress
from streams.kafka_places import KafkaPlaces
from streams.ledger import DeliveryLedger
from streams.sink_offsets import SinkOffsets
from streams.topics import TopicNames

__all__ = ["LedgerKeeper"]

_ROUND_S: Final = 1.0
_BATCHES_MAX: Final = 20


class LedgerKeeper:
    """Keeps the ledger of one store.

    Args:
        failed: is told what was refused; it is tried again.
    """

    def __init__(
        self,
        identity: Identity,
        address: KafkaAddress,
        *,
        names: TopicNames,
        now: Callable[[], Instant],
        failed: Callable[[SameasError], None],
        round_s: float = _ROUND_S,
    ) -> None:
        places = KafkaPlaces(address)
        self._ledger = DeliveryLedger(identity)
        self._frontiers = FrontierFinder(identity, places, names)
        self._sinks = SinkOffsets(identity, places, names, now=now)
        self._failed = failed
        self._round_s = round_s
        self._stop = threading.Event()

    def run(self) -> None:
        """Keep it until `stop`."""
        while not self._stop.is_set():
            is_behind = self.look()
            self._stop.wait(0 if is_behind else self._round_s)

    def stop(self) -> None:
        """End `run` after the round under way; may be called from any thread."""
        self._stop.set()

    def look(self) -> bool:
        """Take one round; return whether the ledger is still behind the crosswalk."""
        try:
            is_behind = not self._ledger.follow(batches_max=_BATCHES_MAX)
        except SameasError as error:
            self._failed(error)
            return False
        if not is_behind:
            for step in (self._frontiers.look, self._sinks.look):
                try:
                    step()
                except SameasError as error:
                    self._failed(error)
        return is_behind
