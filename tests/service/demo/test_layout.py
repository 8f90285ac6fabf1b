"""Which record comes when."""

from __future__ import annotations

from collections import Counter

import pytest

from service.demo.layout import GROUP_CUSTOMERS, GROUP_RECORDS, Role, iter_places, slot_of


@pytest.mark.parametrize("record_count", [0, 1, 2, 132, 133, 134, 1_000])
def test_each_record_comes_once_whatever_their_number(record_count: int) -> None:
    places = list(iter_places(record_count, seed=3))

    assert len(places) == len(set(places)) == record_count


def test_another_seed_is_another_order_of_the_same_records() -> None:
    one, other = (list(iter_places(GROUP_RECORDS * 3, seed=seed)) for seed in (1, 2))

    assert one != other
    assert set(one) == set(other)


def test_records_of_one_customer_lie_far_apart() -> None:
    total = GROUP_RECORDS * 40
    first_seen: dict[int, int] = {}
    gaps: list[int] = []
    for position, place in enumerate(iter_places(total, seed=1)):
        if place.customer in first_seen:
            gaps.append(position - first_seen[place.customer])
        first_seen[place.customer] = position

    assert sorted(gaps)[len(gaps) // 2] > total / 10


def test_a_group_has_the_same_households_every_time() -> None:
    roles = Counter(slot_of(customer).role for customer in range(GROUP_CUSTOMERS))

    assert roles == {
        Role.SINGLE: 42,
        Role.PARTNER_A: 17,
        Role.PARTNER_B: 17,
        Role.CHILD: 6,
        Role.SENIOR: 1,
        Role.JUNIOR: 1,
        Role.TWIN: 2,
        Role.ORGANISATION: 14,
    }
    assert [slot_of(c + 5 * GROUP_CUSTOMERS).role for c in range(100)] == [
        slot_of(c).role for c in range(100)
    ]


def test_every_role_has_customers_with_several_records() -> None:
    places = iter_places(GROUP_RECORDS * GROUP_CUSTOMERS, seed=1)
    several = Counter(slot_of(place.customer).role for place in places if place.variant == 1)

    assert set(several) == set(Role)
    assert sum(several.values()) / (GROUP_CUSTOMERS * GROUP_CUSTOMERS) == 0.23
