"""All companions of one HTTP service.

Elsewhere: one companion (`service.companions.companion`), which there can be (`service.companions.kinds`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from service.companions.companion import Companion

__all__ = ["Companions"]


class Companions:
    """The companions that the settings name; none is a group too.

    Args:
        count_restart: called with the name of one that is started again.
    """

    def __init__(
        self,
        names: Collection[str],
        settings: Mapping[str, Any],
        *,
        count_restart: Callable[[str], object] = lambda name: None,
    ) -> None:
        self._all = [
            Companion(name, settings, count_restart=lambda name=name: count_restart(name))  # type: ignore[misc]
            for name in names
        ]

    async def start(self) -> None:
        """Start all; raises what one of them met as it started."""
        await asyncio.gather(*(one.start() for one in self._all))

    async def close(self) -> None:
        """End all after what they are at."""
        await asyncio.gather(*(one.close() for one in self._all))

    def list_states(self) -> dict[str, str]:
        """Return `running` or `restarting` by name; of one that is restarted with the code of what it last met."""
        return {one.name: _state(one) for one in self._all}

    def list_pids(self) -> dict[str, int]:
        """Return the process ids of those that run."""
        return {one.name: one.pid for one in self._all if one.pid is not None}

    async def read_metrics(self) -> bytes:
        """Return the metrics of all in the text format of Prometheus."""
        return b"".join(await asyncio.gather(*(one.read_metrics() for one in self._all)))


def _state(one: Companion) -> str:
    if one.is_running:
        return "running"
    return "restarting" if one.last_failure is None else f"restarting: {one.last_failure}"
