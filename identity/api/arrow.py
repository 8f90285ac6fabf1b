"""Read and write lists of keys and CIDs as Arrow streams.

Invariant: rows keep their order; a batch holds no null where the JSON body would need a text.
Columns: keys in `source, key[, key_name]`; CIDs in `cid`; out as the JSON members of the same names. The
horizon stands in the schema's metadata (`horizon`, RFC 3339).
Elsewhere: the same in JSON (`identity.api.render`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from identity.api.errors import BodyInvalid, BodyMalformed, BodyTooLarge
from identity.api.render import UNKNOWN
from identity.look_up import LookUpAnswer
from identity.model import Cid, CidStatus, Instant
from identity.statement import format_instant

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARROW", "ROWS_MAX", "accepts_arrow", "looked_up_stream", "read_columns", "resolved_stream"]

ARROW: Final = "application/vnd.apache.arrow.stream"
ROWS_MAX: Final = 10_000


def accepts_arrow(request: Request) -> bool:
    """True when the client asks for an Arrow stream."""
    return ARROW in request.headers.get("accept", "")


def read_columns(
    body: bytes, *, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, list[str | None]]:
    """Return the named text columns of an Arrow stream, in its order; optional ones if they are there.

    Raises:
        BodyMalformed: not an Arrow stream.
        BodyInvalid: a column is missing, is no text, or has a null although it is required.
        BodyTooLarge: more than 10,000 rows.
    """
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            batches: list[pa.RecordBatch] = []
            row_count = 0
            for batch in reader:
                # Counted while reading: dictionary and run-length columns hold more rows than bytes.
                row_count += batch.num_rows
                if row_count > ROWS_MAX:
                    raise BodyTooLarge(f"a request names at most {ROWS_MAX} rows")
                batches.append(batch)
            table = pa.Table.from_batches(batches, schema=reader.schema)
            table.validate(full=True)
            columns = [name for name in (*required, *optional) if name in table.column_names]
            missing = [name for name in required if name not in columns]
            if missing:
                raise BodyInvalid(f"the Arrow stream lacks the column {missing[0]}")
            return {name: _texts(table, name, may_be_null=name in optional) for name in columns}
    except (pa.ArrowException, UnicodeDecodeError, OSError, EOFError) as exc:
        raise BodyMalformed("the body is not an Arrow stream") from exc


def looked_up_stream(sources: Sequence[str], keys: Sequence[str], found: LookUpAnswer) -> Response:
    """Return the answer of a lookup as an Arrow stream: source, key, cid, status."""
    import pyarrow as pa

    text = pa.string()
    return _stream(
        {
            "source": pa.array(sources, text),
            "key": pa.array(keys, text),
            "cid": pa.array(found.cids, text),
            "status": pa.array(found.statuses, text),
        },
        found.horizon,
    )


def resolved_stream(
    rows: Sequence[tuple[str, CidStatus | None, tuple[Cid, ...]]], horizon: Instant
) -> Response:
    """Return CIDs followed to where they are, as an Arrow stream: cid, status, current (list of text)."""
    import pyarrow as pa

    return _stream(
        {
            "cid": pa.array([cid for cid, _, _ in rows], pa.string()),
            "status": pa.array([str(status or UNKNOWN) for _, status, _ in rows], pa.string()),
            "current": pa.array([list(current) for _, _, current in rows], pa.list_(pa.string())),
        },
        horizon,
    )


def _texts(table: pa.Table, name: str, *, may_be_null: bool) -> list[str | None]:
    import pyarrow as pa

    column = table.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise BodyInvalid(f"the column {name} is text (string)")
    if column.null_count and not may_be_null:
        raise BodyInvalid(f"the column {name} has no nulls")
    texts: list[str | None] = column.to_pylist()
    return texts


def _stream(columns: dict[str, pa.Array], horizon: Instant) -> Response:
    import pyarrow as pa

    batch = pa.RecordBatch.from_pydict(columns, metadata={"horizon": format_instant(horizon)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return Response(sink.getvalue().to_pybytes(), media_type=ARROW)
