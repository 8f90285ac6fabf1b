"""Lists of one SQL type, sent to PostgreSQL as binary arrays.

psycopg finds the type of a plain list by looking at each of its elements; where every list's type is known
from its column that is half the time of a small transaction. A list of a class of this room is packed as
what its class says.

Invariant: None is NULL; an element of another type than the class says raises, nothing is guessed.
Source: PostgreSQL's `array_send` and `array_recv`: dimensions, null flag, element oid, size, lower bound,
then each element as length and bytes, big-endian; NULL is length -1.
Elsewhere: who sends them (`identity.store_sql.postgres`).
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, ClassVar, Final

from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

__all__ = ["Bools", "Byteas", "Int2s", "Int4s", "Int8s", "Texts", "array_of", "register_arrays"]

_HEADER: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)


class Int8s(list[Any]):
    """Values of an `int8[]`."""


class Int4s(list[Any]):
    """Values of an `int4[]`."""


class Int2s(list[Any]):
    """Values of an `int2[]`."""


class Bools(list[Any]):
    """Values of a `bool[]`."""


class Texts(list[Any]):
    """Values of a `text[]`."""


class Byteas(list[Any]):
    """Values of a `bytea[]`."""


_CLASSES: Final[dict[str, type[list[Any]]]] = {
    "int8[]": Int8s,
    "int4[]": Int4s,
    "int2[]": Int2s,
    "bool[]": Bools,
    "text[]": Texts,
    "bytea[]": Byteas,
}


def array_of(kind: str) -> type[list[Any]]:
    """Return the class for an array type by its SQL name."""
    return _CLASSES[kind]


def register_arrays(adapters: AdaptersMap) -> None:
    """Let connections with these adapters send the classes of this room."""
    for dumper in (_Int8sDumper, _Int4sDumper, _Int2sDumper, _BoolsDumper, _TextsDumper, _ByteasDumper):
        adapters.register_dumper(dumper.packs, dumper)


@lru_cache(maxsize=1024)
def _fixed(code: str, count: int) -> struct.Struct:
    return struct.Struct(">" + f"i{code}" * count)


class _ArrayDumper(Dumper):
    format = Format.BINARY
    packs: ClassVar[type[list[Any]]]
    element_oid: ClassVar[int]

    def dump(self, obj: list[Any]) -> Buffer | None:
        if not obj:
            return _HEADER.pack(0, 0, self.element_oid, 0, 0)[:12]
        has_null = None in obj
        header = _HEADER.pack(1, has_null, self.element_oid, len(obj), 1)
        return header + (self.pack_nullable(obj) if has_null else self.pack(obj))

    @abstractmethod
    def pack(self, values: list[Any]) -> bytes: ...

    def pack_nullable(self, values: list[Any]) -> bytes:
        return b"".join(_NULL if value is None else self.pack([value]) for value in values)


class _FixedDumper(_ArrayDumper):
    code: ClassVar[str]
    size: ClassVar[int]

    def pack(self, values: list[Any]) -> bytes:
        interleaved = chain.from_iterable(zip(repeat(self.size), values, strict=False))
        return _fixed(self.code, len(values)).pack(*interleaved)


class _Int8sDumper(_FixedDumper):
    packs, oid, element_oid, code, size = Int8s, 1016, 20, "q", 8


class _Int4sDumper(_FixedDumper):
    packs, oid, element_oid, code, size = Int4s, 1007, 23, "i", 4


class _Int2sDumper(_FixedDumper):
    packs, oid, element_oid, code, size = Int2s, 1005, 21, "h", 2


class _BoolsDumper(_FixedDumper):
    packs, oid, element_oid, code, size = Bools, 1000, 16, "?", 1


class _TextsDumper(_ArrayDumper):
    packs, oid, element_oid = Texts, 1009, 25

    def pack(self, values: list[Any]) -> bytes:
        encoded = [value.encode() for value in values]
        return b"".join(chain.from_iterable(zip(map(_LENGTH.pack, map(len, encoded)), encoded, strict=True)))


class _ByteasDumper(_ArrayDumper):
    packs, oid, element_oid = Byteas, 1001, 17

    def pack(self, values: list[Any]) -> bytes:
        return b"".join(chain.from_iterable(zip(map(_LENGTH.pack, map(len, values)), values, strict=True)))
