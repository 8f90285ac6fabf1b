"""Groups of what is too much for one component, and the values that glue them: pure."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from identity.glue import GluedGroup, SharedValue, group_glued


def linked(*pairs: tuple[int, int]) -> Callable[[int, int], bool]:
    both = {*pairs, *((right, left) for left, right in pairs)}
    return lambda left, right: (left, right) in both


def glued(
    *shared: SharedValue,
    is_link: Callable[[int, int], bool] = lambda left, right: True,
    joined: tuple[tuple[int, ...], ...] = (),
    values_max: int = 5,
) -> list[GluedGroup]:
    return group_glued(shared, joined=joined, is_link=is_link, values_max=values_max)


def test_profiles_that_link_by_shared_values_are_one_group_and_the_largest_comes_first() -> None:
    mail, phone, other = (
        SharedValue("email", "ann", (4, 5, 6)),
        SharedValue("phone", "1", (6, 7)),
        SharedValue("email", "bob", (1, 2)),
    )

    groups = glued(other, phone, mail)

    assert groups == [
        GluedGroup(frozenset({4, 5, 6, 7}), (mail, phone)),
        GluedGroup(frozenset({1, 2}), (other,)),
    ]


def test_a_value_that_makes_no_link_joins_nobody_and_glues_nothing() -> None:
    town, mail = SharedValue("city", "ulm", (1, 2, 3, 4)), SharedValue("email", "ann", (1, 2))

    [group] = glued(town, mail, is_link=linked((1, 2), (3, 9)))

    assert group.pids == {1, 2}
    assert [(one.rule, one.pids) for one in group.values] == [("city", (1, 2)), ("email", (1, 2))]


def test_a_value_is_named_with_those_of_its_holders_that_are_in_the_group() -> None:
    town = SharedValue("city", "ulm", (1, 2, 3, 4, 5))

    first, second = glued(town, is_link=linked((1, 2), (2, 3), (4, 5)))

    assert first == GluedGroup(frozenset({1, 2, 3}), (town._replace(pids=(1, 2, 3)),))
    assert second == GluedGroup(frozenset({4, 5}), (town._replace(pids=(4, 5)),))


def test_judgements_join_what_no_value_does() -> None:
    mail = SharedValue("email", "ann", (2, 3))

    [group] = glued(mail, joined=((1, 2), (9,)))

    assert group.pids == {1, 2, 3}


def test_only_the_commonest_values_are_named() -> None:
    shared = [SharedValue("email", f"m{n}", tuple(range(n))) for n in range(2, 7)]

    [group] = glued(*shared, values_max=2)

    assert [len(one.pids) for one in group.values] == [6, 5]


@given(st.lists(st.sets(st.integers(0, 9), min_size=2, max_size=4), max_size=8))
def test_the_order_in_which_values_come_changes_nothing(sets: list[set[int]]) -> None:
    shared = [SharedValue("email", f"m{n}", tuple(sorted(pids))) for n, pids in enumerate(sets)]

    def is_link(left: int, right: int) -> bool:
        return (left + right) % 3 > 0

    assert glued(*shared[::-1], is_link=is_link) == glued(*shared, is_link=is_link)
