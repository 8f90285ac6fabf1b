"""Cursors are read as they are written, and nothing else is read (over the feed: `test_look_up.py`)."""

from __future__ import annotations

import pytest

from identity.cursor import FEED_START, format_cursor, parse_cursor
from identity.errors import StatementRefused


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2**63 - 1, 2**63 - 1)])
def test_a_place_comes_back_from_its_cursor(place: tuple[int, int]) -> None:
    assert parse_cursor(format_cursor(*place)) == place


@pytest.mark.parametrize("text", [None, "", "0", FEED_START])
def test_nothing_at_all_is_before_the_first_event(text: str | None) -> None:
    assert parse_cursor(text) == (0, 0)


@pytest.mark.parametrize("text", ["1", "a.b", "1.-2", "1.2.3", f"{2**63}.0"])
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(StatementRefused, match="cursor"):
        parse_cursor(text)
