"""The keeper beside a relay: it follows, and goes on while Kafka is away."""

from __future__ import annotations

import threading

from identity.service import Identity
from matching.errors import SameasError
from streams.kafka_options import KafkaAddress
from streams.ledger_keeper import LedgerKeeper
from streams.topics import TopicNames
from tests.identity.stores import stated, tell
from tests.streams.stream import plain, wait_until
from tests.streams.taking import Taking
from tests.streams.test_ledger import read_rows


def keeper(identity: Identity, bootstrap: str, prefix: str, failed: list[str]) -> LedgerKeeper:
    def note(error: SameasError) -> None:
        failed.append(error.code)

    return LedgerKeeper(
        identity,
        KafkaAddress(bootstrap),
        names=TopicNames(prefix),
        now=lambda: 3 * 10**15,
        failed=note,
        round_s=0.01,
    )


def test_it_follows_the_crosswalk_until_it_is_stopped(
    identity: Identity, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    failed: list[str] = []
    kept = keeper(identity, kafka_bootstrap, kafka_prefix, failed)
    running = threading.Thread(target=kept.run)
    running.start()
    try:
        tell(identity, stated("1", email=("ann",)))
        wait_until(lambda: "1" in read_rows(identity), "the ledger follows")
    finally:
        kept.stop()
        running.join(60)

    assert failed == []


def test_it_goes_on_following_while_kafka_is_away(sqlite_identity: Identity) -> None:
    failed: list[str] = []
    taking = Taking(sqlite_identity)
    taking.take(plain("1", {"email": "ann@web.de"}))
    kept = keeper(sqlite_identity, "127.0.0.1:1", "t", failed)

    assert not kept.look()

    assert failed == ["kafka_unreachable"]
    assert "1" in read_rows(sqlite_identity)
