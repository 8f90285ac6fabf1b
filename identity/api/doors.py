"""The doors through which identity's routes reach the service that runs them (a port).

Invariant: nothing behind a door blocks the event loop.
Elsewhere: the adapter (`service.doors`), the resolver processes (`service.resolvers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import Caller
from identity.contract import SourceContract
from identity.model import Cid, Instant, KeyStatus, RecordRef

if TYPE_CHECKING:
    from identity.service import Identity

__all__ = ["Doors", "Order", "OrderAnswer"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Order:
    """A write for a resolver process: what to do, its arguments as JSON values, and a raw body.

    `lane` decides the process: orders of one lane keep their order. An order that is not `repeatable`
    is never tried a second time when its process dies over it.
    """

    do: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    body: bytes = b""
    lane: tuple[str, str] = ("", "")
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """The HTTP status and the body (JSON) that answer an order."""

    status: int
    body: bytes


class Doors(Protocol):
    """What the routes may ask of the service."""

    async def read(self, question: Callable[[Identity], Answer]) -> Answer:
        """Return what `question` returns, asked in a thread with a reading `Identity`."""
        ...

    async def find_current(self, ref: RecordRef) -> tuple[Cid | None, KeyStatus, Instant]:
        """Return the CID and status of one key now, and the horizon; the fast path."""
        ...

    async def contract_of(self, source: str) -> SourceContract:
        """Return the contract in force, at most a second old; raises SourceUnknown."""
        ...

    async def write(self, order: Order) -> OrderAnswer:
        """Return what a resolver process answered; raises its error."""
        ...

    def note_look_up(self, caller: Caller, source: str, count: int) -> None:
        """Count so many keys of a source that the caller looked up; writes nothing."""
        ...

    def stream_lines(self, request: Request, contract: SourceContract, *, author: str) -> Response:
        """Return a response that answers the NDJSON lines of the request as they come."""
        ...

    @property
    def is_closing(self) -> bool:
        """True when the service is about to end: answers without an end of their own stop here."""
        ...

    async def pause(self, seconds: float) -> bool:
        """Wait; returns False at once when the service is closing."""
        ...
