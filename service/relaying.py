"""Build the relay of a store from the settings, and as a program.

Elsewhere: the relay (`streams.relay`), running it (`service.programs`, `service.companions`), its command
(`service.cli.relay`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry

from identity.model import Instant
from identity.service import Identity
from service.bootstrap import bootstrap_identity
from service.clock import SystemClock
from service.relay_notes import LoggedRelay
from service.settings import Settings
from streams.ledger import DeliveryLedger
from streams.ledger_keeper import LedgerKeeper
from streams.outbox import Outbox
from streams.relay import SILENT_US_MAX, Relay, RelayNotes, TopicMaker
from streams.relay_place import RelayPlace
from streams.topics import TopicNames

__all__ = ["RelayProgram", "build_relay"]


class RelayProgram:
    """Tells Kafka what changes; see `service.programs.Program`.

    Raises:
        SettingsInvalid: nobody said where Kafka is; nothing was opened.
    """

    def __init__(self, settings: Settings) -> None:
        settings.kafka  # noqa: B018 - refuses before the store is opened
        now = SystemClock().now
        self._notes = LoggedRelay(now)
        self._identity = bootstrap_identity(settings)
        self._relay = build_relay(settings, self._identity, notes=self._notes, now=now)
        self._keeper = LedgerKeeper(
            self._identity,
            settings.kafka,
            names=TopicNames(settings.topic_prefix),
            now=now,
            failed=self._notes.failed,
        )
        self._notes.watch(Outbox(self._identity).find_oldest_untold)

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""
        return self._notes.registry

    def run(self) -> None:
        """Relay until `stop`, and keep the delivery ledger beside it."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="ledger") as pool:
                kept = pool.submit(self._keeper.run)
                kept.add_done_callback(lambda _: self._relay.stop())
                try:
                    self._relay.run()
                finally:
                    self._keeper.stop()
                    kept.result()
        finally:
            self._identity.close()

    def stop(self) -> None:
        """End `run` after the batch under way."""
        self._relay.stop()


def build_relay(
    settings: Settings, identity: Identity, *, notes: RelayNotes, now: Callable[[], Instant]
) -> Relay:
    """Return the relay; nothing is sent, or asked of Kafka, before it runs.

    Raises:
        SettingsInvalid: nobody said where Kafka is.
    """
    address, names = settings.kafka, TopicNames(settings.topic_prefix)
    return Relay(
        Outbox(identity),
        RelayPlace(identity.store, holder=secrets.token_hex(8), silent_us_max=SILENT_US_MAX),
        address,
        ledger=DeliveryLedger(identity),
        names=names,
        topics=TopicMaker(
            address, names, partitions=settings.topic_partitions, replicas=settings.topic_replicas
        ),
        notes=notes,
        now=now,
    )
