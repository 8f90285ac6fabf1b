"""The clusters of one component, beside an oracle that knows nothing of their code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.cluster import Constraints, Member, chain, cluster_component, component
from matching.cluster.chain import merge_by_chain
from matching.cluster.heap import merge_by_heap
from matching.cluster.layout import Layout, lay_out
from tests.oracle import OracleJudgement, OracleNumbers, OracleRecord, oracle_partition

EVIDENCE_WEIGHT = 2


@dataclass(frozen=True)
class Case:
    """A component in the words of the oracle, and in those of the room under test."""

    records: tuple[OracleRecord, ...]
    table: tuple[tuple[int, ...], ...]  # by profile
    cut: int
    clip: int
    joined: tuple[tuple[int, ...], ...] = ()
    different: tuple[tuple[int, int], ...] = ()
    apart_profiles: frozenset[frozenset[int]] = frozenset()
    one_per_customer: frozenset[str] = frozenset()
    evidence: frozenset[frozenset[int]] = frozenset()

    def weigh(self, left: int, right: int) -> int:
        assert left != right
        bonus = EVIDENCE_WEIGHT if frozenset((left, right)) in self.evidence else 0
        return self.table[self.profile(left)][self.profile(right)] + bonus

    def profile(self, position: int) -> int:
        profile = self.records[position].profile
        assert isinstance(profile, int)
        return profile

    def is_apart(self, left: int, right: int) -> bool:
        return frozenset((self.profile(left), self.profile(right))) in self.apart_profiles

    @property
    def members(self) -> list[Member]:
        evident = {position for pair in self.evidence for position in pair}
        return [
            Member(record.order, self.profile(position), pinned=position in evident)
            for position, record in enumerate(self.records)
        ]

    @property
    def constraints(self) -> Constraints:
        positions = range(len(self.records))
        return Constraints(
            joined=self.joined,
            apart_judged=self.different,
            apart_weaker=[pair for pair in combinations(positions, 2) if self.is_apart(*pair)],
            one_each=[
                [position for position in positions if self.records[position].source == source]
                for source in sorted(self.one_per_customer)
            ],
        )

    def find_clusters(self) -> list[list[int]]:
        return cluster_component(
            self.members, self.weigh, cut=self.cut, clip=self.clip, constraints=self.constraints
        )

    def ask_oracle(self, *, collapses: bool = True) -> list[list[int]]:
        position_of = {record.name: position for position, record in enumerate(self.records)}
        names = [record.name for record in self.records]
        found = oracle_partition(
            [replace(record, keys=frozenset({"shared"})) for record in self.records],
            OracleNumbers(len(names), len(names), (-(10**9),), self.cut, self.clip),
            lambda left, right: self.weigh(position_of[left.name], position_of[right.name]),
            judgements=[
                *(OracleJudgement("same", tuple(names[p] for p in group)) for group in self.joined),
                *(OracleJudgement("different", (names[a],), (names[b],)) for a, b in self.different),
            ],
            is_apart=lambda left, right: self.is_apart(position_of[left.name], position_of[right.name]),
            one_per_customer=self.one_per_customer,
            evidence=[(names[min(pair)], names[max(pair)]) for pair in self.evidence],
            collapses=collapses,
        )
        return self.in_order([[position_of[name] for name in group] for group in found])

    def in_order(self, clusters: list[list[int]]) -> list[list[int]]:
        def order(position: int) -> tuple[bytes, bytes]:
            return self.records[position].order

        return sorted((sorted(group, key=order) for group in clusters), key=lambda group: order(group[0]))

    def permuted(self, order: list[int]) -> Case:
        """Return the same component with position order[i] moved to i."""
        new = {old: position for position, old in enumerate(order)}
        return replace(
            self,
            records=tuple(self.records[old] for old in order),
            joined=tuple(tuple(new[p] for p in group) for group in reversed(self.joined)),
            different=tuple((new[b], new[a]) for a, b in reversed(self.different)),
            evidence=frozenset(frozenset(new[p] for p in pair) for pair in self.evidence),
        )


@st.composite
def cases(draw: st.DrawFn, *, weight_max: int = 3, is_monotone: bool = False, size_max: int = 8) -> Case:
    size = draw(st.integers(1, size_max))
    profile_count = draw(st.integers(1, size))
    weights = st.integers(-weight_max, weight_max)
    table = [[0] * profile_count for _ in range(profile_count)]
    for left in range(profile_count):
        for right in range(left + 1):
            table[left][right] = table[right][left] = draw(weights)
    if is_monotone:
        for profile, row in enumerate(table):
            others = [weight for other, weight in enumerate(row) if other != profile]
            row[profile] = max([row[profile], *others])
    profiles = draw(st.lists(st.integers(0, profile_count - 1), min_size=size, max_size=size))
    source_keys = draw(st.permutations([f"{number:02}" for number in range(size)]))
    records = tuple(
        OracleRecord(f"s{profile % 2}", source_key, profile)
        for profile, source_key in zip(profiles, source_keys, strict=True)
    )
    positions = st.integers(0, size - 1)
    few = st.sampled_from([0, 0, 1, 2])
    pair_lists = st.lists(st.tuples(positions, positions).filter(lambda p: p[0] != p[1]), max_size=draw(few))
    pairs = pair_lists if size > 1 else st.just([])
    joined = tuple(draw(pairs))
    groups = {position: {position} for position in range(size)}
    for left, right in joined:
        united = groups[left] | groups[right]
        groups.update(dict.fromkeys(united, united))
    clip = draw(st.integers(1, weight_max))
    profile_pairs = [frozenset(pair) for pair in combinations(range(profile_count), 2)]
    return Case(
        records=records,
        table=tuple(map(tuple, table)),
        cut=draw(st.integers(-1, clip)),
        clip=clip,
        joined=joined,
        different=tuple(pair for pair in draw(pairs) if pair[1] not in groups[pair[0]]),
        apart_profiles=frozenset(
            draw(st.lists(st.sampled_from(profile_pairs), max_size=2)) if profile_pairs else ()
        ),
        one_per_customer=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"s0"})])),
        evidence=frozenset() if is_monotone else frozenset(map(frozenset, draw(pairs))),
    )


def plain_case(
    weights: list[list[int]], *, cut: int, clip: int, sources: str = "", **constraints: object
) -> Case:
    """A component of records a, b, c ... with a profile each and these weights."""
    records = tuple(
        OracleRecord(sources[number] if sources else "s", chr(ord("a") + number), number)
        for number in range(len(weights))
    )
    return Case(records, tuple(map(tuple, weights)), cut, clip, **constraints)  # type: ignore[arg-type]


def cluster_both_ways(case: Case) -> tuple[list[list[int]], list[list[int]]]:
    layout = lay_out(case.members, case.weigh, case.clip, case.constraints)
    return (
        case.in_order(merge_by_heap(layout, case.cut, case.clip)),
        case.in_order(merge_by_chain(layout, case.cut, case.clip)),
    )


def make_large_component(seed: int, size: int, weight_max: int) -> tuple[Layout, int, int]:
    rng = np.random.default_rng(seed)
    table = rng.integers(-weight_max, weight_max, (size, size), endpoint=True)
    table = np.triu(table, 1) + np.triu(table, 1).T
    profiles = rng.integers(0, size, size)
    weights = table[np.ix_(profiles, profiles)]
    weights[profiles[:, None] == profiles[None, :]] = rng.integers(0, weight_max + 1)
    members = [
        Member((b"s", b"%04d" % number), int(profiles[i])) for i, number in enumerate(rng.permutation(size))
    ]
    constraints = Constraints(
        joined=rng.choice(size, (2, 2), replace=False).tolist(),
        apart_weaker=[(int(a), int(b)) for a, b in rng.integers(0, size, (size // 4, 2)) if a != b],
        one_each=[rng.choice(size, size // 10, replace=False).tolist()],
    )
    clip = int(rng.integers(1, weight_max, endpoint=True))
    cut = int(rng.integers(-1, clip, endpoint=True))
    return lay_out(members, weights, clip, constraints), cut, clip


@pytest.mark.slow
@settings(max_examples=400)
@given(cases())
def test_clusters_are_those_of_the_design_to_the_letter(case: Case) -> None:
    assert case.find_clusters() == case.ask_oracle()


@pytest.mark.slow
@settings(max_examples=300)
@given(cases())
def test_heap_and_chain_agree_with_the_oracle_where_ties_abound(case: Case) -> None:
    by_heap, by_chain = cluster_both_ways(case)

    assert by_heap == case.ask_oracle()
    assert by_chain == by_heap


@pytest.mark.slow
@settings(max_examples=100)
@given(cases(weight_max=20_000))
def test_heap_and_chain_agree_with_the_oracle_on_wide_weights(case: Case) -> None:
    by_heap, by_chain = cluster_both_ways(case)

    assert by_heap == case.ask_oracle()
    assert by_chain == by_heap


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(31, 200), st.sampled_from([1, 3, 10, 20_000]))
def test_heap_and_chain_agree_on_up_to_two_hundred_records(seed: int, size: int, weight_max: int) -> None:
    layout, cut, clip = make_large_component(seed, size, weight_max)

    by_heap = merge_by_heap(layout, cut, clip)
    by_chain = merge_by_chain(layout, cut, clip)

    assert sorted(map(sorted, by_heap)) == sorted(map(sorted, by_chain))


@pytest.mark.slow
@settings(max_examples=200)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(case: Case, random: object) -> None:
    order = list(range(len(case.records)))
    random.shuffle(order)  # type: ignore[attr-defined]

    found = case.permuted(order).find_clusters()

    assert [[order[position] for position in group] for group in found] == case.find_clusters()


@pytest.mark.slow
@settings(max_examples=300)
@given(cases(is_monotone=True))
def test_joining_records_of_one_profile_first_changes_nothing(case: Case) -> None:
    assert case.find_clusters() == case.ask_oracle(collapses=False)


@pytest.mark.slow
@given(cases(), st.randoms(use_true_random=False))
def test_a_matrix_of_weights_gives_what_a_function_gives(case: Case, random: object) -> None:
    size = len(case.records)
    matrix = np.array(
        [[0 if a == b else case.weigh(a, b) for b in range(size)] for a in range(size)], dtype=np.int64
    )

    found = cluster_component(
        case.members, matrix, cut=case.cut, clip=case.clip, constraints=case.constraints
    )

    assert found == case.find_clusters()


def test_no_records_make_no_clusters() -> None:
    assert cluster_component([], lambda left, right: 0, cut=0, clip=1) == []


def test_a_record_alone_is_a_cluster() -> None:
    assert plain_case([[0]], cut=0, clip=1).find_clusters() == [[0]]


def test_a_mean_exactly_at_the_cut_merges() -> None:
    at_cut = plain_case([[0, 5], [5, 0]], cut=5, clip=8)
    below = plain_case([[0, 4], [4, 0]], cut=5, clip=8)

    assert at_cut.find_clusters() == [[0, 1]]
    assert below.find_clusters() == [[0], [1]]


def test_a_chain_of_links_does_not_join_its_ends_when_they_disagree() -> None:
    case = plain_case([[0, 9, -9], [9, 0, 8], [-9, 8, 0]], cut=1, clip=10)

    assert case.find_clusters() == [[0, 1], [2]]


def test_a_tie_at_the_clip_is_decided_by_the_unclipped_mean() -> None:
    case = plain_case([[0, 11, -9], [11, 0, 12], [-9, 12, 0]], cut=1, clip=10)

    assert case.find_clusters() == [[0], [1, 2]]


def test_a_full_tie_is_decided_by_the_smallest_record() -> None:
    case = plain_case([[0, 5, -9], [5, 0, 5], [-9, 5, 0]], cut=1, clip=10)

    assert case.find_clusters() == [[0, 1], [2]]


def test_a_full_tie_of_two_pairs_with_one_smallest_record_goes_to_the_smaller_other() -> None:
    case = plain_case([[0, 5, 5], [5, 0, -9], [5, -9, 0]], cut=1, clip=10)

    assert case.find_clusters() == [[0, 1], [2]]


def test_the_smallest_record_is_the_smallest_by_bytes_of_source_before_key() -> None:
    case = plain_case([[0, 5, -9], [5, 0, 5], [-9, 5, 0]], cut=1, clip=10, sources="zba")

    assert case.find_clusters() == [[2, 1], [0]]


def test_records_judged_same_are_joined_whatever_they_weigh() -> None:
    case = plain_case([[0, -90, -90], [-90, 0, -90], [-90, -90, 0]], cut=1, clip=10, joined=((0, 1), (2, 1)))

    assert case.find_clusters() == [[0, 1, 2]]


def test_records_judged_different_are_never_together_even_through_a_third() -> None:
    case = plain_case([[0, 9, 9], [9, 0, 9], [9, 9, 0]], cut=-5, clip=10, different=((0, 2),))

    assert case.find_clusters() == [[0, 1], [2]]


def test_a_judgement_same_lifts_a_weaker_constraint_between_its_own_records_only() -> None:
    weights = [[0, 9, 9], [9, 0, 9], [9, 9, 0]]
    conflict = frozenset({frozenset({0, 1}), frozenset({0, 2})})

    unjudged = plain_case(weights, cut=1, clip=10, apart_profiles=conflict)
    judged = plain_case(weights, cut=1, clip=10, apart_profiles=conflict, joined=((0, 1),))

    assert unjudged.find_clusters() == [[0], [1, 2]]
    assert judged.find_clusters() == [[0, 1], [2]]


def test_a_source_with_one_record_per_customer_keeps_equal_records_apart() -> None:
    records = tuple(OracleRecord("s0", f"{number}", 0) for number in range(5))
    case = Case(records, ((9,),), 1, 9, one_per_customer=frozenset({"s0"}))

    assert case.find_clusters() == [[0], [1], [2], [3], [4]]


def test_records_of_a_profile_below_the_clip_go_to_others_one_by_one_smallest_first() -> None:
    # Profile 0 weighs too little against itself to stay together, and 3 against profile 1.
    names = ("b", "a", "d", "c", "e")
    records = (*(OracleRecord("s0", name, 0) for name in names), OracleRecord("s1", "x", 1))
    case = Case(records, ((-4, 3), (3, 0)), 0, 9)

    assert case.find_clusters() == [[1, 5], [0], [3], [2], [4]]
    assert case.find_clusters() == case.ask_oracle()


def test_many_records_of_a_profile_below_the_clip_are_clustered_without_a_matrix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(component, "merge_by_chain", None)
    members = [Member((b"s0", b"%05d" % number), 0) for number in range(5_000)]
    members.append(Member((b"s1", b""), 1))

    found = cluster_component(members, lambda left, right: 3 if 5_000 in {left, right} else -2, cut=1, clip=9)

    # Means of the growing cluster: 3, then (3 - 2) / 2, which is below the cut.
    assert found[0] == [0, 5_000]
    assert len(found) == 5_000


def test_a_thousand_restatements_weigh_as_many_records() -> None:
    # One record of profile 1 against 1,000 of profile 0 and one of profile 2: 3 x 1 + 1 x 2 over two is
    # above the cut, 1,000 x -1 more is not.
    members = [Member((b"s0", b"%04d" % number), 0) for number in range(1_000)]
    members += [Member((b"s1", b"p"), 1), Member((b"s2", b"q"), 2)]
    table = [[9, -1, 8], [-1, 0, 2], [8, 2, 0]]

    found = cluster_component(
        members, lambda a, b: table[members[a].profile][members[b].profile], cut=0, clip=9
    )

    assert [len(group) for group in found] == [1_001, 1]


def test_means_that_round_to_one_float_are_told_apart() -> None:
    # 2^52 + 1/3 and 2^52 + 1/4 are one float.
    sums = np.array([0, 4 * 2**52 + 1, 3 * 2**52 + 1, 3 * 2**52 + 1], dtype=np.int64)
    sizes = np.array([1, 4, 3, 3], dtype=np.int64)
    slots = np.array([1, 2, 3])
    assert len(set((sums[slots] / sizes[slots]).tolist())) == 1

    assert chain._keep_greatest(sums[slots], sizes, slots).tolist() == [2, 3]


def test_a_mean_exactly_at_the_cut_is_not_lost_to_rounding() -> None:
    # The last merge has a mean of exactly -1; float means updated from merge to merge fall just short of it.
    weights = [
        [0, 0, 0, -1, -1, -1],
        [0, 0, 0, -2, -2, -1],
        [0, 0, 0, 1, 0, -2],
        [-1, -2, 1, 0, 1, 3],
        [-1, -2, 0, 1, 0, 0],
        [-1, -1, -2, 3, 0, 0],
    ]
    case = plain_case(weights, cut=-1, clip=3)

    assert cluster_both_ways(case) == ([[0, 1, 2, 3, 4, 5]], [[0, 1, 2, 3, 4, 5]])


def test_means_that_are_equal_as_fractions_tie_whatever_merges_led_to_them() -> None:
    weights = [
        [0, 0, 2, 3, 0, 3, -3],
        [0, 0, 1, 3, 3, -2, 3],
        [2, 1, 0, -3, 1, 0, 1],
        [3, 3, -3, 0, 2, 1, 0],
        [0, 3, 1, 2, 0, 3, 1],
        [3, -2, 0, 1, 3, 0, -2],
        [-3, 3, 1, 0, 1, -2, 0],
    ]
    case = plain_case(weights, cut=0, clip=3)

    assert cluster_both_ways(case) == ([[0, 1, 2, 3, 4, 5, 6]], [[0, 1, 2, 3, 4, 5, 6]])
    assert case.ask_oracle() == [[0, 1, 2, 3, 4, 5, 6]]


def test_records_of_a_profile_exactly_at_the_clip_stay_together_before_any_other_pair() -> None:
    # Profile 0 weighs 3 against itself and 5 against both others, which may not meet.
    records = (*(OracleRecord("s0", name, 0) for name in "ab"), OracleRecord("s1", "c", 1))
    records = (*records, OracleRecord("s1", "d", 2))
    apart = frozenset({frozenset({1, 2})})
    case = Case(records, ((3, 5, 5), (5, 0, 5), (5, 5, 0)), 1, 3, apart_profiles=apart)

    assert case.find_clusters() == [[0, 1, 2], [3]]


def test_sums_that_do_not_fit_arrays_are_left_to_whole_numbers_without_limit() -> None:
    narrow, cut, clip = make_large_component(1, 60, 3)
    wide, _, _ = make_large_component(1, 60, 3)
    wide.table = np.asarray(wide.table) * 10**15
    assert [narrow.fits_arrays, wide.fits_arrays] == [True, False]

    found = merge_by_heap(wide, cut * 10**15, clip * 10**15)

    assert found == merge_by_heap(narrow, cut, clip)


def test_pairs_all_at_least_the_cut_without_constraint_need_no_linkage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(component, "merge_by_heap", None)
    case = plain_case([[0, 5, 4], [5, 0, 6], [4, 6, 0]], cut=4, clip=5)

    assert case.find_clusters() == [[0, 1, 2]]


def test_records_judged_both_same_and_different_are_refused() -> None:
    members = [Member((b"s", b"%d" % number), number) for number in range(3)]
    constraints = Constraints(joined=[(0, 1), (1, 2)], apart_judged=[(0, 2)])

    with pytest.raises(ValueError, match="judged different"):
        cluster_component(members, lambda left, right: 0, cut=0, clip=1, constraints=constraints)


def test_a_cut_above_the_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="cut 3, clip 2"):
        cluster_component([], lambda left, right: 0, cut=3, clip=2)


@pytest.mark.parametrize("count", [2, 9])
def test_a_record_given_twice_is_refused_among_few_and_among_many(count: int) -> None:
    members = [Member((b"s", b"%d" % (number // 2)), number) for number in range(count)]

    with pytest.raises(ValueError, match="twice"):
        cluster_component(members, lambda left, right: 1, cut=0, clip=1)
