"""Regions parted into components and clusters: weights, links, ties, limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.judge import Bindings, order_pair
from identity.model import RecordRef
from identity.region import Node, PairScores, PartedComponent, Partitioner, ProfileLink, pair_of
from identity.store import SourcedProfile
from matching.block import compile_blocker
from matching.score import compile_scorer
from matching.standardise import clean_attributes, standardise
from tests.promises.small_model import NUMBERS, attributes_of, oracle_record, small_model, weigh

MODEL = small_model()
BLOCK = compile_blocker(MODEL, hash_key=b"k" * 32)
Statement = Mapping[str, object]

ANN: Statement = {"email": ("ann",)}
ROME: Statement = {"city": ("rome",)}
ANN_IN_ROME: Statement = {"email": ("ann",), "city": ("rome",)}


class Region:
    """Records with their statements, one profile each unless `pids` say otherwise."""

    def __init__(self, *statements: Statement, source: str = "crm", pids: Collection[int] = ()) -> None:
        self.partitioner = Partitioner(MODEL, compile_scorer(MODEL))
        self.statements = statements
        given = list(pids) or list(range(1, len(statements) + 1))
        self.nodes = [Node(100 + at, RecordRef(source, str(at)), pid, None) for at, pid in enumerate(given)]
        self.profiles: dict[int, SourcedProfile] = {
            pid: (source, standardise(clean_attributes(attributes_of(one)), region=None).profile)
            for pid, one in zip(given, statements, strict=True)
        }
        self.scores = self.open()

    def open(self, *, fresh: Collection[int] = ()) -> PairScores:
        return self.partitioner.open_scores(self.profiles, fresh=fresh)

    def links(self) -> list[ProfileLink]:
        keys = {pid: BLOCK(profile) for pid, (_, profile) in self.profiles.items()}
        usable = {key for hashes in keys.values() for key in hashes}
        return self.scores.link_profiles(keys, usable, link_min=self.partitioner.link_min)

    def part(
        self,
        *,
        evidence: Collection[tuple[int, int]] = (),
        bindings: Bindings | None = None,
        one_each: Collection[str] = (),
    ) -> list[PartedComponent]:
        return self.partitioner.part(
            self.nodes,
            self.scores,
            links=self.links(),
            evidence=set(evidence),
            bindings=bindings,
            one_each=one_each,
        )


def clusters(parted: list[PartedComponent]) -> set[frozenset[str]]:
    return {frozenset(node.ref.key for node in cluster) for part in parted for cluster in part.clusters}


def components(parted: list[PartedComponent]) -> set[frozenset[str]]:
    return {frozenset(node.ref.key for cluster in part.clusters for node in cluster) for part in parted}


def sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group) for group in groups}


def test_two_ids_stand_the_smaller_first() -> None:
    assert pair_of(2, 1) == pair_of(1, 2) == (1, 2)


def test_a_weight_is_that_of_the_rules_by_hand_whichever_comes_first() -> None:
    region = Region(ANN, ANN_IN_ROME)

    expected = weigh(oracle_record("crm", "0", ANN), oracle_record("crm", "1", ANN_IN_ROME))
    assert region.scores.weigh(1, 2) == region.scores.weigh(2, 1) == expected


def test_a_pair_is_scored_once_and_remembered_beyond_its_transaction() -> None:
    region = Region(ANN, ANN)
    region.scores.weigh(1, 2)
    later = region.open()

    later.weigh(2, 1)

    assert (region.scores.scored_count, later.scored_count) == (1, 0)


def test_the_weight_of_a_profile_that_a_transaction_brings_is_forgotten_with_it() -> None:
    region = Region(ANN, ANN)
    first = region.open(fresh={2})
    before = first.weigh(1, 2)
    region.profiles[2] = ("crm", standardise({"email": ["bob@web.de"]}, region=None).profile)

    assert region.open().weigh(1, 2) < 0 < before


def test_profiles_link_when_they_share_a_usable_key_and_weigh_enough() -> None:
    region = Region(ANN, ANN_IN_ROME, {"email": ("bob",), "city": ("rome",)})

    pairs = {link[:2] for link in region.links()}

    assert (1, 2) in pairs
    assert (2, 3) not in pairs
    assert (1, 3) not in pairs


def test_profiles_that_share_unusable_keys_only_do_not_link() -> None:
    region = Region(ANN, ANN)
    keys = {pid: BLOCK(profile) for pid, (_, profile) in region.profiles.items()}

    assert region.scores.link_profiles(keys, set(), link_min=region.partitioner.link_min) == []


def test_a_record_alone_is_a_component_and_a_cluster() -> None:
    assert Region(ANN).part() == [PartedComponent(0, [Region(ANN).nodes])]


def test_links_make_components_and_averages_make_clusters() -> None:
    parted = Region(ANN, ANN, {"email": ("bob",)}).part()

    assert components(parted) == clusters(parted) == sets("01", "2")


def test_a_component_may_hold_several_clusters() -> None:
    """The middle one links to both, and both differ too much to stand with each other."""
    parted = Region(
        {"email": ("ann",), "city": ("rome",)},
        {"email": ("ann", "bob")},
        {"email": ("bob",), "city": ("paris",)},
    ).part()

    assert components(parted) == sets("012")
    assert len(clusters(parted)) == 2


def test_records_of_one_profile_stand_together() -> None:
    parted = Region(ANN, ANN, ANN, pids=[1, 1, 2]).part()

    assert clusters(parted) == sets("012")


def test_evidence_links_two_records_that_share_no_key() -> None:
    apart, together = Region(ANN, ROME), Region(ANN, ROME)

    assert clusters(apart.part()) == sets("0", "1")
    assert clusters(together.part(evidence=[(100, 101)])) == sets("01")


def test_evidence_about_a_record_that_is_not_here_says_nothing() -> None:
    assert clusters(Region(ANN, ROME).part(evidence=[(100, 999)])) == sets("0", "1")


def test_evidence_tells_two_records_of_one_profile_apart_from_a_third() -> None:
    """Only the record that is named gets the weight, not the one that looks the same."""
    region = Region(ROME, {"website": ("w",)}, {"website": ("w",)}, pids=[1, 2, 2])

    assert clusters(region.part(evidence=[(100, 101)])) == sets("01", "2")


def test_a_judgement_joins_what_no_link_joins() -> None:
    region = Region(ANN, {"email": ("bob",)})
    joined = Bindings(joined=(frozenset(node.ref for node in region.nodes),))

    assert clusters(region.part(bindings=joined)) == sets("01")


def test_a_judgement_parts_what_links_join() -> None:
    region = Region(ANN, ANN)
    apart = Bindings(apart=frozenset([order_pair(region.nodes[0].ref, region.nodes[1].ref)]))

    parted = region.part(bindings=apart)

    assert components(parted) == sets("01")
    assert clusters(parted) == sets("0", "1")


def test_a_judgement_about_records_elsewhere_changes_nothing() -> None:
    elsewhere = Bindings(joined=(frozenset([RecordRef("one", "7"), RecordRef("one", "8")]),))

    assert clusters(Region(ANN, ANN).part(bindings=elsewhere)) == sets("01")


def test_a_source_that_holds_one_record_of_a_customer_is_parted() -> None:
    assert clusters(Region(ANN, ANN).part(one_each=["crm"])) == sets("0", "1")
    assert clusters(Region(ANN, ANN).part(one_each=["shop"])) == sets("01")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"kind": "person"}, {"kind": "organisation"}),
        ({"loyalty": "11112222"}, {"loyalty": "99887766"}),
    ],
)
def test_other_kinds_and_other_exclusive_identifiers_are_kept_apart(
    ours: Statement, theirs: Statement
) -> None:
    assert clusters(Region({**ANN, **ours}, {**ANN, **theirs}).part()) == sets("0", "1")
    assert clusters(Region({**ANN, **ours}, {**ANN, **ours}, ANN).part()) == sets("012")


def test_a_component_too_large_is_taken_at_the_next_threshold() -> None:
    """One more than may stand together, held by the weakest links; two of them by a stronger one."""
    weak = [{"email": ("ann",), "place": str(at)} for at in range(NUMBERS.component_max - 1)]
    strong = [{"email": ("ann",), "city": ("rome",), "place": place} for place in ("x", "y")]

    parted = Region(*weak, *strong).part()

    together = {f"{NUMBERS.component_max - 1}", f"{NUMBERS.component_max}"}
    assert frozenset(together) in clusters(parted)
    assert len(components(parted)) == NUMBERS.component_max
    assert {part.level for part in parted} - {0}


def test_a_component_known_to_be_one_needs_no_links() -> None:
    region = Region(ANN, ANN)

    parted = region.partitioner.part(
        region.nodes, region.scores, links=None, evidence=(), bindings=None, one_each=()
    )

    assert [part.level for part in parted] == [0]
    assert clusters(parted) == sets("01")


@given(
    st.lists(
        st.sampled_from([ANN, ROME, ANN_IN_ROME, {"website": ("w",), "email": ("ann",)}]),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_records_does_not_matter(statements: list[Statement], chance: object) -> None:
    region = Region(*statements)
    before = clusters(region.part())

    chance.shuffle(region.nodes)  # type: ignore[attr-defined]

    assert clusters(region.part()) == before
