"""Tell whether the active scoring model still fits the store: it has outgrown it, or has a source it never saw.

A model states the population that its prior assumes: how many customers there are to be confused with each other
(not records: these grow with every restating source, and a larger crowd is what makes chance agreement likelier).
 - It is outgrown when the store has more than twice as many customers.
 - A source is new to it when it was put after the model became active, has stated something, is in use, and is
   not named in the model's source priors. A model that became active before there was any source, as the default
   does at the first start, was made for no source in particular: for it all sources count as there from the
   beginning that are put within 30 days of the first record, so that somebody who tries the service, or takes one
   system after the other into use, is not told that the model is out of date for that.

Invariant: says nothing of the partition; a model that is out of date stays exact, it is only less well placed.
Elsewhere: the model (`matching.scoring_model`), keeping it (`identity.scoring_models`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, select

from identity.model import FOREVER, CidStatus, Instant
from identity.store_sql import tables

if TYPE_CHECKING:
    from identity.store_sql.opening import SqlStore
    from matching.scoring_model import ScoringModel

__all__ = ["FIRST_SOURCES_US", "ModelFit", "count_customers", "find_new_sources", "read_model_fit"]

FIRST_SOURCES_US: Final = 30 * 86_400_000_000
"""So long after the first record a source still counts as one of those the store began with."""


@dataclass(frozen=True, slots=True)
class ModelFit:
    """The active scoring model beside the store."""

    version: str
    active_since: Instant
    population: int  # customers that its prior assumes
    customers: int  # of the store; counting stops one above twice the population
    sources_new: tuple[str, ...]

    @property
    def is_outgrown(self) -> bool:
        """True when the store has more than twice the customers that the prior assumes."""
        return self.customers > 2 * self.population

    @property
    def is_out_of_date(self) -> bool:
        """True when there is a reason to look for a better model."""
        return self.is_outgrown or bool(self.sources_new)


def read_model_fit(store: SqlStore, model: ScoringModel, *, count: Callable[[], int]) -> ModelFit:
    """Return how the active model fits.

    Args:
        count: gives `count_customers`, which may be some time old.
    Cost: beside that a few rows for each source.
    """
    source, contract, record, event = tables.source, tables.source_contract, tables.record, tables.event
    with store.read() as connection:
        active_since = _active_since(connection, model)
        put_at: dict[str, Instant] = {
            row.source: row.created_at
            for row in connection.execute(
                select(contract.c.source, contract.c.created_at)
                .join(source, source.c.name == contract.c.source)
                .where(contract.c.version == 1, source.c.retired_at.is_(None))
            )
        }
        new = find_new_sources(
            put_at,
            named={name for prior in model.source_priors for name in (prior.left, prior.right)},
            active_since=active_since,
            first_put_at=connection.scalar(select(func.min(contract.c.created_at))),
            first_record_at=connection.scalar(select(func.min(event.c.known_at))),
        )
        stating = [
            name
            for name in new
            if connection.scalar(select(record.c.rid).where(record.c.source == name).limit(1)) is not None
        ]
    return ModelFit(model.version, active_since, model.population, count(), tuple(stating))


def find_new_sources(
    put_at: Mapping[str, Instant],
    *,
    named: Collection[str],
    active_since: Instant,
    first_put_at: Instant | None,
    first_record_at: Instant | None,
) -> list[str]:
    """Return the sources that the model has never seen, by name; pure.

    Args:
        put_at: when each source in use was put first.
        named: sources that the model itself names.
        first_put_at: when the first source was put, in use or not.
        first_record_at: when the store got its first record.
    """
    known_until: Instant = active_since
    if first_put_at is None or active_since <= first_put_at:
        known_until = FOREVER if first_record_at is None else first_record_at + FIRST_SOURCES_US
    return sorted(name for name, at in put_at.items() if at > known_until and name not in named)


def count_customers(store: SqlStore, *, limit: int) -> int:
    """Return how many customers there are, at most `limit`.

    Cost: it reads at most that many live CIDs and what is retired between them: 0.1 s for 200,000. Not for every
    request: see `identity.report`.
    """
    state = tables.cid_state
    live = (
        select(state.c.cid)
        .where(state.c.system_to == FOREVER, state.c.status == CidStatus.LIVE.value)
        .limit(limit)
    )
    with store.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(live.subquery())) or 0)


def _active_since(connection: Connection, model: ScoringModel) -> Instant:
    table = tables.scoring_model
    since = connection.scalar(select(table.c.created_at).where(table.c.version == model.version))
    assert since is not None, "the active model is stored"
    return int(since)
