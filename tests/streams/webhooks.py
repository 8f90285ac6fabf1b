"""One webhook with its courier, a receiver that is real, and a clock that the test sets.

Invariant: nothing waits: the test says when a round runs and what time it is.
Elsewhere: the receiver (`tests.streams.receiver`), the store (`tests.identity.stores`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from identity.service import Identity
from matching.errors import SameasError
from streams.relay_place import RelayPlace
from streams.webhook_book import Webhook, WebhookBook, place_name
from streams.webhook_courier import WebhookCourier
from streams.webhook_post import PostAnswer
from tests.promises.world import Clock
from tests.streams.receiver import Receiver

__all__ = ["DAY", "SECOND", "Notes", "Sending"]

SECOND = 1_000_000
DAY = 86_400 * SECOND


@dataclass
class Notes:
    """Keeps what it is told."""

    answers: list[PostAnswer] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    hooks: Sequence[Webhook] = ()
    faults: list[str] = field(default_factory=list)

    def tried(self, webhook_id: str, answer: PostAnswer) -> None:
        self.answers.append(answer)

    def disabled(self, webhook_id: str) -> None:
        self.ended.append(webhook_id)

    def seen(self, hooks: Sequence[Webhook]) -> None:
        self.hooks = hooks

    def failed(self, error: SameasError) -> None:
        raise error

    def broke(self, webhook_id: str, error: Exception) -> None:
        self.faults.append(f"{webhook_id}: {error}")


class Sending:
    """A webhook that is sent to."""

    def __init__(
        self,
        identity: Identity,
        receiver: Receiver,
        *,
        clock: Clock,
        sources: Sequence[str] | None = None,
        begin_at: str = "start",
    ) -> None:
        self.identity = identity
        self.receiver = receiver
        self.clock = clock
        self.notes = Notes()
        self.book = WebhookBook(identity, now=clock)
        hook, self.secret = self.book.add(receiver.url, sources=sources, begin_at=begin_at, author="test")
        self.id = hook.id
        self.places: dict[WebhookCourier, RelayPlace] = {}
        self.courier = self.courier_of("one")

    @property
    def hook(self) -> Webhook:
        return self.book.get(self.id)

    def courier_of(
        self,
        holder: str,
        *,
        page: int = 500,
        post: Callable[..., object] | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> WebhookCourier:
        """Return a courier that has taken the row."""
        place = RelayPlace(self.identity.store, holder=holder, silent_us_max=SECOND, name=place_name(self.id))
        place.take(self.clock())
        courier = WebhookCourier(
            self.id,
            identity=self.identity,
            book=self.book,
            place=place,
            post=post or self.receiver.poster(),  # type: ignore[arg-type]
            notes=self.notes,
            now=self.clock,
            chance=lambda: 0.0,
            days_max=5,
            page=page,
            is_stopping=is_stopping,
        )
        self.places[courier] = place
        return courier

    def run(self, courier: WebhookCourier | None = None, *, rounds_max: int = 100) -> int:
        """Do rounds until there is nothing to do at once; return how many there were."""
        courier = courier or self.courier

        async def scene() -> int:
            for number in range(1, rounds_max + 1):
                at = self.places[courier].find()
                if at is None or not await courier.run_round(self.hook, at):
                    return number
            return rounds_max

        return asyncio.run(scene())

    def later(self, microseconds: int) -> None:
        """Let time pass."""
        self.clock.now += microseconds
