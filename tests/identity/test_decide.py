"""How a statement stands beside the version held: newer, the same, older, a conflict."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.decide import Standing, VersionFacts, decide_standing, is_greater

ONE, TWO = b"one", b"two"
FACTS = st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(0, 3), st.sampled_from([ONE, TWO]))


@pytest.mark.parametrize(
    ("stated", "held", "standing"),
    [
        ((2, None, TWO), (1, None, ONE), Standing.NEWER),
        ((1, None, TWO), (2, None, ONE), Standing.OLDER),
        ((1, None, ONE), (2, None, ONE), Standing.OLDER),
        ((1, None, ONE), (1, None, ONE), Standing.SAME),
        ((1, None, TWO), (1, None, ONE), Standing.CONFLICT),
        ((1, 50, TWO), (1, 60, ONE), Standing.CONFLICT),
        ((2, None, ONE), (1, None, ONE), Standing.SAME),
        ((None, 60, TWO), (None, 50, ONE), Standing.NEWER),
        ((None, 40, TWO), (None, 50, ONE), Standing.OLDER),
        ((None, 50, TWO), (None, 50, ONE), Standing.NEWER),
        ((None, None, TWO), (None, None, ONE), Standing.NEWER),
        ((None, None, ONE), (None, None, ONE), Standing.SAME),
        ((None, None, TWO), (None, 50, ONE), Standing.OLDER),
        ((None, None, TWO), (0, None, ONE), Standing.OLDER),
        ((0, None, TWO), (None, 99, ONE), Standing.NEWER),
        ((2, 10, TWO), (1, 90, ONE), Standing.NEWER),
    ],
)
def test_a_statement_stands_by_version_then_time_then_arrival(
    stated: VersionFacts, held: VersionFacts, standing: Standing
) -> None:
    assert decide_standing(stated, held) is standing


@given(FACTS, FACTS)
def test_what_is_newer_is_never_older_the_other_way_round_unless_arrival_decides(
    one: VersionFacts, other: VersionFacts
) -> None:
    if decide_standing(one, other) is Standing.OLDER:
        assert decide_standing(other, one) in (Standing.NEWER, Standing.SAME)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4, unique_by=lambda f: f[0]
    )
)
def test_the_greatest_version_becomes_current_whatever_the_order_of_arrival(
    numbered: list[tuple[int, int]],
) -> None:
    versions: list[VersionFacts] = [(number, at, str(number).encode()) for number, at in numbered]

    for order in permutations(versions):
        held = order[0]
        for one in order[1:]:
            if decide_standing(one, held) is Standing.NEWER:
                held = one
        assert held == max(versions)


def test_a_greater_number_is_to_be_remembered_also_when_its_time_is_earlier() -> None:
    assert is_greater((3, 10, ONE), (2, 90, ONE))
    assert not is_greater((2, 90, ONE), (2, 10, ONE))


def test_a_number_where_there_was_none_is_to_be_remembered() -> None:
    assert is_greater((0, None, ONE), (None, 90, ONE))


def test_without_a_number_a_later_time_is_to_be_remembered_but_not_beside_a_number() -> None:
    assert is_greater((None, 60, ONE), (None, 50, ONE))
    assert is_greater((None, 60, ONE), (None, None, ONE))
    assert not is_greater((None, 50, ONE), (None, 50, ONE))
    assert not is_greater((None, 60, ONE), (1, None, ONE))
