"""The adapter behind identity's routes: threads that read, processes that write.

Invariant: nothing here blocks the event loop; reads see every commit that had returned when the request
came, but for what a contract says of paths, which may be a second old.
Elsewhere: the port (`identity.api.doors`), the processes (`service.resolvers`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import Caller
from identity.api.doors import Order, OrderAnswer
from identity.contract import SourceContract
from identity.model import Cid, Instant, KeyStatus, RecordRef
from identity.service import Identity
from identity.store_sql.key_reader import KeyReader
from service.clock import SystemClock
from service.look_up_counts import LookUpCounts
from service.record_stream import RecordStream
from service.resolvers.pool import ResolverPool
from service.settings import Settings
from service.spool import Spool
from service.telemetry import Metrics

__all__ = ["ServiceDoors"]

Answer = TypeVar("Answer")

_CONTRACT_SECONDS: Final = 1.0
_CONTRACTS_MAX: Final = 1_000
_HORIZON_RENEW_SECONDS: Final = 0.1
_HORIZON_SECONDS: Final = 1.0


class ServiceDoors:
    """See the module; built by `service.app`, used within its lifespan."""

    def __init__(
        self,
        settings: Settings,
        *,
        identity: Identity,
        key_reader: KeyReader,
        resolvers: ResolverPool,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._key_reader = key_reader
        self.look_ups = LookUpCounts()
        self._resolvers = resolvers
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(settings.read_threads, thread_name_prefix="read")
        self._contracts: dict[str, tuple[float, SourceContract]] = {}
        self._closing = asyncio.Event()
        self._now = SystemClock().now
        self._horizon: Instant = 0
        self._horizon_at = -_HORIZON_SECONDS * 2
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and start what answers need; serves when this returns."""
        await asyncio.gather(self._key_reader.start(), self._resolvers.start())

    def begin_closing(self) -> None:
        """Let long polls return; called before the server waits for its requests to end."""
        self._closing.set()

    async def close(self) -> None:
        """End processes, connections and threads."""
        self.begin_closing()
        await self._resolvers.close()
        await self._key_reader.close()
        self._threads.shutdown(wait=True)

    @property
    def resolvers(self) -> ResolverPool:
        """The resolver processes."""
        return self._resolvers

    async def read(self, question: Callable[[Identity], Answer]) -> Answer:
        """Return what `question` returns, asked in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, question, self._identity)

    async def find_current(self, ref: RecordRef) -> tuple[Cid | None, KeyStatus, Instant]:
        """Return the CID and status of one key now, and the horizon."""
        horizon = await self._recent_horizon()
        cid, status = await self._key_reader.find_current(ref)
        return cid, status, horizon

    async def _recent_horizon(self) -> Instant:
        """Return a horizon at most a second old; an older horizon is true too, only less far.

        It is renewed beside the requests every tenth of a second, so that none of them waits for it.
        """
        loop = asyncio.get_running_loop()
        age = loop.time() - self._horizon_at
        if age > _HORIZON_RENEW_SECONDS and (self._renewing is None or self._renewing.done()):
            self._renewing = loop.create_task(self._renew_horizon())
        if age > _HORIZON_SECONDS and self._renewing is not None:
            await asyncio.shield(self._renewing)
        return self._horizon

    async def _renew_horizon(self) -> None:
        renewed_at = asyncio.get_running_loop().time()
        self._horizon = await self.read(lambda identity: identity.horizon.recent(self._now()))
        self._horizon_at = renewed_at

    async def contract_of(self, source: str) -> SourceContract:
        """Return the contract in force, at most a second old; one that is unknown is asked for each time."""
        now = asyncio.get_running_loop().time()
        kept = self._contracts.get(source)
        if kept is not None and now - kept[0] <= _CONTRACT_SECONDS:
            return kept[1]
        contract = await self.read(lambda identity: identity.get_source(source))
        if len(self._contracts) >= _CONTRACTS_MAX:
            self._contracts.clear()
        self._contracts[source] = (now, contract)
        return contract

    async def write(self, order: Order) -> OrderAnswer:
        """Return what a resolver process answered."""
        return await self._resolvers.write(order)

    def note_look_up(self, caller: Caller, source: str, count: int) -> None:
        """Count who looked keys up; the counts are stored once a minute."""
        self.look_ups.note(caller.serves, source, count)

    def stream_lines(self, request: Request, contract: SourceContract, *, author: str) -> Response:  # noqa: ARG002
        """Return the response that answers the request's lines as they come."""
        settings = self._settings
        return RecordStream(
            self._resolvers,
            source=contract.name,
            author=author,
            batch_records_max=settings.batch_records_max,
            line_bytes_max=settings.body_bytes_max,
            open_spool=lambda: Spool(
                settings.data_dir,
                memory_bytes=settings.spool_memory_bytes,
                disk_bytes_max=settings.spool_disk_bytes_max,
            ),
            count_lines=self._metrics.lines.inc,
        )

    @property
    def is_closing(self) -> bool:
        """True when the service is about to end."""
        return self._closing.is_set()

    async def pause(self, seconds: float) -> bool:
        """Wait; returns False at once when the service is closing."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return True
        return False
