"""The relay is built from settings without asking Kafka or the store for anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsInvalid
from service.relay_notes import LoggedRelay
from service.relaying import build_relay
from service.settings import Settings
from streams.relay import Relay
from tests.promises.world import open_world


def test_a_relay_is_built_while_kafka_is_away(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world:
        settings = Settings(kafka_bootstrap="127.0.0.1:1")
        notes = LoggedRelay(lambda: 0)

        relay = build_relay(settings, world.identity, notes=notes, now=lambda: 0)

        assert isinstance(relay, Relay)
        relay.stop()
        relay.run()


def test_without_an_address_of_kafka_there_is_no_relay(tmp_path: Path) -> None:
    with open_world(None, tmp_path) as world, pytest.raises(SettingsInvalid, match="SAMEAS_KAFKA_BOOTSTRAP"):
        build_relay(Settings(), world.identity, notes=LoggedRelay(lambda: 0), now=lambda: 0)
