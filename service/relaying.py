"""Build the relay of a store from the settings.

Elsewhere: the relay (`streams.relay`), its command (`service.cli.relay`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from identity.model import Instant
from identity.service import Identity
from service.settings import Settings
from streams.outbox import Outbox
from streams.relay import SILENT_US_MAX, Relay, RelayNotes, TopicMaker
from streams.relay_place import RelayPlace
from streams.topics import TopicNames

__all__ = ["build_relay"]


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
        names=names,
        topics=TopicMaker(
            address, names, partitions=settings.topic_partitions, replicas=settings.topic_replicas
        ),
        notes=notes,
        now=now,
    )
