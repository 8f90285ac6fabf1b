"""Personal names come apart alike, however they were written."""

from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st

from matching.standardise.fold import fold
from matching.standardise.names import PersonName, canonical_given_name, read_person_name


def read(
    *,
    given: str | None = None,
    middle: str | None = None,
    family: str | None = None,
    suffix: str | None = None,
    full: str | None = None,
    others: tuple[str, ...] = (),
) -> PersonName:
    name, _ = read_person_name(
        given=given, middle=middle, family=family, suffix=suffix, full=full, others=others
    )
    assert name is not None
    return name


@pytest.mark.parametrize(
    ("full", "given", "middle", "family", "suffix"),
    [
        ("John Smith", "john", None, "smith", None),
        ("Smith, John", "john", None, "smith", None),
        ("Smith, Dr. John Paul", "john", "paul", "smith", None),
        ("John Smith, Jr.", "john", None, "smith", "jr"),
        ("Smith Jr, John", "john", None, "smith", "jr"),
        ("Mr. John Q. Smith III", "john", "q", "smith", "iii"),
        ("Prof. Dr. med. Hans-Peter Müller", "hans", "peter", "muller", None),
        ("Jane Doe, PhD", "jane", None, "doe", None),
        ("Vincent van Gogh", "vincent", None, "van gogh", None),
        ("Maria de la Cruz", "maria", None, "de la cruz", None),
        ("Osama bin Laden", "osama", None, "bin laden", None),
        ("José Ortega y Gasset", "jose", None, "ortega y gasset", None),
        ("Jean DUPONT", "jean", None, "dupont", None),
        ("DUPONT Jean", "jean", None, "dupont", None),
        ("SMITH JOHN", "smith", None, "john", None),
        ("王伟", "wei", None, "wang", None),
        ("张秀英", "xiuying", None, "zhang", None),
        ("贝拉克·奥巴马", "beilake", None, "aobama", None),
        ("김민준", "minjun", None, "gim", None),
        ("Владимир Владимирович Путин", "vladimir", "vladimirovich", "putin", None),
        ("the Hon. John Smith", "john", None, "smith", None),
        ("Maria", "maria", None, None, None),
        ("Schmidt", None, None, "schmidt", None),
    ],
)
def test_a_full_name_comes_apart(
    full: str, given: str | None, middle: str | None, family: str | None, suffix: str | None
) -> None:
    name = read(full=full)

    assert (name.given, name.middle, name.family, name.suffix) == (given, middle, family, suffix)


def test_titles_and_further_given_names_leave_the_given_name() -> None:
    name = read(given="Dr. Anna Maria", family="Rossi")

    assert (name.given, name.middle, name.tokens) == ("anna", "maria", ("anna", "maria", "rossi"))


def test_a_title_alone_is_kept_as_a_name() -> None:
    assert read(given="Herr").given == "herr"


def test_a_suffix_is_found_in_its_own_field_and_in_the_family_name() -> None:
    assert read(given="John", family="Smith", suffix="Junior").suffix == "jr"
    assert read(given="John", family="Smith Sr.").suffix == "sr"
    assert read(given="John", family="III").suffix == "iii"


@pytest.mark.parametrize(
    ("nickname", "canonical"),
    [
        ("bill", "william"),
        ("peggy", "margaret"),
        ("fritz", "frederick"),
        ("pepe", "joseph"),
        ("sasha", "alexander"),
        ("gosia", "margaret"),
        ("beppe", "joseph"),
        ("kees", "cornelius"),
        ("mhmd", "muhammad"),
        ("xyz", "xyz"),
    ],
)
def test_a_nickname_has_one_canonical_form(nickname: str, canonical: str) -> None:
    assert canonical_given_name(nickname) == canonical
    assert canonical_given_name(canonical) == canonical


def test_the_nickname_table_is_folded_and_gives_each_variant_once() -> None:
    text = files("matching.standardise").joinpath("nicknames.txt").read_text("ascii")
    rows = [line.partition(":") for line in text.splitlines() if not line.startswith("#")]
    canonical = [row[0] for row in rows]
    variants = [variant for row in rows for variant in row[2].split()]

    assert canonical == sorted(set(canonical))
    assert len(variants) == len(set(variants))
    assert set(variants).isdisjoint(canonical)
    assert all(fold(name) == name and name.isalpha() for name in canonical + variants)


def test_a_compound_family_name_is_also_known_by_its_halves_and_joined() -> None:
    assert read(given="Ana", family="García-López").family_alts == ("garcia", "garcialopez", "lopez")
    assert read(given="Jan", family="van der Berg").family_alts == ("berg", "vanderberg")


def test_an_umlaut_written_out_is_another_form_of_the_family_name() -> None:
    assert read(given="Jörg", family="Müller").family_alts == ("mueller",)


def test_maiden_names_aliases_and_native_spellings_add_to_the_alternatives() -> None:
    name = read(given="Anna", family="Schmidt", others=("Meier", "Anja Krause", "王伟"))

    assert name.family_alts == ("krause", "meier", "wang")
    assert name.tokens == ("anja", "anna", "krause", "meier", "schmidt", "wang", "wei")


def test_a_nickname_in_brackets_or_quotes_adds_its_words_only() -> None:
    for full in ('Robert "Bob" Smith', "Robert (Bob) Smith", "Robert „Bob“ Smith"):
        name = read(full=full)

        assert (name.given, name.family, name.tokens) == ("robert", "smith", ("bob", "robert", "smith"))


def test_a_surname_in_front_of_an_east_asian_name_is_kept_as_an_alternative() -> None:
    assert read(full="Nguyen Thanh Tung").family_alts == ("nguyen",)
    assert read(full="Nguyen Van An").family_alts == ("an", "nguyen", "vanan")


def test_a_full_name_fills_what_the_parts_leave_open() -> None:
    name = read(given="John", full="John Paul Smith")

    assert (name.given, name.middle, name.family) == ("john", "paul", "smith")


def test_a_full_name_adds_the_middle_name_that_the_parts_lack() -> None:
    name = read(given="John", family="Smith", full="John Paul Smith")

    assert (name.given, name.middle, name.family) == ("john", "paul", "smith")


def test_a_comma_behind_a_stated_given_name_turns_nothing() -> None:
    name = read(given="William", family="Selborne", full="William Palmer, 2nd Earl of Selborne")

    assert (name.given, name.family, name.family_alts) == ("william", "selborne", ("palmer",))


def test_digits_are_no_name() -> None:
    name, junk = read_person_name(
        given="Jacques", middle=None, family="1857-1928", suffix=None, full=None, others=()
    )

    assert name is not None
    assert (name.family, junk) == (None, ("family_name",))


def test_junk_names_are_left_out_and_told_by_attribute() -> None:
    name, junk = read_person_name(
        given="Unknown", middle=None, family="Smith", suffix=None, full=None, others=("n/a",)
    )

    assert name is not None
    assert (name.given, name.family) == (None, "smith")
    assert junk == ("given_name", "other_names[0]")


def test_the_surname_null_is_believed_beside_a_given_name() -> None:
    assert read(given="Christopher", family="Null").family == "null"


@given_that(st.text(), st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_any_text_gives_folded_pieces(given: str, family: str, full: str, others: list[str]) -> None:
    name, _ = read_person_name(given=given, middle=None, family=family, suffix=None, full=full, others=others)

    if name is None:
        return
    pieces = [
        name.given,
        name.given_canon,
        name.middle,
        name.family,
        *(name.tokens or ()),
        *(name.family_alts or ()),
    ]
    assert all(piece is None or fold(piece) == piece for piece in pieces)
    assert name.tokens is None or list(name.tokens) == sorted(set(name.tokens))
