"""Golden records: which value survives, with the record behind it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model import RecordRef
from identity.survive import GoldenInput, build_golden

DAY = 86_400_000_000
FIRST, LATER, LAST = 20_000 * DAY, 20_001 * DAY, 20_002 * DAY
FIRST_TEXT, LAST_TEXT = "2024-10-04T00:00:00.000000Z", "2024-10-06T00:00:00.000000Z"


def states(
    key: str, since: int = FIRST, *, trust: dict[str, float] | None = None, **attributes: object
) -> GoldenInput:
    return GoldenInput(RecordRef("crm", key), attributes, since, trust or {})


def value_of(golden: dict[str, object], attribute: str) -> object:
    found = golden[attribute]
    if isinstance(found, list):
        return [one["value"] for one in found]
    assert isinstance(found, dict)
    return found["value"]


def key_of(golden: dict[str, object], attribute: str) -> object:
    found = golden[attribute]
    assert isinstance(found, dict)
    return found["key"]


def test_a_value_comes_with_its_record_and_since_when_it_is_stated() -> None:
    golden = build_golden([states("1", LAST, sex="f", email=["ann@example.com"])])

    told = {"source": "crm", "key": "1", "since": LAST_TEXT}
    assert golden == {"sex": {"value": "f", **told}, "email": [{"value": "ann@example.com", **told}]}


def test_a_customer_without_records_has_no_golden_attributes() -> None:
    assert build_golden([]) == {}


def test_the_more_trusted_source_survives_a_more_recent_one() -> None:
    inputs = [
        states("1", FIRST, birth_place="Rome", trust={"birth_place": 0.9}),
        states("2", LAST, birth_place="Oslo"),
    ]

    assert value_of(build_golden(inputs), "birth_place") == "Rome"


def test_a_source_of_which_nothing_is_said_is_trusted_half() -> None:
    inputs = [states("1", LAST, sex="f", trust={"sex": 0.4}), states("2", FIRST, sex="m")]

    assert value_of(build_golden(inputs), "sex") == "m"


def test_the_more_recent_value_survives_what_more_records_state() -> None:
    inputs = [states("1", sex="f"), states("2", sex="f"), states("3", LAST, sex="m")]

    assert value_of(build_golden(inputs), "sex") == "m"


def test_of_equally_recent_values_the_one_of_more_records_survives() -> None:
    inputs = [
        states("1", website="a.example"),
        states("2", website="b.example"),
        states("3", website="B.example"),
    ]

    golden = build_golden(inputs)

    assert (value_of(golden, "website"), key_of(golden, "website")) == ("b.example", "2")


def test_of_equally_supported_values_the_longer_survives_then_the_smallest_record() -> None:
    longer = [states("1", org_name="Acme"), states("2", org_name="Acme Tools")]
    equal = [states("2", org_name="Beta"), states("1", org_name="Acme")]

    assert value_of(build_golden(longer), "org_name") == "Acme Tools"
    assert value_of(build_golden(equal), "org_name") == "Acme"


def test_the_parts_of_a_name_come_from_one_record() -> None:
    inputs = [
        states("1", FIRST, given_name="Ann", middle_name="Lee", family_name="Born"),
        states("2", LAST, given_name="Ann", family_name="Wed"),
    ]

    golden = build_golden(inputs)

    assert (value_of(golden, "given_name"), value_of(golden, "family_name")) == ("Ann", "Wed")
    assert "middle_name" not in golden
    assert {key_of(golden, "given_name"), key_of(golden, "family_name")} == {"2"}


def test_a_fragment_of_a_name_does_not_survive_a_whole_one() -> None:
    inputs = [states("1", FIRST, given_name="Ann", family_name="Wed"), states("2", LAST, given_name="Annie")]

    assert value_of(build_golden(inputs), "given_name") == "Ann"
    assert value_of(build_golden(inputs[1:]), "given_name") == "Annie"


def test_a_name_is_trusted_as_the_least_trusted_part_that_a_contract_speaks_of() -> None:
    trusted = states("1", FIRST, given_name="Ann", family_name="Born", trust={"family_name": 0.9})
    doubted = states(
        "2", LAST, given_name="Ann", family_name="Wed", trust={"family_name": 0.1, "given_name": 1.0}
    )

    assert value_of(build_golden([trusted, doubted]), "family_name") == "Born"


def test_a_full_name_agrees_with_the_parts_that_spell_it() -> None:
    inputs = [
        states("1", given_name="Bo", family_name="Longer-Name"),
        states("2", given_name="Ann", family_name="Wed"),
        states("3", full_name="ann  WED"),
    ]

    assert value_of(build_golden(inputs), "given_name") == "Ann"


def test_a_birth_date_gives_way_to_a_more_exact_one_that_it_does_not_contradict() -> None:
    inputs = [states("1", FIRST, birth_date="1980-05-12"), states("2", LAST, birth_date="1980")]
    at_odds = [states("1", FIRST, birth_date="1980-05-12"), states("2", LAST, birth_date="1981")]

    assert value_of(build_golden(inputs), "birth_date") == "1980-05-12"
    assert value_of(build_golden(at_odds), "birth_date") == "1981"


def test_a_list_keeps_each_value_once_from_the_best_record_best_first() -> None:
    inputs = [
        states("1", FIRST, phone=["+49 30 1234", "+49 30 9999"]),
        states("2", LAST, phone=["+49 30 5555", "+49301234"]),
    ]

    golden = build_golden(inputs)

    assert value_of(golden, "phone") == ["+49301234", "+49 30 5555", "+49 30 9999"]
    assert isinstance(golden["phone"], list)
    assert [one["since"] for one in golden["phone"]] == [LAST_TEXT, LAST_TEXT, FIRST_TEXT]


def test_the_order_of_one_record_stands_within_a_list() -> None:
    assert value_of(build_golden([states("1", email=["z@a.example", "longer@a.example"])]), "email") == [
        "z@a.example",
        "longer@a.example",
    ]


def test_an_address_is_one_value_and_the_fuller_one_goes_first() -> None:
    full = {"street": "Main St", "house_number": "5", "city": "Oslo"}
    inputs = [
        states("1", address=[{"city": "Oslo"}]),
        states("2", address=[full]),
        states("3", address=[full]),
    ]

    assert value_of(build_golden(inputs), "address") == [full, {"city": "Oslo"}]


def test_identifiers_are_the_same_however_they_are_punctuated() -> None:
    inputs = [
        states("1", LAST, identifiers=[{"scheme": "tax_id", "value": "12 34-56"}]),
        states("2", FIRST, identifiers=[{"scheme": "tax_id", "value": "123456"}]),
        states("3", FIRST, identifiers=[{"scheme": "vat_id", "value": "123456"}]),
    ]

    assert value_of(build_golden(inputs), "identifiers") == [
        {"scheme": "tax_id", "value": "12 34-56"},
        {"scheme": "vat_id", "value": "123456"},
    ]


def test_the_kind_is_what_most_of_the_most_trusted_say_or_imply() -> None:
    inputs = [
        states("1", FIRST, kind="person"),
        states("2", FIRST, given_name="Ann", family_name="Wed"),
        states("3", LAST, kind="organisation"),
    ]
    overruled = [*inputs, states("4", FIRST, kind="organisation", trust={"kind": 0.9})]

    assert value_of(build_golden(inputs), "kind") == "person"
    assert (value_of(build_golden(overruled), "kind"), key_of(build_golden(overruled), "kind")) == (
        "organisation",
        "4",
    )


def test_an_organisation_is_known_by_its_name_alone() -> None:
    assert value_of(build_golden([states("1", org_name="Acme")]), "kind") == "organisation"


words = st.sampled_from(["Ann", "ann", "Bo", "Bo Li", "Zoë"])
trusts = st.dictionaries(
    st.sampled_from(["kind", "given_name", "email", "sex"]), st.sampled_from([0.1, 0.5, 0.9]), max_size=3
)
attribute_sets = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["person", "organisation"]),
        "given_name": words,
        "family_name": words,
        "full_name": words,
        "sex": st.sampled_from(["f", "m"]),
        "birth_date": st.sampled_from(["1980", "1980-05", "1980-05-12", "1981"]),
        "email": st.lists(words, max_size=3),
        "address": st.lists(st.dictionaries(st.sampled_from(["city", "street"]), words), max_size=2),
    },
)
input_lists = st.lists(
    st.builds(
        GoldenInput,
        st.builds(RecordRef, st.sampled_from(["crm", "shop"]), st.sampled_from("abc")),
        attribute_sets,
        st.sampled_from([FIRST, LATER, LAST]),
        trusts,
    ),
    max_size=6,
    unique_by=lambda one: one.ref,
)


@pytest.mark.slow
@given(input_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_records_changes_nothing(inputs: list[GoldenInput], shuffler: Random) -> None:
    assert build_golden(shuffler.sample(inputs, len(inputs))) == build_golden(inputs)


@pytest.mark.slow
@given(input_lists)
def test_each_surviving_value_is_stated_by_the_record_given_with_it(inputs: list[GoldenInput]) -> None:
    by_ref = {one.ref: one for one in inputs}

    for attribute, told in build_golden(inputs).items():
        assert told, "an attribute without a value is absent"
        for one in told if isinstance(told, list) else [told]:
            assert isinstance(one, dict)
            stated = by_ref[RecordRef(one["source"], one["key"])].attributes.get(attribute)
            if attribute == "kind" and stated is None:
                continue  # implied by the names of that record
            assert one["value"] in stated if isinstance(stated, list) else one["value"] == stated
