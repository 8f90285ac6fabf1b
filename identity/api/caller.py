"""Who asks: the holder of an API key, with scopes and the sources it is bound to.

Invariant: frozen; an unbound caller has `sources` None and sees all, a bound one sees only records of
its own sources.
Elsewhere: checking API keys (`service.access`); which scope a route needs (`needs` in
`identity.api.describe`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from identity.api.errors import SourceForbidden

__all__ = ["CALLER", "Caller", "caller_of"]

CALLER: Final = "sameas.caller"
"""Where the caller stands in the scope of a request."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of one API key."""

    id: str
    scopes: frozenset[str]
    sources: frozenset[str] | None = None
    name: str = ""
    serves: str = ""
    """What asks with this key: `system:NAME`, `product:NAME`, or empty where nobody said."""

    @property
    def author(self) -> str:
        """How history names this caller."""
        return f"key:{self.id}"

    @property
    def owner(self) -> str:
        """To whom what this caller keeps here belongs: whoever holds a key of this name, now or later."""
        return self.name or self.id

    def sees(self, source: str) -> bool:
        """True when records of `source` may be shown to this caller."""
        return self.sources is None or source in self.sources

    def check_sources(self, sources: Iterable[str]) -> None:
        """Raise SourceForbidden if a record of one of `sources` is none of this caller's business.

        A list is refused as a whole: an answer that hides single rows is taken for a complete one.
        """
        if self.sources is not None:
            for source in sources:
                if source not in self.sources:
                    raise SourceForbidden(
                        "this API key is bound to sources, and the request names another one"
                    )


def caller_of(request: Request) -> Caller:
    """Return who made the request; access control has put it there."""
    caller = request.scope[CALLER]
    assert isinstance(caller, Caller)
    return caller
