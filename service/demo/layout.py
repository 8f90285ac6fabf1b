"""Which record comes when: from the number of a record to its customer, its variant and its household.

How it works:
1. Customers come in groups of 100 with the same households in each: 42 who live alone, ten couples, six
   families of three, one pair of a senior and a junior of one name, one family with twins, and 14
   organisations. Shares are therefore exact and do not depend on the number of records.
2. The records of a group are 133: each customer has one, and by a rota that walks through the roles from
   group to group 16 have two, five have three, and two have four or five.
3. A permutation of all records scatters those of one customer over the whole run. It is a Feistel network
   over the next power of two, walked until it lands inside: constant memory, any number of records.

Invariant: `iter_places` names each (customer, variant) once; the same count and seed, the same order.
Elsewhere: what a customer is like (`service.demo.people`, `service.demo.organisations`).
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GROUP_CUSTOMERS", "GROUP_RECORDS", "Place", "Role", "Slot", "iter_places", "slot_of"]


class Role(IntEnum):
    """What a customer is in its household."""

    SINGLE = 0
    PARTNER_A = 1
    PARTNER_B = 2
    CHILD = 3
    SENIOR = 4
    JUNIOR = 5
    TWIN = 6
    ORGANISATION = 7


class Slot(NamedTuple):
    """A customer's place in its group: the first customer of its household, and its role there."""

    household: int
    role: Role


class Place(NamedTuple):
    """A record's place: its customer's number, and which of that customer's records it is, from 0."""

    customer: int
    variant: int


def _make_slots() -> tuple[Slot, ...]:
    couple = (Role.PARTNER_A, Role.PARTNER_B)
    households: list[tuple[Role, ...]] = [
        *[(Role.SINGLE,)] * 42,
        *[couple] * 10,
        *[(*couple, Role.CHILD)] * 6,
        (Role.SENIOR, Role.JUNIOR),
        (*couple, Role.TWIN, Role.TWIN),
        *[(Role.ORGANISATION,)] * 14,
    ]
    slots: list[Slot] = []
    for roles in households:
        first = len(slots)
        slots += [Slot(first, role) for role in roles]
    return tuple(slots)


_SLOTS: Final = _make_slots()
_RECORD_COUNTS: Final = (5, 4, *[3] * 5, *[2] * 16, *[1] * 77)
_PLACES: Final = tuple(
    sorted(
        ((rank, variant) for rank, count in enumerate(_RECORD_COUNTS) for variant in range(count)),
        key=lambda place: (place[1], place[0]),
    )
)
GROUP_CUSTOMERS: Final = len(_SLOTS)
GROUP_RECORDS: Final = len(_PLACES)
_ROUNDS: Final = 4


def slot_of(customer: int) -> Slot:
    """Return the customer's household (as the number of its first customer) and role."""
    group, position = divmod(customer, GROUP_CUSTOMERS)
    household, role = _SLOTS[position]
    return Slot(group * GROUP_CUSTOMERS + household, role)


def iter_places(record_count: int, *, seed: int) -> Iterator[Place]:
    """Yield the place of each record, in the order in which records come."""
    if record_count <= 0:
        return
    half = max(1, ((record_count - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    digest = blake2b(b"order", key=str(seed).encode(), digest_size=8 * _ROUNDS).digest()
    keys = [int.from_bytes(digest[8 * n : 8 * n + 8], "little") | 1 for n in range(_ROUNDS)]
    first, second, third, fourth = keys
    places, customers, records = _PLACES, GROUP_CUSTOMERS, GROUP_RECORDS
    for number in range(record_count):
        value = number
        while True:
            left, right = value >> half, value & mask
            left ^= ((right + 1) * first >> 29) & mask
            right ^= ((left + 1) * second >> 29) & mask
            left ^= ((right + 1) * third >> 29) & mask
            right ^= ((left + 1) * fourth >> 29) & mask
            value = left << half | right
            if value < record_count:
                break
        group, position = divmod(value, records)
        rank, variant = places[position]
        yield Place(group * customers + (rank * 37 + group * 13) % customers, variant)
