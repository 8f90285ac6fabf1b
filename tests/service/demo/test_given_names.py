"""The pools of given names and nicknames."""

from __future__ import annotations

from service.demo.given_names import GIVEN_NAMES, NATIVE_GIVEN, NICKNAMES


def test_no_given_name_stands_twice_in_its_pool() -> None:
    for pool in GIVEN_NAMES.values():
        assert len(set(pool)) == len(pool) > 10


def test_given_names_of_other_scripts_have_a_native_form_and_one_in_latin_script() -> None:
    for (_, latin), (native, *spellings) in NATIVE_GIVEN.items():
        assert not any("a" <= letter.lower() <= "z" for letter in native)
        assert latin in spellings


def test_nicknames_belong_to_names_that_are_drawn() -> None:
    drawn = {name for pool in GIVEN_NAMES.values() for name in pool}

    assert len(NICKNAMES.keys() & drawn) > 70
