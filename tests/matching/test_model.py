"""The profile that every engine reads: its columns and its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.model import (
    LIST_COLUMNS,
    PROFILE_COLUMNS,
    TEXT_COLUMNS,
    Profile,
    column_position,
    decode_profile,
    encode_profile,
)

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
PROFILES: st.SearchStrategy[Profile] = st.tuples(
    *(st.none() | TEXTS for _ in TEXT_COLUMNS),
    *(st.none() | st.lists(TEXTS, min_size=1, max_size=4).map(tuple) for _ in LIST_COLUMNS),
)


@given(PROFILES)
def test_a_profile_is_read_back_as_it_was_written(profile: Profile) -> None:
    assert decode_profile(encode_profile(profile)) == profile


@given(PROFILES, PROFILES)
def test_two_profiles_have_the_same_bytes_only_when_they_are_the_same(one: Profile, other: Profile) -> None:
    assert (encode_profile(one) == encode_profile(other)) == (one == other)


def test_an_empty_profile_has_a_place_for_every_column() -> None:
    empty: Profile = (None,) * len(PROFILE_COLUMNS)

    assert decode_profile(encode_profile(empty)) == empty


def test_every_column_has_one_position() -> None:
    assert [column_position(name) for name in PROFILE_COLUMNS] == list(range(len(PROFILE_COLUMNS)))


def test_an_unknown_column_has_no_position() -> None:
    with pytest.raises(KeyError):
        column_position("shoe_size")


def test_texts_stand_before_lists_and_no_name_twice() -> None:
    assert PROFILE_COLUMNS == TEXT_COLUMNS + LIST_COLUMNS
    assert len(set(PROFILE_COLUMNS)) == len(PROFILE_COLUMNS)
