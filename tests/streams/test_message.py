"""One message of a records topic: its form is told, and nothing that arrives brings the reader down."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.contract import read_contract
from streams.message import MessageReader
from streams.model import Ignored, NotTaken, Rename, Statement, Truncation, Withdrawal

READER = MessageReader(
    read_contract(
        "crm",
        {
            "domain": "sales",
            "key": "id",
            "mapping": {
                "given_name": "given",
                "birth_date": "born",
                "email": "doc.mail",
                "effective_at": "since",
                "address.city": "city",
                "version": "row_version",
            },
        },
        version=1,
    )
)
CANARY = "canary-7f3"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.just(CANARY)
    | st.sampled_from(["c", "u", "d", "r", "t", "m", "__debezium_unavailable_value"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                """op source before after schema payload id given born since doc city row_version attributes version lsn
            ts_ms ts_us fields field name type parameters scale value __deleted __op __lsn status""".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["__debezium.newkey", "__debezium.oldkey", "__op", "__lsn", "version", "effective_at"]
        ),
        st.none() | st.binary(max_size=8) | JSON.map(orjson.dumps),
    ),
    max_size=3,
)


@given(
    st.none() | st.binary(max_size=12) | JSON.map(orjson.dumps),
    st.none() | st.binary(max_size=40) | JSON.map(orjson.dumps),
    HEADERS,
)
def test_whatever_arrives_becomes_one_value_and_what_is_not_taken_repeats_nothing(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    message = READER.read(key, value, headers)

    assert isinstance(message, Statement | Withdrawal | Rename | Truncation | Ignored | NotTaken)
    if isinstance(message, NotTaken):
        assert message.code
        assert CANARY not in message.detail


@given(st.binary(min_size=1, max_size=20))
def test_the_same_message_read_twice_says_the_same(value: bytes) -> None:
    assert READER.read(b'{"id":1}', value) == READER.read(b'{"id":1}', value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (b"71", b'{"attributes": {"given_name": "Ada"}}', Statement),
        (b"71", None, Withdrawal),
        (b'{"id": 71}', None, Withdrawal),
        (b'{"id": 71}', b"null", Withdrawal),
        (b'{"id": 71}', b'{"id": 71, "given": "Ada"}', Statement),
        (b'{"id": 71}', b'{"id": 71, "given": "Ada", "__deleted": "true"}', Withdrawal),
        (b'{"id": 71}', b'{"op": "c", "source": {}, "after": {"id": 71}}', Statement),
        (
            b'{"id": 71}',
            b'{"schema": null, "payload": {"op": "d", "source": {}, "before": null}}',
            Withdrawal,
        ),
        (None, b'{"ts_ms": 1}', Ignored),
        (None, b'{"status":"END","id":"7","event_count":1,"data_collections":[],"ts_ms":1}', Ignored),
        (b"71", b"[1]", NotTaken),
        (b"71", b"\xff", NotTaken),
        (b"71", b'{"given": "no key in the row"}', NotTaken),
    ],
)
def test_the_form_of_a_message_is_told_by_what_it_holds(
    key: bytes | None, value: bytes | None, expected: type[object]
) -> None:
    assert type(READER.read(key, value)) is expected


def test_a_null_under_an_objects_key_is_debeziums_and_under_a_text_the_sources_own() -> None:
    assert READER.read(b'{"id": 71}', None) == Withdrawal("71", is_tombstone=True)
    assert READER.read(b"71", None) == Withdrawal("71")


def test_a_mapped_version_counts_only_where_the_log_tells_none() -> None:
    row = {"id": 1, "row_version": 7}

    flat = READER.read(b'{"id": 1}', orjson.dumps(row))
    told = READER.read(b'{"id": 1}', orjson.dumps({**row, "__lsn": 9_000}))

    assert isinstance(flat, Statement)
    assert isinstance(told, Statement)
    assert (flat.version, told.version) == (7, 9_000)
