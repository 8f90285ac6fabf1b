"""What a list of a stated type becomes on PostgreSQL."""

from __future__ import annotations

import struct
from typing import Any

import psycopg
import pytest

from identity.store_sql.pg_arrays import Bools, Byteas, Int2s, Int4s, Int8s, Texts, array_of, register_arrays

pytestmark = pytest.mark.service

SAMPLES: list[tuple[str, list[Any]]] = [
    ("int8[]", [0, -1, 2**63 - 1, -(2**63), None, 5]),
    ("int4[]", [2**31 - 1, -(2**31), None]),
    ("int2[]", [2**15 - 1, -(2**15), None]),
    ("bool[]", [True, False, None]),
    ("text[]", ["", "NULL", "{a,b}", 'quoted "x"', "Ωmega \U0001f600", None]),
    ("bytea[]", [b"", b"\x00\xff", None]),
]


@pytest.fixture
def connection(postgres_url: str) -> Any:
    with psycopg.connect(postgres_url) as opened:
        register_arrays(opened.adapters)
        yield opened


@pytest.mark.parametrize(("kind", "values"), SAMPLES)
def test_a_list_arrives_as_an_array_of_its_type(connection: Any, kind: str, values: list[Any]) -> None:
    make = array_of(kind)
    lists = [values, [one for one in values if one is not None], [], values[:1]]

    for sent in lists:
        row = connection.execute("SELECT pg_typeof(%s)::text, %s", (make(sent), make(sent))).fetchone()

        assert row == (kind_name(kind), list(sent))


def kind_name(kind: str) -> str:
    names = {"int8[]": "bigint[]", "int4[]": "integer[]", "int2[]": "smallint[]", "bool[]": "boolean[]"}
    return names.get(kind, kind)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [(Int8s, 2**63), (Int4s, 2**31), (Int2s, 2**15), (Int8s, "1"), (Texts, 1), (Byteas, 1)],
)
def test_a_value_of_another_type_is_refused(connection: Any, make: Any, wrong: object) -> None:
    with pytest.raises((struct.error, AttributeError, TypeError)):
        connection.execute("SELECT %s", (make([wrong]),))

    assert connection.execute("SELECT %s", (Bools([True]),)).fetchone() == ([True],)
