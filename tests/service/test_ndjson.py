"""Splitting a stream into lines."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from service.ndjson import TOO_LONG, Line, LineSplitter


def split(chunks: list[bytes], line_bytes_max: int = 100) -> list[Line]:
    splitter = LineSplitter(line_bytes_max=line_bytes_max)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + splitter.finish()


def test_lines_are_split_whatever_the_chunks() -> None:
    assert split([b'{"a"', b":1}\n{", b'"b":2}\n']) == [b'{"a":1}', b'{"b":2}']


def test_what_follows_the_last_newline_is_a_line() -> None:
    assert split([b"a\nb"]) == [b"a", b"b"]


def test_blank_lines_are_left_out() -> None:
    assert split([b"\n\r\n  \na\n\t\n\nb\n \n"]) == [b"a", b"b"]


def test_a_byte_order_mark_before_the_first_line_is_taken_off() -> None:
    assert split([b"\xef\xbb", b"\xbfa\n\xef\xbb\xbfb\n"]) == [b"a", b"\xef\xbb\xbfb"]


def test_a_line_over_the_limit_is_told_once_and_skipped() -> None:
    assert split([b"a\n", b"x" * 60, b"x" * 60, b"x" * 60, b"x\nb\n"]) == [b"a", TOO_LONG, b"b"]


def test_a_long_line_is_told_before_its_end_is_read() -> None:
    splitter = LineSplitter(line_bytes_max=10)

    assert splitter.feed(b"x" * 11) == [TOO_LONG]
    assert splitter.feed(b"x" * 1_000) == []
    assert splitter.feed(b"\nok\n") == [b"ok"]


def test_a_line_of_exactly_the_limit_passes() -> None:
    assert split([b"x" * 100 + b"\n" + b"y" * 101 + b"\n"]) == [b"x" * 100, TOO_LONG]


@given(
    st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=20),
    st.lists(st.integers(0, 200), max_size=20),
    st.booleans(),
)
def test_any_cut_gives_the_same_lines(lines: list[bytes], cuts: list[int], ends: bool) -> None:
    text = b"\n".join(lines) + (b"\n" if ends else b"")
    marks = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[a:b] for a, b in itertools.pairwise(marks)]

    assert split(chunks, 20) == split([text], 20)
