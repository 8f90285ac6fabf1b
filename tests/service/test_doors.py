"""The adapter behind the routes, with an identity that counts what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from identity.contract import SourceContract, read_contract
from identity.errors import SourceUnknown
from identity.model import Cid, KeyStatus, RecordRef
from service.doors import ServiceDoors
from service.resolvers.pool import ResolverPool
from service.settings import load_settings
from service.telemetry import Metrics


class FakeIdentity:
    """Counts questions about contracts and horizons."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.horizon = SimpleNamespace(recent=self._recent)

    def get_source(self, name: str) -> SourceContract:
        self.asked.append(name)
        if name == "none":
            raise SourceUnknown("no such source")
        return read_contract(name, {"domain": "x"}, version=1)

    def _recent(self, _now: int) -> int:
        self.asked.append("horizon")
        return 42


class FakeKeyReader:
    async def start(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def find_current(self, ref: RecordRef) -> tuple[Cid | None, KeyStatus]:
        return Cid(f"cid of {ref.key}"), KeyStatus.LIVE


def run(directory: Path, scene: Callable[[ServiceDoors, FakeIdentity], Awaitable[None]]) -> None:
    async def whole() -> None:
        identity = FakeIdentity()
        doors = ServiceDoors(
            load_settings({}, data_dir=directory),
            identity=identity,  # type: ignore[arg-type]
            key_reader=FakeKeyReader(),
            resolvers=ResolverPool({}, process_count=1, batch_records_max=1, waiting_records_max=1),
            metrics=Metrics(),
        )
        try:
            await scene(doors, identity)
        finally:
            await doors.close()

    asyncio.run(whole())


def test_a_contract_is_remembered_for_a_moment_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    async def scene(doors: ServiceDoors, identity: FakeIdentity) -> None:
        for _ in range(3):
            assert (await doors.contract_of("crm")).name == "crm"
            with pytest.raises(SourceUnknown):
                await doors.contract_of("none")

        assert identity.asked == ["crm", "none", "none", "none"]

    run(tmp_path, scene)


def test_one_key_is_read_with_a_horizon_that_is_not_asked_for_each_time(tmp_path: Path) -> None:
    async def scene(doors: ServiceDoors, identity: FakeIdentity) -> None:
        for _ in range(5):
            assert await doors.find_current(RecordRef("crm", "1")) == ("cid of 1", KeyStatus.LIVE, 42)

        assert identity.asked == ["horizon"]

    run(tmp_path, scene)


def test_a_pause_ends_when_the_service_closes(tmp_path: Path) -> None:
    async def scene(doors: ServiceDoors, _identity: FakeIdentity) -> None:
        assert await doors.pause(0.001)
        waiting = asyncio.create_task(doors.pause(60))
        await asyncio.sleep(0)
        doors.begin_closing()

        assert not await waiting

    run(tmp_path, scene)
