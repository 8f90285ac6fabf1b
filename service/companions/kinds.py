"""What can run beside the HTTP service.

A further kind is one line of `COMPANIONS`: all else reads this list.
Elsewhere: the programs (`service.worker`, `service.relaying`, `service.webhook_running`), settings that name kinds
(`service.settings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from service.programs import Program
from service.settings import Settings

__all__ = ["COMPANIONS", "Kind"]


class Kind(NamedTuple):
    """How to check and how to build a program; both raise SettingsInvalid."""

    check: Callable[[Settings], object]
    build: Callable[[Settings], Program]


def _need_kafka(settings: Settings) -> object:
    return settings.kafka


def _build_worker(settings: Settings) -> Program:
    from service.worker import WorkerProgram

    return WorkerProgram(settings)


def _build_relay(settings: Settings) -> Program:
    from service.relaying import RelayProgram

    return RelayProgram(settings)


def _build_webhooks(settings: Settings) -> Program:
    from service.webhook_running import WebhookProgram

    return WebhookProgram(settings)


COMPANIONS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "worker": Kind(_need_kafka, _build_worker),
        "relay": Kind(_need_kafka, _build_relay),
        "webhooks": Kind(lambda settings: None, _build_webhooks),
    }
)
"""Every kind, by its name in `sameas serve --with`."""
