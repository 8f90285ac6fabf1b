"""Lists of keys and CIDs as Arrow streams."""

from __future__ import annotations

import pyarrow as pa
import pytest

from identity.api.arrow import ROWS_MAX, looked_up_stream, read_columns, resolved_stream
from identity.api.errors import BodyInvalid, BodyMalformed, BodyTooLarge
from identity.look_up import LookUpAnswer
from identity.model import Cid, CidStatus


def stream_of(**columns: object) -> bytes:
    batch = pa.RecordBatch.from_pydict(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def test_columns_are_read_in_order_whatever_text_type_they_have() -> None:
    keys = pa.array(["1", "2", "1"]).dictionary_encode()
    body = stream_of(source=pa.array(["a", "b", "a"], pa.large_string()), key=keys, other=[1, 2, 3])

    columns = read_columns(body, required=("source", "key"), optional=("key_name",))

    assert columns == {"source": ["a", "b", "a"], "key": ["1", "2", "1"]}


@pytest.mark.parametrize(
    "columns",
    [
        {"source": ["a"]},
        {"source": ["a"], "key": [1]},
        {"source": ["a"], "key": pa.array([None], pa.string())},
    ],
)
def test_a_missing_wrong_or_empty_column_is_refused(columns: dict[str, object]) -> None:
    with pytest.raises(BodyInvalid):
        read_columns(stream_of(**columns), required=("source", "key"))


def test_what_is_no_arrow_stream_is_malformed() -> None:
    whole = stream_of(source=["a"] * 100, key=["b"] * 100)
    for body in (b"", b"no arrow", whole[: len(whole) // 2], b"ARROW1\0\0" + whole):
        with pytest.raises(BodyMalformed):
            read_columns(body, required=("source", "key"))


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(BodyTooLarge):
        read_columns(stream_of(cid=["c"] * (ROWS_MAX + 1)), required=("cid",))


def test_answers_say_what_the_json_answers_say() -> None:
    looked_up = looked_up_stream(
        ["a", "b"], ["1", "2"], LookUpAnswer([Cid("c"), None], ["live", "unknown"], horizon=0)
    )
    resolved = resolved_stream([("c", CidStatus.SPLIT, (Cid("d"), Cid("e"))), ("x", None, ())], 0)

    table = pa.ipc.open_stream(looked_up.body).read_all()
    assert table.to_pylist() == [
        {"source": "a", "key": "1", "cid": "c", "status": "live"},
        {"source": "b", "key": "2", "cid": None, "status": "unknown"},
    ]
    assert table.schema.metadata == {b"horizon": b"1970-01-01T00:00:00.000000Z"}
    assert pa.ipc.open_stream(resolved.body).read_all().to_pylist() == [
        {"cid": "c", "status": "split", "current": ["d", "e"]},
        {"cid": "x", "status": "unknown", "current": []},
    ]
