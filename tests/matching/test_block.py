"""Blocking keys depend on the record, the model and the secret alone."""

from __future__ import annotations

import random

import orjson
from hypothesis import given
from hypothesis import strategies as st

from matching.block import KEYS_MAX, blocking_values, compile_blocker, compile_revealer
from matching.scoring_model import ScoringModel, default_scoring_model, load_scoring_model
from tests.matching.profiles import make_profile, make_random_profile

HASH_KEY = b"sixteen bytes at least"


@given(st.integers(min_value=0, max_value=10**6))
def test_keys_are_sorted_unique_signed_and_at_most_thirty_two(seed: int) -> None:
    block = compile_blocker(default_scoring_model(), hash_key=HASH_KEY)

    keys = block(make_random_profile(random.Random(seed)))

    assert list(keys) == sorted(set(keys))
    assert len(keys) <= KEYS_MAX
    assert all(-(2**63) <= key < 2**63 for key in keys)


@given(st.integers(min_value=0, max_value=10**6))
def test_what_stands_behind_each_key_of_a_profile_is_told_by_the_profile_alone(seed: int) -> None:
    model, profile = default_scoring_model(), make_random_profile(random.Random(seed))

    revealed = compile_revealer(model, hash_key=HASH_KEY)(profile)

    assert tuple(sorted(revealed)) == compile_blocker(model, hash_key=HASH_KEY)(profile)
    assert set(revealed.values()) == set(blocking_values(model, profile))


def test_another_secret_gives_other_keys_and_the_same_secret_the_same() -> None:
    profile = make_profile(emails=("a@b.de",), phones=("4930123456",))
    block, again, other = (
        compile_blocker(default_scoring_model(), hash_key=key) for key in (HASH_KEY, HASH_KEY, b"x" * 16)
    )

    assert block(profile) == again(profile)
    assert not set(block(profile)) & set(other(profile))


def test_a_value_on_the_stop_list_gives_no_key() -> None:
    stated = orjson.loads(default_scoring_model().document)
    stated["stop_values"] = {"email": ["a@b.de"]}
    stopped = load_scoring_model(orjson.dumps(stated))
    profile = make_profile(emails=("a@b.de", "c@d.de"))

    assert ("email", "a@b.de") in blocking_values(default_scoring_model(), profile)
    assert ("email", "a@b.de") not in blocking_values(stopped, profile)
    assert ("email", "c@d.de") in blocking_values(stopped, profile)


def test_crossed_names_and_sound_alikes_share_a_key() -> None:
    block = compile_blocker(default_scoring_model(), hash_key=HASH_KEY)
    one = make_profile(given="anna", given_canon="anna", family="meier")
    crossed = make_profile(given="meier", given_canon="meier", family="anna")
    alike = make_profile(given="hanna", given_canon="hanna", family="mayer", birth_date="1980-02-03")
    dated = make_profile(given="ina", given_canon="ina", family="meier", birth_date="1980-02-03")

    assert set(block(one)) & set(block(crossed))
    assert set(block(alike)) & set(block(dated))


def test_an_empty_profile_has_no_keys() -> None:
    assert compile_blocker(default_scoring_model(), hash_key=HASH_KEY)(make_profile()) == ()


def test_a_full_person_has_no_more_than_a_dozen_keys() -> None:
    person = make_profile(
        kind="person", given="bob", given_canon="robert", family="smith", birth_date="1980-02-03",
        name_tokens=("bob", "smith"), emails=("bob.smith@x.de",), email_users=("bobsmith",),
        phones=("4930123456",), addresses=("5 main street berlin",), house_numbers=("5",),
        streets=("main street",), postcodes=("10115",), cities=("berlin",),
    )  # fmt: skip

    assert len(compile_blocker(default_scoring_model(), hash_key=HASH_KEY)(person)) <= 12


def test_an_optional_part_narrows_a_key_and_its_absence_does_not_take_the_key_away() -> None:
    block = compile_blocker(default_scoring_model(), hash_key=HASH_KEY)
    place = {"house_numbers": ("12",), "streets": ("station road",)}
    oslo, also_oslo = make_profile(cities=("oslo",), **place), make_profile(cities=("oslo s",), **place)
    bergen = make_profile(cities=("bergen",), **place)
    nowhere, also_nowhere = make_profile(**place), make_profile(postcodes=("0150",), **place)

    assert set(block(oslo)) & set(block(also_oslo))
    assert not set(block(oslo)) & set(block(bergen))
    assert not set(block(oslo)) & set(block(nowhere))
    assert set(block(nowhere)) & set(block(also_nowhere))


def _with_rule(**rule: object) -> ScoringModel:
    stated = orjson.loads(default_scoring_model().document)
    stated |= {"blocking": [{"name": "own", "values_max": 8, **rule}], "stop_values": {}}
    return load_scoring_model(orjson.dumps(stated))


def test_a_rule_joins_each_value_of_its_parts_with_each_other() -> None:
    parts = [
        {"columns": ["given", "family"], "take": "whole", "length": 2},
        {"columns": ["emails"], "take": "user", "length": 3},
        {"columns": ["birth_date"], "take": "start", "length": 4},
    ]
    profile = make_profile(
        given="anna", family="berg", emails=("ab@x.de", "abc@x.de"), birth_date="1980-02-03"
    )

    found = blocking_values(_with_rule(parts=parts), profile)

    assert found == [("own", "anna|abc|1980"), ("own", "berg|abc|1980")]


def test_a_part_stated_twice_counts_twice_and_crossed_parts_are_sorted() -> None:
    same = {"columns": ["given"], "take": "whole", "length": 0}
    other = {"columns": ["family"], "take": "end", "length": 3}
    profile = make_profile(given="nora", family="berg")

    assert blocking_values(_with_rule(parts=[same, same]), profile) == [("own", "nora|nora")]
    assert blocking_values(_with_rule(parts=[same, other]), profile) == [("own", "nora|erg")]
    assert blocking_values(_with_rule(parts=[same, other], any_order=True), profile) == [("own", "erg|nora")]
    assert blocking_values(_with_rule(parts=[same, other]), make_profile(given="nora")) == []


def test_a_rule_keeps_its_smallest_values_up_to_its_limit() -> None:
    parts = [{"columns": ["org_tokens"], "take": "two", "length": 3}]
    profile = make_profile(org_tokens=("acme", "bo", "global", "mill"))

    assert blocking_values(_with_rule(parts=parts, values_max=2), profile) == [
        ("own", "acme global"),
        ("own", "acme mill"),
    ]
