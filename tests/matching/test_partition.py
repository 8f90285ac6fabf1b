"""Components at rising thresholds, beside an oracle that knows nothing of their code."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.cluster import Constraints, Member, cluster_component
from matching.partition import Components, Links, connect_few, find_components, iter_groups, part_records
from tests.oracle import (
    OracleComponent,
    OracleJudgement,
    OracleNumbers,
    OracleRecord,
    find_oracle_components,
    list_usable_keys,
    oracle_partition,
)

COMPONENT_MAX = 6

Positions = npt.NDArray[np.int64]


def make_links(*links: tuple[int, int, int]) -> Links:
    columns = np.array(links, dtype=np.int64).reshape(-1, 3)
    return Links(columns[:, 0], columns[:, 1], columns[:, 2])


def find(
    record_count: int,
    *links: tuple[int, int, int],
    joined: tuple[tuple[int, ...], ...] = (),
    profiles: object = None,
) -> Components:
    """Components with three thresholds, a profile each, at most six in a component."""
    return find_components(
        record_count,
        make_links(*links),
        profiles=np.arange(record_count) if profiles is None else np.array(profiles),
        thresholds=(1, 2, 3),
        component_max=COMPONENT_MAX,
        joined=joined,
    )


def path(*positions: int, weight: int) -> list[tuple[int, int, int]]:
    return [(a, b, weight) for a, b in pairwise(positions)]


@st.composite
def record_sets(
    draw: st.DrawFn,
) -> tuple[list[OracleRecord], dict[tuple[int, int], int], list[tuple[int, int]], list[tuple[int, int]]]:
    """Records in random order, weights by profile, pairs judged same, pairs judged different."""
    size = draw(st.integers(2, 18))
    profile_count = draw(st.integers(2, 14))
    key_count = draw(st.integers(1, 5))
    keys = st.frozensets(st.integers(0, key_count - 1), min_size=1, max_size=2)
    keys_of = [draw(keys) for _ in range(profile_count)]
    records = [
        OracleRecord(f"s{profile % 2}", f"{source_key:02}", profile, keys_of[profile])
        for source_key, profile in zip(
            draw(st.permutations(range(size))),
            draw(st.lists(st.integers(0, profile_count - 1), min_size=size, max_size=size)),
            strict=True,
        )
    ]
    weights = {}
    weight = st.integers(-2, 4)
    for left in range(profile_count):
        for right in range(left, profile_count):
            weights[left, right] = weights[right, left] = draw(weight)
    positions = st.integers(0, size - 1)
    pairs = st.lists(st.tuples(positions, positions).filter(lambda p: p[0] != p[1]), max_size=2)
    same = draw(pairs)
    # Closed by hand: two pairs share at most one record.
    joined = [set(pair) for pair in same]
    if len(joined) == 2 and joined[0] & joined[1]:
        joined = [joined[0] | joined[1]]
    different = [pair for pair in draw(pairs) if not any(set(pair) <= group for group in joined)]
    return records, weights, same, different


@pytest.mark.slow
@settings(max_examples=300)
@given(record_sets(), st.randoms(use_true_random=False))
def test_components_and_clusters_are_those_of_the_design_to_the_letter(
    drawn: tuple[
        list[OracleRecord], dict[tuple[int, int], int], list[tuple[int, int]], list[tuple[int, int]]
    ],
    random: object,
) -> None:
    records, weights, same, different = drawn
    numbers = OracleNumbers(holders_max=4, component_max=3, thresholds=(1, 2, 3), cut=1, clip=3)

    def weigh(left: OracleRecord, right: OracleRecord) -> int:
        return weights[left.profile, right.profile]  # type: ignore[index]

    judgements = [
        *(OracleJudgement("same", (records[a].name, records[b].name)) for a, b in same),
        *(OracleJudgement("different", (records[a].name,), (records[b].name,)) for a, b in different),
    ]
    usable = list_usable_keys(records, numbers.holders_max)
    links = [
        (a, b, weigh(records[a], records[b]))
        for a, b in combinations(range(len(records)), 2)
        if records[a].keys & records[b].keys & usable
    ]
    links = [(b, a, weight) if random.random() < 0.5 else (a, b, weight) for a, b, weight in links * 2]  # type: ignore[attr-defined]
    random.shuffle(links)  # type: ignore[attr-defined]

    def cluster(positions: Positions) -> list[list[int]]:
        local = {int(position): index for index, position in enumerate(positions)}
        return cluster_component(
            [Member(records[p].order, records[p].profile) for p in positions],
            lambda a, b: weigh(records[positions[a]], records[positions[b]]),
            cut=numbers.cut,
            clip=numbers.clip,
            constraints=Constraints(
                joined=[(local[a], local[b]) for a, b in same if a in local],
                apart_judged=[(local[a], local[b]) for a, b in different if a in local and b in local],
            ),
        )

    found = part_records(
        len(records),
        make_links(*links),
        profiles=np.array([record.profile for record in records]),
        thresholds=numbers.thresholds,
        component_max=numbers.component_max,
        joined=same,
        cluster=cluster,
    )

    def name_groups(
        labels: Positions,
    ) -> set[frozenset[tuple[str, str]]]:
        return {frozenset(records[p].name for p in group) for group in iter_groups(labels, size_min=1)}

    expected = find_oracle_components(records, numbers, weigh, judgements=judgements)
    levels = found.components.levels.tolist()
    assert {
        OracleComponent(
            frozenset(records[p].name for p in group),
            levels[group[0]] if levels[group[0]] < len(numbers.thresholds) else None,
        )
        for group in iter_groups(found.components.labels, size_min=1)
    } == expected
    assert name_groups(found.labels) == oracle_partition(records, numbers, weigh, judgements=judgements)


def test_records_without_links_are_components_of_their_own() -> None:
    found = find(3)

    assert found.labels.tolist() == [0, 1, 2]
    assert found.levels.tolist() == [0, 0, 0]
    assert found.oversized == ()


def test_no_records_have_no_components() -> None:
    assert find(0).labels.tolist() == []


def test_a_link_exactly_at_the_lowest_threshold_connects_and_one_below_does_not() -> None:
    assert find(4, (0, 1, 1), (2, 3, 0)).labels.tolist() == [0, 0, 2, 3]


def test_a_judgement_same_connects_without_any_link() -> None:
    assert find(4, joined=((3, 1, 0),)).labels.tolist() == [0, 0, 2, 0]


def test_a_component_of_exactly_the_most_profiles_is_taken_at_the_lowest_threshold() -> None:
    found = find(6, *path(0, 1, 2, 3, 4, 5, weight=1))

    assert found.labels.tolist() == [0] * 6
    assert found.levels.tolist() == [0] * 6


def test_a_component_too_large_at_the_first_threshold_is_taken_in_parts_at_the_next() -> None:
    found = find(9, *path(0, 1, 2, 3, weight=2), (3, 4, 1), *path(4, 5, 6, weight=2), (7, 8, 1))

    assert found.labels.tolist() == [0, 0, 0, 0, 4, 4, 4, 7, 7]
    assert found.levels.tolist() == [1] * 7 + [0] * 2
    assert found.oversized == ()


def test_parts_of_one_component_are_taken_at_the_threshold_that_suits_each() -> None:
    large = path(0, 1, 2, 3, 4, 5, 6, weight=2)

    found = find(9, *large, (3, 4, 2), (6, 7, 1), (7, 8, 2), (0, 1, 3))

    assert found.levels.tolist() == [2] * 7 + [1] * 2
    assert found.labels.tolist() == [0, 0, 2, 3, 4, 5, 6, 7, 7]


def test_what_is_too_large_at_the_last_threshold_stays_apart_but_for_judgements_and_is_reported() -> None:
    found = find(9, *path(*range(8), weight=9), joined=((2, 5), (5, 7)))

    assert found.labels.tolist() == [0, 1, 2, 3, 4, 2, 6, 2, 8]
    assert found.levels.tolist() == [3] * 8 + [0]
    assert [group.records.tolist() for group in found.oversized] == [list(range(8))]
    assert found.oversized[0].profile_count == 8


def test_two_oversized_components_are_reported_apart() -> None:
    found = find(14, *path(*range(0, 14, 2), weight=9), *path(*range(1, 14, 2), weight=9))

    assert [group.records.tolist() for group in found.oversized] == [
        list(range(0, 14, 2)),
        list(range(1, 14, 2)),
    ]


def test_restatements_of_one_profile_do_not_use_up_the_component() -> None:
    found = find(20, *path(*range(20), weight=1), profiles=[number % 6 for number in range(20)])

    assert found.labels.tolist() == [0] * 20


def test_judgements_hold_a_component_together_at_every_threshold() -> None:
    found = find(8, *path(0, 1, 2, 3, weight=1), *path(4, 5, 6, 7, weight=3), joined=((0, 7),))

    assert found.labels.tolist() == [0, 1, 2, 3, 0, 0, 0, 0]
    assert found.levels.tolist() == [1] * 8


@given(
    st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59), st.integers(0, 4)), max_size=120), st.data()
)
def test_the_order_and_direction_of_links_do_not_matter(
    links: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    shuffled = [(b, a, weight) for a, b, weight in data.draw(st.permutations(links))]

    one, other = find(60, *links), find(60, *shuffled, *links[:5])

    assert one.labels.tolist() == other.labels.tolist()
    assert one.levels.tolist() == other.levels.tolist()


def test_a_long_path_in_random_order_is_one_component() -> None:
    order = np.random.default_rng(5).permutation(20_000)
    links = Links(order[:-1], order[1:], np.full(19_999, 1))

    found = find_components(
        20_000, links, profiles=np.zeros(20_000, dtype=np.int64), thresholds=(1,), component_max=1
    )

    assert not found.labels.any()


def test_clusters_are_sought_in_components_of_two_or_more_only() -> None:
    asked = []

    def cluster(positions: Positions) -> list[list[int]]:
        asked.append(positions.tolist())
        return [[0], [2, 1]]

    found = part_records(
        6,
        make_links((5, 1, 1), (3, 1, 1), (0, 2, 0)),
        profiles=np.arange(6),
        thresholds=(1,),
        component_max=6,
        cluster=cluster,
    )

    assert asked == [[1, 3, 5]]
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 3]
    assert found.components.labels.tolist() == [0, 1, 2, 1, 4, 1]


@given(st.integers(1, COMPONENT_MAX), st.data())
def test_few_records_are_connected_as_many_are(record_count: int, data: st.DataObject) -> None:
    position = st.integers(0, record_count - 1)
    edges = data.draw(st.lists(st.tuples(position, position), max_size=8))

    groups = connect_few(record_count, edges)

    labels = find(record_count, *((left, right, 1) for left, right in edges)).labels
    assert groups == [group.tolist() for group in iter_groups(labels, size_min=1)]


@pytest.mark.parametrize("thresholds", [(), (2, 1), (1, 1)])
def test_thresholds_that_do_not_rise_are_refused(thresholds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rise"):
        find_components(
            1, make_links(), profiles=np.zeros(1, dtype=np.int64), thresholds=thresholds, component_max=6
        )


def test_arrays_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one entry a record"):
        find_components(
            2, make_links(), profiles=np.zeros(1, dtype=np.int64), thresholds=(1,), component_max=6
        )
