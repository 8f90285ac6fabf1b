"""Lay the profiles of a load out as numbers, so that very many pairs can be looked at in a few array operations.

A value becomes a code; equal values of columns that a condition compares have equal codes, 0 is absence. Of each
distinct value some facts are kept: its length, its first and last bytes, how often each class of character is in it.
Invariant: what these facts exclude is excluded; they may leave open what the values themselves would exclude.
Elsewhere: which pairs can be excluded by them (`identity.bulk.sieve`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from matching.model import LIST_COLUMNS

__all__ = ["HEAD_BYTES", "TAIL_BYTES", "TEXT_BYTES_MAX", "WIDTH", "Column", "Features", "Texts"]

WIDTH: Final = 3
"""So many elements of a list are laid out; of a longer list everything else is left open."""
HEAD_BYTES: Final = 10
TAIL_BYTES: Final = 8
TEXT_BYTES_MAX: Final = 64
"""What measures of likeness read of a text."""

_Codes = npt.NDArray[np.int32]
_CLASSES: Final = 40
_SPACE: Final = 38
_CHUNK_VALUES: Final = 100_000


def _class_of_bytes() -> npt.NDArray[np.int64]:
    """Return the class of each byte: letters, digits, a blank, the signs of mailboxes, all others together."""
    classes = np.full(256, 39, dtype=np.int64)
    for place, character in enumerate(b"abcdefghijklmnopqrstuvwxyz0123456789"):
        classes[character] = place
    classes[ord("@")], classes[ord("-")], classes[ord(" ")] = 36, 37, _SPACE
    return classes


_CLASS_OF: Final = _class_of_bytes()


@dataclass(slots=True)
class Texts:
    """Facts of distinct values, by code; those of code 0, absence, are zero."""

    lengths: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint8]  # by class of characters, of the first bytes
    heads: npt.NDArray[np.uint8]
    tails: npt.NDArray[np.uint8]  # the last byte first

    @classmethod
    def of(cls, values: pa.Array) -> Texts:
        """Return the facts of these values, whose codes begin with 1."""
        parts = [cls._of_some(values.slice(at, _CHUNK_VALUES)) for at in range(0, len(values), _CHUNK_VALUES)]
        nothing = cls._of_some(pa.array([""], pa.string()))
        columns = zip(
            *((one.lengths, one.counts, one.heads, one.tails) for one in (nothing, *parts)), strict=True
        )
        return cls(*(np.concatenate(column) for column in columns))

    @classmethod
    def _of_some(cls, values: pa.Array) -> Texts:
        values = pa.concat_arrays([values])  # offsets from 0 on
        count = len(values)
        _, offset_buffer, data_buffer = values.buffers()
        offsets = np.frombuffer(offset_buffer, dtype=np.int32, count=count + 1).astype(np.int64)
        data = np.frombuffer(data_buffer or b"", dtype=np.uint8)
        lengths = np.diff(offsets)
        owner = np.repeat(np.arange(count), lengths)
        place = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], lengths)
        used = data[: int(offsets[-1])]
        is_read = place < TEXT_BYTES_MAX
        flat = owner[is_read] * _CLASSES + _CLASS_OF[used[is_read]]
        counts = np.bincount(flat, minlength=count * _CLASSES).reshape(count, _CLASSES).astype(np.uint8)
        heads = np.zeros((count, HEAD_BYTES), dtype=np.uint8)
        is_head = place < HEAD_BYTES
        heads[owner[is_head], place[is_head]] = used[is_head]
        tails = np.zeros((count, TAIL_BYTES), dtype=np.uint8)
        from_end = np.repeat(lengths, lengths) - 1 - place
        is_tail = from_end < TAIL_BYTES
        tails[owner[is_tail], from_end[is_tail]] = used[is_tail]
        return cls(lengths.astype(np.int32), counts, heads, tails)

    def has_space(self, codes: _Codes) -> npt.NDArray[np.bool_]:
        """Tell which values have a blank among the bytes that are counted, or are longer than those."""
        found: npt.NDArray[np.bool_] = (self.counts[codes, _SPACE] > 0) | (
            self.lengths[codes] > TEXT_BYTES_MAX
        )
        return found


@dataclass(slots=True)
class Column:
    """One column of all profiles: codes by profile and place, and which profiles have more than fit."""

    codes: npt.NDArray[np.int32]  # profiles x WIDTH, of a text column profiles x 1
    has_more: npt.NDArray[np.bool_]
    texts: Texts


class Features:
    """The profiles of one load; `add` them, `seal`, then read columns."""

    def __init__(self, groups: Iterable[Sequence[str]]) -> None:
        """Begin.

        Args:
            groups: columns whose values are compared with each other; a column is in one group at most.
        """
        self._groups = [tuple(group) for group in groups]
        self._chunks: dict[str, list[pa.Array]] = {name: [] for group in self._groups for name in group}
        self.columns: dict[str, Column] = {}

    def add(self, columns: pa.Table) -> None:
        """Add profiles, after those added before."""
        for name, chunks in self._chunks.items():
            chunks.extend(columns[name].chunks)

    def seal(self) -> None:
        """Give codes to all values; nothing is added after this."""
        for group in self._groups:
            whole = {name: _concat(name, self._chunks.pop(name)) for name in group}
            flat = {name: one.flatten() if name in LIST_COLUMNS else one for name, one in whole.items()}
            encoded = pa.concat_arrays(list(flat.values())).dictionary_encode()
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32) + np.int32(
                1
            )
            texts = Texts.of(encoded.dictionary)
            ends = np.cumsum([len(one) for one in flat.values()])
            for name, own in zip(group, np.split(codes, ends[:-1]), strict=True):
                self.columns[name] = _lay_out(whole[name], own, texts, is_list=name in LIST_COLUMNS)


def _concat(name: str, chunks: list[pa.Array]) -> pa.Array:
    kind = pa.list_(pa.string()) if name in LIST_COLUMNS else pa.string()
    return pa.concat_arrays([pa.array([], kind), *chunks])


def _lay_out(whole: Any, codes: _Codes, texts: Texts, *, is_list: bool) -> Column:
    if not is_list:
        return Column(codes.reshape(-1, 1), np.zeros(len(codes), dtype=np.bool_), texts)
    lengths = whole.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    laid = np.zeros((len(lengths), WIDTH), dtype=np.int32)
    for place in range(WIDTH):
        is_there = lengths > place
        laid[is_there, place] = codes[starts[is_there] + place]
    return Column(laid, lengths > WIDTH, texts)


Facts = Mapping[str, Column]
