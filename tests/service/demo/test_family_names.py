"""The pools of family names."""

from __future__ import annotations

from service.demo.family_names import FAMILY_NAMES, NATIVE_FAMILY


def test_there_are_several_thousand_family_names_without_repeats() -> None:
    assert sum(map(len, FAMILY_NAMES.values())) > 6_000
    for pool in FAMILY_NAMES.values():
        assert len(set(pool)) == len(pool)


def test_the_most_frequent_family_names_come_first() -> None:
    assert FAMILY_NAMES["english"][:3] == ("Smith", "Jones", "Williams")
    assert FAMILY_NAMES["russian"][0] == "Ivanov"


def test_family_names_of_other_scripts_have_a_native_form_and_one_in_latin_script() -> None:
    for (_, latin), (native, *spellings) in NATIVE_FAMILY.items():
        assert not any("a" <= letter.lower() <= "z" for letter in native)
        assert latin in spellings
