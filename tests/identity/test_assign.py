"""Names of clusters: overlaps, take-backs, fates and the way from a retired CID to live ones."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.assign import CidFate, decide_fates, follow_successors, take_back, take_overlaps
from identity.errors import InvariantBroken
from identity.model import Cid, CidStatus, RecordRef

A, B, C, D, E, F = (RecordRef("crm", letter) for letter in "abcdef")
OLD, MID, NEW = Cid("01-old"), Cid("02-mid"), Cid("03-new")


def test_a_new_record_alone_keeps_no_name() -> None:
    assert take_overlaps([[A]], {}) == [None]


def test_a_new_record_that_joins_a_customer_takes_its_cid() -> None:
    assert take_overlaps([[A, B, C]], {A: MID, B: MID}) == [MID]


def test_the_larger_overlap_takes_the_cid_before_the_older_cid() -> None:
    assert take_overlaps([[A, B, C]], {A: OLD, B: NEW, C: NEW}) == [NEW]


def test_the_oldest_cid_wins_between_equal_overlaps() -> None:
    assert take_overlaps([[A, B]], {A: NEW, B: OLD}) == [OLD]


def test_the_part_with_the_smallest_record_keeps_the_cid_of_a_customer_split_in_halves() -> None:
    assert take_overlaps([[B, C], [A, D]], dict.fromkeys([A, B, C, D], OLD)) == [None, OLD]


def test_the_smallest_record_is_that_of_the_overlap_not_of_the_cluster() -> None:
    assert take_overlaps([[A, D], [B, C]], {D: OLD, B: OLD}) == [None, OLD]


def test_records_are_ordered_by_utf8_bytes_of_source_then_key() -> None:
    wide, astral = RecordRef("crm", "\uff21"), RecordRef("crm", "\U0001f600")

    assert take_overlaps([[astral], [wide]], {wide: OLD, astral: OLD}) == [None, OLD]


def test_a_cluster_that_lost_its_cid_to_a_larger_part_takes_the_next_overlap() -> None:
    clusters = [[A, B, C], [D, E]]

    assert take_overlaps(clusters, {A: OLD, B: OLD, C: OLD, D: OLD, E: NEW}) == [OLD, NEW]


def test_each_cid_and_each_cluster_is_taken_once() -> None:
    clusters = [[A, B], [C, D]]

    assert take_overlaps(clusters, {A: OLD, B: MID, C: OLD, D: MID}) == [OLD, MID]


def test_a_nameless_cluster_takes_back_the_cid_most_of_its_records_bore() -> None:
    assert take_back([[A, B, C]], {A: [OLD], B: [MID], C: [MID]}) == [MID]


def test_one_bearer_is_enough_to_take_a_cid_back() -> None:
    assert take_back([[A, B, C], [D]], {B: [MID]}) == [MID, None]


def test_a_retired_cid_is_taken_back_by_one_cluster_only() -> None:
    assert take_back([[A], [B]], {A: (OLD,), B: (OLD, MID)}) == [OLD, MID]


def test_a_cid_named_twice_for_a_record_counts_once() -> None:
    assert take_back([[A, B, C]], {A: [OLD, OLD, OLD], B: [MID], C: [MID]}) == [MID]


def test_nothing_is_left_over_when_every_old_cid_is_kept() -> None:
    assert decide_fates([[A, B]], names=[OLD], old_cids={A: OLD}) == {}


def test_a_cid_whose_records_went_to_one_cluster_is_merged() -> None:
    fates = decide_fates([[A, B, C]], names=[OLD], old_cids={A: OLD, B: OLD, C: NEW})

    assert fates == {NEW: CidFate(CidStatus.MERGED, (OLD,))}


def test_a_cid_whose_records_went_to_several_clusters_is_split_largest_part_first() -> None:
    clusters = [[A, B], [C, D, E, F]]
    old_cids = {A: NEW, C: NEW, D: NEW, B: OLD, E: MID, F: MID}

    assert decide_fates(clusters, names=[OLD, MID], old_cids=old_cids) == {
        NEW: CidFate(CidStatus.SPLIT, (MID, OLD))
    }


def test_equal_parts_of_a_split_are_ordered_by_their_smallest_record() -> None:
    clusters = [[B, D], [A, C]]

    assert decide_fates(clusters, names=[OLD, MID], old_cids={A: NEW, B: NEW, C: MID, D: OLD}) == {
        NEW: CidFate(CidStatus.SPLIT, (MID, OLD))
    }


def test_a_cid_whose_records_are_all_gone_is_withdrawn_without_successors() -> None:
    assert decide_fates([], names=[], old_cids={A: OLD, B: OLD}) == {OLD: CidFate(CidStatus.WITHDRAWN)}


def test_the_remaining_records_decide_the_fate_when_some_are_withdrawn() -> None:
    fates = decide_fates([[B, C, D]], names=[MID], old_cids={A: OLD, B: OLD, C: MID, D: MID})

    assert fates == {OLD: CidFate(CidStatus.MERGED, (MID,))}


def test_a_live_cid_stands_for_itself() -> None:
    assert follow_successors(OLD, {OLD: (CidStatus.LIVE, ())}) == (OLD,)


def test_successors_are_followed_however_many_steps_in_order_without_repeats() -> None:
    first, second = Cid("10"), Cid("11")
    redirect = {
        OLD: (CidStatus.SPLIT, (MID, NEW)),
        MID: (CidStatus.SPLIT, (second, first)),
        NEW: (CidStatus.MERGED, (first,)),
        first: (CidStatus.LIVE, ()),
        second: (CidStatus.LIVE, ()),
    }

    assert follow_successors(OLD, redirect) == (second, first)


def test_ten_thousand_steps_are_followed() -> None:
    chain = {Cid(str(step)): (CidStatus.MERGED, (Cid(str(step + 1)),)) for step in range(10_000)}
    redirect = {**chain, Cid("10000"): (CidStatus.LIVE, ())}

    assert follow_successors(Cid("0"), redirect) == (Cid("10000"),)


def test_a_circle_of_successors_ends() -> None:
    redirect = {
        OLD: (CidStatus.MERGED, (MID,)),
        MID: (CidStatus.SPLIT, (OLD, NEW)),
        NEW: (CidStatus.LIVE, ()),
    }

    assert follow_successors(OLD, redirect) == (NEW,)


@pytest.mark.parametrize("status", [CidStatus.WITHDRAWN, CidStatus.ERASED])
def test_a_tombstone_stands_for_nothing(status: CidStatus) -> None:
    assert follow_successors(OLD, {OLD: (CidStatus.MERGED, (MID,)), MID: (status, ())}) == ()


def test_a_successor_that_was_never_issued_breaks_an_invariant() -> None:
    with pytest.raises(InvariantBroken, match=MID):
        follow_successors(OLD, {OLD: (CidStatus.MERGED, (MID,))})


RECORDS = [RecordRef(source, key) for source in ("crm", "shop") for key in "abcde"]
CIDS = [Cid(f"0{number}") for number in range(4)]


Change = tuple[list[list[RecordRef]], dict[RecordRef, Cid]]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Clusters of some of the records, and the CIDs that some of them bore."""
    places = {ref: draw(st.none() | st.integers(0, 3)) for ref in RECORDS}
    clusters = [[ref for ref in RECORDS if places[ref] == place] for place in range(4)]
    old_cids = {ref: cid for ref in RECORDS if (cid := draw(st.none() | st.sampled_from(CIDS))) is not None}
    return [cluster for cluster in clusters if cluster], old_cids


def named(clusters: list[list[RecordRef]], names: list[Cid | None]) -> dict[frozenset[RecordRef], Cid | None]:
    return {frozenset(cluster): name for cluster, name in zip(clusters, names, strict=True)}


@pytest.mark.slow
@given(changes(), st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order_of_clusters_or_records(change: Change, shuffler: Random) -> None:
    clusters, old_cids = change
    shuffled = [shuffler.sample(cluster, len(cluster)) for cluster in clusters]
    shuffler.shuffle(shuffled)
    borne = {ref: [cid] for ref, cid in old_cids.items()}

    assert named(clusters, take_overlaps(clusters, old_cids)) == named(
        shuffled, take_overlaps(shuffled, old_cids)
    )
    assert named(clusters, take_back(clusters, borne)) == named(clusters, take_overlaps(clusters, old_cids))


@pytest.mark.slow
@given(changes())
def test_every_old_cid_is_taken_once_or_has_a_fate_with_named_successors(change: Change) -> None:
    clusters, old_cids = change
    taken = take_overlaps(clusters, old_cids)
    names = [name or Cid(f"9{place}") for place, name in enumerate(taken)]

    fates = decide_fates(clusters, names=names, old_cids=old_cids)

    kept = [name for name in taken if name is not None]
    assert len(kept) == len(set(kept))
    assert set(kept).isdisjoint(fates)
    assert {*kept, *fates} == set(old_cids.values())
    for cid, fate in fates.items():
        assert set(fate.successors) == {
            name
            for cluster, name in zip(clusters, names, strict=True)
            if any(old_cids.get(r) == cid for r in cluster)
        }
    for cluster, name in zip(clusters, taken, strict=True):
        if name is not None:
            assert name in {old_cids.get(ref) for ref in cluster}
