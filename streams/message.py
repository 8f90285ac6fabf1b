"""Read one message of a records topic, whatever form it has.

How the form is told:
1. Null: a tombstone of Debezium where the key is a JSON object, else a plain withdrawal.
2. `{"schema", "payload"}` is opened first.
3. `op` and `source`: an envelope. `attributes`: a plain statement. Debezium's heartbeat and transaction marks say
   nothing. Any other object is a flattened row.

Invariant: pure, and total: whatever bytes arrive, one value of `streams.model` comes out, and no text of it holds a
value of the message.
Elsewhere: envelopes and rows (`streams.debezium`), plain messages (`streams.plain_message`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from identity.contract import SourceContract
from streams.debezium import ChangeReader, Decoded, is_envelope, unwrap
from streams.model import Headers, Ignored, NotTaken, SourceMessage
from streams.plain_message import is_plain, read_plain, read_plain_null

__all__ = ["MessageReader"]

_HEARTBEAT: Final = frozenset({"ts_ms"})
_TRANSACTION_MARK: Final = frozenset({"status", "id", "event_count", "data_collections"})


class MessageReader:
    """Reads the messages of one source under one version of its contract; made once, used for many messages."""

    def __init__(self, contract: SourceContract, *, cid_field: str | None = None) -> None:
        """Compile the contract; see `streams.debezium.ChangeReader`."""
        self._contract = contract
        self._changes = ChangeReader(contract, cid_field=cid_field)

    def read(self, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> SourceMessage:
        """Return what the message says."""
        told = headers or ()
        if value is None:
            return self._read_null(key, told)
        try:
            payload, schema = unwrap(orjson.loads(value))
        except orjson.JSONDecodeError:
            return NotTaken("malformed", "the message's value is not JSON (UTF-8).")
        if payload is None:
            return self._read_null(key, told)
        if not isinstance(payload, dict):
            return NotTaken("malformed", "the message's value is not a JSON object.")
        if is_envelope(payload):
            return self._changes.read_envelope(_decoded_key(key), payload, told, schema=schema)
        if is_plain(payload):
            return read_plain(self._contract, key, payload)
        if payload.keys() == _HEARTBEAT:
            return Ignored("heartbeat")
        if payload.keys() >= _TRANSACTION_MARK:
            return Ignored("transaction_mark")
        return self._changes.read_flat(_decoded_key(key), payload, told, schema=schema)

    def _read_null(self, key: bytes | None, headers: Headers) -> SourceMessage:
        decoded = _decoded_key(key)
        if isinstance(decoded.payload, Mapping):
            return self._changes.read_tombstone(decoded, headers)
        return read_plain_null(self._contract, key, headers)


def _decoded_key(key: bytes | None) -> Decoded:
    """Return the key as JSON, out of its schema, where it is JSON; else as text."""
    if not key:
        return Decoded(None)
    try:
        return unwrap(orjson.loads(key))
    except orjson.JSONDecodeError:
        return Decoded(key.decode("utf-8", "replace"))
