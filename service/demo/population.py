"""A made-up population: records of three sources, with the truth behind them.

What is in it: persons and organisations of four countries and eight name origins; typing slips, nicknames,
initials, moves, changed family names, households with one telephone or e-mail address or bank account, a
senior and a junior of one name, twins, junk values, several scripts, gaps, outdated records.

Invariant: the same seed and number give the same records for ever, in any process and Python; memory does
not grow with their number. Names, cities and shares are fixed: a larger population is more of the same,
and the customers of a smaller one are, but for the last group, customers of the larger one.
Elsewhere: the order of records (`service.demo.layout`), the sources' own columns (`service.demo.sources`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from service.demo.draws import chance, roll, spread
from service.demo.layout import Role, iter_places, slot_of
from service.demo.organisations import make_organisation
from service.demo.people import make_person
from service.demo.statements import state_organisation, state_person

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SOURCES", "GeneratedRecord", "generate_population"]

SOURCES: Final = ("crm", "shop", "billing")


class GeneratedRecord(NamedTuple):
    """One record as its source states it, and the customer it is of in truth."""

    source: str
    source_key: str
    entity_id: str
    attributes: dict[str, object]
    effective_at: str | None


_ORDER_SHARES: Final = {
    ("crm", "shop", "billing"): 28,
    ("shop", "crm", "billing"): 34,
    ("shop", "billing", "crm"): 14,
    ("billing", "crm", "shop"): 12,
    ("crm", "billing", "shop"): 12,
}
_PERSON_ORDER: Final = spread(tuple(_ORDER_SHARES), _ORDER_SHARES.values())
_ORGANISATION_ORDER: Final = spread([("crm", "billing", "shop"), ("billing", "crm", "shop")], [60, 40])
_TWICE: Final = chance(0.08)
_EMPLOYED: Final = chance(0.15)
_DATED: Final = frozenset(("crm", "billing"))
_BITS_OF_VARIANT: Final = 5


def generate_population(*, seed: int, record_count: int) -> Iterator[GeneratedRecord]:
    """Yield the records in the order in which they come; those of one customer lie far apart.

    Args:
        seed: another seed is another population.
        record_count: how many records; three quarters as many customers.
    """
    salt = str(seed).encode()
    organisation_role = Role.ORGANISATION
    statement_salt = salt + b"s"
    for number, (customer, variant) in enumerate(iter_places(record_count, seed=seed)):
        draws = roll(statement_salt, customer << _BITS_OF_VARIANT | variant)
        if slot_of(customer).role is organisation_role:
            organisation = make_organisation(salt, customer)
            source = _source_of(_ORGANISATION_ORDER, organisation.draws[19], organisation.draws[20], variant)
            attributes = state_organisation(organisation, source, draws)
            entity_id = f"organisation-{customer}"
        else:
            person = make_person(salt, customer)
            own = person.draws
            source = _source_of(_PERSON_ORDER, own[10], own[9], variant)
            employer: str | None = None
            if source == "crm" and own[8] < _EMPLOYED:
                # One of the organisations of the same group: they are its last fourteen customers.
                employer = make_organisation(salt, customer // 100 * 100 + 86 + own[8] % 14).name
            attributes = state_person(person, source, variant, customer, draws, employer)
            entity_id = f"person-{customer}"
        yield GeneratedRecord(
            source,
            _source_key(source, number),
            entity_id,
            attributes,
            _stated_at(variant, draws[29], draws[30]) if source in _DATED else None,
        )


def _source_of(orders: tuple[tuple[str, ...], ...], draw: int, repeat: int, variant: int) -> str:
    order = orders[draw]
    if variant == 1 and repeat < _TWICE:
        return order[0]  # the same source knows this customer twice
    return order[variant % 3]


def _source_key(source: str, number: int) -> str:
    if source == "crm":
        return f"C-{number + 1:07d}"
    return f"{10_000_001 + number}" if source == "shop" else f"B{number + 1:08d}"


def _stated_at(variant: int, high: int, low: int) -> str:
    year = 2024 - 3 * min(variant, 4) + high % 3 - 1
    return (
        f"{year}-{high // 3 % 12 + 1:02d}-{low % 28 + 1:02d}T{low // 28 % 24:02d}:{high // 36 % 60:02d}:00Z"
    )
