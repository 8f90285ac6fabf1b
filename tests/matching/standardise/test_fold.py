"""Folding gives ASCII words whatever the script, and the same for what Unicode calls the same."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise.fold import fold, fold_wide, has_ideographs, spell_umlauts

FOLDED = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Mary-Ann   O'Brien ", "mary ann obrien"),
        ("O\u2019Brien", "obrien"),
        ("Müller", "muller"),
        ("Straße", "strasse"),
        ("Łukasz Ørsted Æther Þór", "lukasz orsted aether thor"),
        ("İstanbul ıslak", "istanbul islak"),
        ("Владимир Жуков", "vladimir zhukov"),
        ("Γιώργος", "giorgos"),
        ("王伟", "wangwei"),
        ("ヤマダ", "yamada"),
        ("محمد", "mhmd"),
        ("\u202bמשה\u202c", "msh"),
        ("ＦＵＬＬ　ＷＩＤＴＨ", "full width"),
        ("𝐉𝐨𝐡𝐧", "john"),
        ("Ann\u200b\u00ade 😀", "anne"),
        ("Nguyễn", "nguyen"),
    ],
)
def test_names_of_every_script_fold_to_plain_words(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize("text", ["", "  ", "-", "...", "😀", "\u200b", "\ud800", "\x00", "'"])
def test_text_without_a_letter_or_digit_folds_to_none(text: str) -> None:
    assert fold(text) is None


@given(st.text())
def test_folding_gives_ascii_words_or_none(text: str) -> None:
    folded = fold(text)

    assert folded is None or FOLDED.fullmatch(folded)


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    folded = fold(text)

    assert folded is None or fold(folded) == folded


@given(st.text())
def test_canonically_equivalent_texts_fold_alike(text: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)

    assert fold(composed) == fold(decomposed)


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_takes_the_short_way_to_the_same_result(text: str) -> None:
    letters = re.sub(r"[^a-z0-9'`]+", " ", text.lower())

    assert fold(text) == (" ".join(re.sub(r"['`]", "", letters).split()) or None)


@given(st.text())
def test_wide_folding_leaves_ascii_only(text: str) -> None:
    assert fold_wide(text).isascii()


def test_umlauts_are_written_out_only_where_there_are_any() -> None:
    assert spell_umlauts("Müller-Lüdenscheidt") == "Mueller-Luedenscheidt"
    assert spell_umlauts("Mu\u0308ller") == "Mueller"
    assert spell_umlauts("Muller") is None
    assert spell_umlauts("Жуков") is None


def test_han_and_hangul_are_told_from_other_scripts() -> None:
    assert has_ideographs("王伟")
    assert has_ideographs("김민준")
    assert not has_ideographs("Жуков")
    assert not has_ideographs("ヤマダ")
