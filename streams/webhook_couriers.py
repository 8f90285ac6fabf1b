"""Run a courier for each webhook of a store, as they come and go.

Invariant: of several processes one sends for a webhook, the one that holds its row (`streams.relay_place`); the others
stand by until it leaves or is silent for too long. While the row changes hands a message may be sent twice, under
one id.
Elsewhere: what a courier does (`streams.webhook_courier`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from identity.errors import StoreBusy, StoreFull, StoreMigrating, StoreUnreachable
from identity.model import Instant
from identity.service import Identity
from matching.errors import SameasError
from streams.errors import WebhookUnknown
from streams.relay import SILENT_US_MAX
from streams.relay_place import RelayPlace
from streams.webhook_book import Webhook, WebhookBook, place_name
from streams.webhook_courier import CourierNotes, WebhookCourier
from streams.webhook_post import Poster

__all__ = ["CouriersNotes", "WebhookCouriers"]

_LOOK_S: Final = 1.0
_IDLE_S: Final = 0.25
_BEAT_S: Final = 2.0
_BROKEN_S: Final = 5.0
_TRIED_AGAIN: Final = (StoreBusy, StoreFull, StoreMigrating, StoreUnreachable)


class CouriersNotes(CourierNotes, Protocol):
    """Is told what couriers do."""

    def seen(self, hooks: Sequence[Webhook]) -> None:
        """These are the webhooks now."""

    def failed(self, error: SameasError) -> None:
        """The store refused something, which is tried again."""

    def broke(self, webhook_id: str, error: Exception) -> None:
        """A courier met what nobody foresaw; it is tried again, and the others go on."""


class WebhookCouriers:
    """All couriers of a process.

    Args:
        holder: names this process, and no earlier run of it.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        holder: str,
        post: Poster,
        notes: CouriersNotes,
        now: Callable[[], Instant],
        chance: Callable[[], float],
        days_max: int,
    ) -> None:
        self._identity = identity
        self._book = WebhookBook(identity, now=now)
        self._holder = holder
        self._post = post
        self._notes = notes
        self._now = now
        self._chance = chance
        self._days_max = days_max
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End `run` after what is under way; called within the event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Send until `stop`."""
        tasks: dict[str, asyncio.Task[None]] = {}
        while not self._stop.is_set():
            try:
                hooks = await asyncio.to_thread(self._book.list_all)
                self._notes.seen(hooks)
                for hook in hooks:
                    if hook.id not in tasks or tasks[hook.id].done():
                        if hook.id in tasks:
                            tasks[hook.id].result()
                        tasks[hook.id] = asyncio.create_task(self._serve(hook.id))
            except _TRIED_AGAIN as error:
                self._notes.failed(error)
            await self._wait(_LOOK_S)
        await asyncio.gather(*tasks.values())

    async def _serve(self, webhook_id: str) -> None:
        place = RelayPlace(
            self._identity.store,
            holder=self._holder,
            silent_us_max=SILENT_US_MAX,
            name=place_name(webhook_id),
        )
        courier = WebhookCourier(
            webhook_id,
            identity=self._identity,
            book=self._book,
            place=place,
            post=self._post,
            notes=self._notes,
            now=self._now,
            chance=self._chance,
            days_max=self._days_max,
            is_stopping=self._stop.is_set,
        )
        while not self._stop.is_set():
            try:
                hook = await asyncio.to_thread(self._book.get, webhook_id)
                if (at := await asyncio.to_thread(place.find)) is None:
                    # Read anew once it is held: the process before this one may have changed it until then.
                    if not await self._claims(place):
                        await self._wait(_LOOK_S)
                elif not await self._beating(place, courier.run_round(hook, at)):
                    await self._wait(_IDLE_S)
            except WebhookUnknown:
                return
            except _TRIED_AGAIN as error:
                self._notes.failed(error)
                await self._wait(_LOOK_S)
            except Exception as error:  # noqa: BLE001 - the edge of one courier: the others go on
                self._notes.broke(webhook_id, error)
                await self._wait(_BROKEN_S)
        try:
            await asyncio.to_thread(place.leave)
        except _TRIED_AGAIN as error:
            self._notes.failed(error)  # another process waits a little longer

    async def _claims(self, place: RelayPlace) -> bool:
        is_free = await asyncio.to_thread(place.is_free, self._now())
        return is_free and await asyncio.to_thread(place.claim, self._now())

    async def _beating(self, place: RelayPlace, going: Coroutine[Any, Any, bool]) -> bool:
        """Do a round while showing that this process runs; it ends when another one has taken over."""
        working = asyncio.create_task(going)
        try:
            while not working.done():
                await asyncio.wait([working], timeout=_BEAT_S)
                # After a round too, so that the row of an idle one does not look abandoned.
                if not await asyncio.to_thread(place.show, self._now()) and not working.done():
                    return False
            return working.result()
        finally:
            # A round that is left must have ended before the next one begins.
            working.cancel()
            await asyncio.wait([working])

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass
