"""Finding a value in a row by its path."""

from __future__ import annotations

import pytest

from streams.paths import compile_path, plain_text

ROW = {
    "name": "Ada",
    "a.b": "flat",
    "a": {"b": "nested", "c": {"d": 1}, "list": [{"x": 1}, {"y": 2}, {"x": 3}]},
    "list": ["first", "second"],
    "empty": None,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("name", "Ada"),
        ("a.b", "flat"),
        ("a.c.d", 1),
        ("a.c.d.e", None),
        ("a.list.x", [1, None, 3]),
        ("a.list.1.y", 2),
        ("a.list.9.y", None),
        ("list.1", "second"),
        ("list.7", None),
        ("name.x", None),
        ("empty.x", None),
        ("none.x.y", None),
    ],
)
def test_a_path_finds_its_value_or_none(path: str, found: object) -> None:
    assert compile_path(path)(ROW) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a ", "a"),
        ("  ", None),
        (None, None),
        (7, "7"),
        (12345.0, "12345"),
        (1.5, "1.5"),
        (float("nan"), None),
    ],
)
def test_a_value_becomes_plain_text(value: object, text: str | None) -> None:
    assert plain_text(value) == text


def test_an_infinite_number_is_text_as_it_is() -> None:
    assert plain_text(float("inf")) == "inf"
