"""Which topics there are, and how each keeps its messages."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.topics import TopicFound, TopicNames, TopicPlan, compare_topic, plan_topics

SOURCE_NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)


def planned(name: str) -> TopicPlan:
    return {plan.name: plan for plan in plan_topics(["crm", "shop"])}[name]


def test_each_source_has_its_topics_beside_those_that_all_share() -> None:
    assert [plan.name for plan in plan_topics(["shop", "crm"])] == [
        "sameas.crosswalk",
        "sameas.cids",
        "sameas.customers",
        "sameas.records.crm",
        "sameas.assignments.crm",
        "sameas.rejects.crm",
        "sameas.dead-letters.crm",
        "sameas.records.shop",
        "sameas.assignments.shop",
        "sameas.rejects.shop",
        "sameas.dead-letters.shop",
    ]


@pytest.mark.parametrize("name", ["sameas.crosswalk", "sameas.cids", "sameas.assignments.crm"])
def test_a_state_is_compacted_within_a_bounded_time(name: str) -> None:
    config = planned(name).config

    assert config["cleanup.policy"] == "compact"
    assert 0 < int(config["max.compaction.lag.ms"]) < int(config["delete.retention.ms"])


@pytest.mark.parametrize(
    "name", ["sameas.records.crm", "sameas.rejects.crm", "sameas.customers", "sameas.dead-letters.crm"]
)
def test_what_takes_messages_without_a_key_or_whose_every_version_counts_is_not_compacted(name: str) -> None:
    config = planned(name).config

    assert config["cleanup.policy"] == "delete"
    assert int(config["retention.ms"]) > 0


@given(st.sets(SOURCE_NAMES, max_size=5), SOURCE_NAMES)
def test_no_two_topics_have_one_name_and_each_name_is_legal_in_kafka(sources: set[str], prefix: str) -> None:
    names = [plan.name for plan in plan_topics(sources, names=TopicNames(prefix))]

    assert len(names) == len(set(names)) == 3 + 4 * len(sources)
    assert all(len(name) <= 249 for name in names)


def test_a_topic_as_planned_does_not_differ() -> None:
    plan = planned("sameas.cids")

    found = TopicFound(12, {**plan.config, "max.message.bytes": "1048588"})

    assert compare_topic(plan, found) == []


def test_a_difference_names_what_was_planned_and_what_was_found() -> None:
    plan = planned("sameas.cids")

    differences = compare_topic(plan, TopicFound(4, {**plan.config, "cleanup.policy": "compact,delete"}))

    assert [dataclasses.astuple(one) for one in differences] == [
        ("partitions", "12", "4"),
        ("cleanup.policy", "compact", "compact,delete"),
    ]


def test_the_order_of_the_words_of_a_policy_is_no_difference() -> None:
    plan = TopicPlan("x", 1, {"cleanup.policy": "compact,delete"})

    assert compare_topic(plan, TopicFound(1, {"cleanup.policy": "delete,compact"})) == []
