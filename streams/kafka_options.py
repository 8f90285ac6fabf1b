"""Put together the options of a Kafka client: what the operator sets, what is promised, what is safe.

Librdkafka's defaults lose or reorder messages (no idempotence, offsets committed by themselves, a new group
starts at the end, keys on other partitions than Java's clients). So:

1. `FIXED` options hold promises: nobody can set them (`check_options` refuses).
2. The operator's options (`SAMEAS_KAFKA_<OPTION>`: TLS, SASL, sizes, timeouts) come over what is merely safe.

Invariant: pure; an option's value never appears in a message or in what is printed of a `KafkaAddress`.
Elsewhere: reading the environment (`service.settings`), building clients (`streams.kafka_admin`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.errors import KafkaOptionRefused

__all__ = [
    "KafkaAddress",
    "admin_config",
    "check_options",
    "consumer_config",
    "producer_config",
    "variable_of",
]

_FIXED: Final[Mapping[str, str]] = {
    "bootstrap.servers": "it is set by SAMEAS_KAFKA_BOOTSTRAP",
    "metadata.broker.list": "it is set by SAMEAS_KAFKA_BOOTSTRAP",
    "group.id": "groups are named by the worker",
    "enable.auto.commit": "offsets are stored with the records they produced",
    "enable.auto.offset.store": "offsets are stored with the records they produced",
    "auto.offset.reset": "offsets are stored with the records they produced",
    "enable.partition.eof": "the worker asks for the ends of partitions itself",
    "isolation.level": "what a producer took back is not read",
    "partition.assignment.strategy": "partitions move one by one",
    "enable.idempotence": "each message is written once",
    "acks": "a message counts when all replicas have it",
    "request.required.acks": "a message counts when all replicas have it",
    "partitioner": "keys go to the partition that Java's clients choose",
    "transactional.id": "the relay's is one for each store, so that only one sends",
}
_LOG: Final = logging.getLogger("sameas.kafka")


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where Kafka is, and the operator's options for reaching it (some are secrets)."""

    bootstrap: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


def variable_of(option: str) -> str:
    """Return the environment variable that sets the option."""
    return f"SAMEAS_KAFKA_{option.replace('.', '_').upper()}"


def check_options(options: Iterable[str]) -> None:
    """Raise unless the operator may set these options.

    Raises:
        KafkaOptionRefused: names the variable, and why its option is fixed.
    """
    for option in options:
        if option in _FIXED:
            raise KafkaOptionRefused(f"{variable_of(option)} cannot be set: {_FIXED[option]}. Unset it.")


def consumer_config(address: KafkaAddress, *, group: str) -> dict[str, Any]:
    """Return the options of a consumer whose offsets live in the store."""
    return {
        "check.crcs": True,
        **_shared(address),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Where to begin is always said by the store; Kafka's word on it would be a silent loss.
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        **(
            {}
            if "group.protocol" in address.options
            else {"partition.assignment.strategy": "cooperative-sticky"}
        ),
    }


def producer_config(address: KafkaAddress) -> dict[str, Any]:
    """Return the options of a producer that writes each message once and in order."""
    return {
        "linger.ms": 5,
        "compression.type": "lz4",
        **_shared(address),
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
    }


def admin_config(address: KafkaAddress) -> dict[str, Any]:
    """Return the options of a client that creates and describes topics."""
    return _shared(address)


def _shared(address: KafkaAddress) -> dict[str, Any]:
    return {
        "client.id": "sameas",
        # A half-open connection is noticed, and a broker that comes back is tried soon.
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,
        **address.options,
        "bootstrap.servers": address.bootstrap,
        "logger": _LOG,
    }
