"""The clock and the maker of identifiers."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from service.clock import CidSource, SystemClock, new_cid


def test_the_clock_gives_microseconds_and_never_goes_back() -> None:
    clock = SystemClock()

    readings = [clock.now() for _ in range(1_000)]

    assert readings == sorted(readings)
    assert 1_700_000_000_000_000 < readings[0] < 20_000_000_000_000_000


@given(st.integers(0, (1 << 48) * 1_000 - 1), st.integers(0, (1 << 74) - 1))
def test_a_cid_is_a_uuid_of_version_7_that_holds_its_millisecond(now: int, random_bits: int) -> None:
    cid = uuid.UUID(new_cid(now, random_bits))

    assert cid.version == 7
    assert cid.variant == uuid.RFC_4122
    assert cid.int >> 80 == now // 1_000


@given(st.lists(st.integers(-5_000_000, 5_000_000), min_size=2, max_size=60), st.booleans())
def test_cids_grow_whatever_the_clock_does(steps: list[int], all_ones: bool) -> None:
    now = 1_700_000_000_000_000
    source = CidSource(random_bits=lambda bits: (1 << bits) - 1 if all_ones else 0)

    cids = [source(now := now + step) for step in steps]

    assert cids == sorted(set(cids))
