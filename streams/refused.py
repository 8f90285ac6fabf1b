"""Keep what could not be taken, with its cause and origin, until somebody mends or discards it.

Invariants:
1. A reject is written in the transaction that moves on past it; the same message refused again is the same reject.
2. Key and message are sealed with a data key of the reject's own, and forgotten when it is closed. Code, detail and
   origin hold no value of the message.
3. Ids grow in the order in which messages about one record were refused.
Elsewhere: replaying (`streams.replay`), the refused rows of a loaded file (`streams.rejects`), the table
(`identity.store_sql.tables`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson
from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from identity.model import Instant, RecordRef
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SqlTransaction
from streams.errors import RejectClosed, RejectUnknown
from streams.held import count_versions
from streams.offsets import Partition
from streams.reading import Fetched, Reading, Refusal

__all__ = ["Reject", "RejectBook", "RejectFilter", "RejectOriginKind", "RejectState", "RejectedMessage"]


class RejectOriginKind(StrEnum):
    """Where refused messages came in."""

    TOPIC = "topic"
    FILE = "file"
    """The partition's topic is the name of the file, the offset the number of the row's line."""


class RejectState(StrEnum):
    """What became of a reject."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Reject:
    """What may be told of a reject: nothing that the source stated."""

    id: int
    source: str
    ref_hash: int | None
    code: str
    detail: str
    origin: str
    origin_name: str
    origin_part: int
    origin_place: int
    contract_version: int
    versions_held: int
    created_at: Instant
    state: RejectState
    closed_at: Instant | None
    closed_by: str | None


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """What was refused: personal data."""

    key: str | None
    fetched: Fetched


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Which rejects; what is not named does not matter."""

    state: RejectState | None = RejectState.OPEN
    source: str | None = None
    ref: RecordRef | None = None
    code: str | None = None
    ids: Collection[int] | None = None


class RejectBook:
    """The rejects of one store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def add(
        self,
        tx: SqlTransaction,
        refused: Sequence[tuple[Reading, Refusal]],
        *,
        now: Instant,
        origin: RejectOriginKind = RejectOriginKind.TOPIC,
    ) -> None:
        """Write refused messages with the transaction's other writes; one that stands there already stays as it is."""
        if not refused:
            return
        sealer = self._store.sealer
        held = count_versions(tx, {reading.refs[0] for reading, _ in refused if reading.refs})
        rows = []
        for reading, refusal in refused:
            fetched = reading.fetched
            ref = reading.refs[0] if reading.refs else None
            data_key, wrapped = sealer.new_data_key()
            rows.append(
                {
                    "source": reading.contract.name,
                    "ref_hash": None if ref is None else sealer.ref_hash(ref),
                    "code": refusal.code,
                    "detail": refusal.detail,
                    "origin": origin.value,
                    "origin_name": fetched.partition.topic,
                    "origin_part": fetched.partition.number,
                    "origin_place": fetched.offset,
                    "digest": sealer.digest(*_parts(fetched)),
                    "contract_version": reading.contract.version,
                    "versions_held": 0 if ref is None else held.get(ref, 0),
                    "data_key": wrapped,
                    "sealed": sealer.seal(data_key, _encode(None if ref is None else ref.key, fetched)),
                    "created_at": now,
                    "state": RejectState.OPEN.value,
                }
            )
        insert = postgresql.insert if self._store.is_postgres else sqlite_dialect.insert
        tx.connection.execute(insert(tables.reject).on_conflict_do_nothing(), rows)

    def find_open(self, tx: SqlTransaction, refs: Iterable[RecordRef]) -> set[RecordRef]:
        """Return those records of which a message stands open."""
        hashes = {self._store.sealer.ref_hash(ref): ref for ref in refs}
        if not hashes:
            return set()
        ref_hash = tables.reject.c.ref_hash
        rows = tx.connection.scalars(
            select(ref_hash).where(
                ref_hash.in_(sorted(hashes)), tables.reject.c.state == RejectState.OPEN.value
            )
        )
        return {hashes[one] for one in rows}

    def list_rejects(self, wanted: RejectFilter, *, limit: int | None = None) -> list[Reject]:
        """Return rejects in the order in which they were refused."""
        query = self._where(select(*_TOLD), wanted).order_by(tables.reject.c.id)
        with self._store.read() as connection:
            return [_reject(row) for row in connection.execute(query.limit(limit))]

    def list_untold(self, *, limit: int) -> list[Reject]:
        """Return rejects that Kafka was not told of, those of one partition in the order of their offsets."""
        table = tables.reject
        query = select(*_TOLD).where(table.c.told_at.is_(None)).order_by(table.c.id).limit(limit)
        with self._store.read() as connection:
            return [_reject(row) for row in connection.execute(query)]

    @staticmethod
    def note_told(tx: SqlTransaction, reject_ids: Collection[int], *, now: Instant) -> None:
        """Note, with the transaction's other writes, that Kafka was told of these."""
        if reject_ids:
            table = tables.reject
            tx.connection.execute(update(table).where(table.c.id.in_(reject_ids)).values(told_at=now))

    def get(self, reject_id: int) -> Reject:
        """Return one reject; raises RejectUnknown."""
        found = self.list_rejects(RejectFilter(state=None, ids=[reject_id]))
        if not found:
            raise RejectUnknown(
                f"There is no reject {reject_id}; `sameas rejects list` lists those that are open."
            )
        return found[0]

    def require_open(self, reject_id: int) -> None:
        """Raise RejectUnknown or RejectClosed unless the reject is open."""
        if self.get(reject_id).state is not RejectState.OPEN:
            raise _closed(reject_id)

    def open_message(self, reject_id: int) -> RejectedMessage:
        """Return what was refused.

        Raises:
            RejectUnknown: there is no such reject.
            RejectClosed: it was replayed or discarded; its message is forgotten.
        """
        table = tables.reject
        with self._store.read() as connection:
            row = connection.execute(
                select(
                    table.c.origin_name,
                    table.c.origin_part,
                    table.c.origin_place,
                    table.c.data_key,
                    table.c.sealed,
                ).where(table.c.id == reject_id)
            ).first()
        if row is None:
            raise RejectUnknown(
                f"There is no reject {reject_id}; `sameas rejects list` lists those that are open."
            )
        if row.sealed is None:
            raise _closed(reject_id)
        sealer = self._store.sealer
        plain = sealer.open(sealer.unwrap(row.data_key), row.sealed)
        return _decode(plain, Partition(row.origin_name, row.origin_part), row.origin_place)

    def find_older(self, reject: Reject) -> int | None:
        """Return the oldest open reject of the same record that was refused before this one."""
        table = tables.reject
        if reject.ref_hash is None:
            return None
        with self._store.read() as connection:
            return connection.scalar(
                select(table.c.id)
                .where(
                    table.c.ref_hash == reject.ref_hash,
                    table.c.state == RejectState.OPEN.value,
                    table.c.id < reject.id,
                )
                .order_by(table.c.id)
                .limit(1)
            )

    @staticmethod
    def close(tx: SqlTransaction, reject_id: int, state: RejectState, *, by: str, now: Instant) -> None:
        """Close a reject and forget its message, with the transaction's other writes.

        Raises:
            RejectClosed: somebody closed it before.
        """
        table = tables.reject
        closed = tx.connection.execute(
            update(table)
            .where(table.c.id == reject_id, table.c.state == RejectState.OPEN.value)
            .values(state=state.value, closed_at=now, closed_by=by, data_key=None, sealed=None)
        )
        if closed.rowcount == 0:
            raise _closed(reject_id)

    def discard(self, reject_id: int, *, by: str, now: Instant) -> None:
        """Close a reject without taking its message; raises RejectUnknown or RejectClosed."""
        self.get(reject_id)
        with self._store.write() as tx:
            self.close(tx, reject_id, RejectState.DISCARDED, by=by, now=now)

    def _where(self, query: Select[tuple[object, ...]], wanted: RejectFilter) -> Select[tuple[object, ...]]:
        table = tables.reject
        conditions: list[ColumnElement[bool]] = []
        if wanted.state is not None:
            conditions.append(table.c.state == wanted.state.value)
        if wanted.source is not None:
            conditions.append(table.c.source == wanted.source)
        if wanted.ref is not None:
            conditions.append(table.c.ref_hash == self._store.sealer.ref_hash(wanted.ref))
        if wanted.code is not None:
            conditions.append(table.c.code == wanted.code)
        if wanted.ids is not None:
            conditions.append(table.c.id.in_(sorted(wanted.ids)))
        return query.where(*conditions)


_UNTOLD = {"digest", "data_key", "sealed", "told_at"}
_TOLD = [column for column in tables.reject.columns if column.name not in _UNTOLD]


def _reject(row: Row[tuple[object, ...]]) -> Reject:
    told = dict(row._mapping)
    return Reject(**{**told, "state": RejectState(told["state"])})


def _closed(reject_id: int) -> RejectClosed:
    return RejectClosed(
        f"Reject {reject_id} is closed: it was replayed or discarded, and its message forgotten."
    )


def _parts(fetched: Fetched) -> list[bytes]:
    """Return what makes two refused messages the same."""
    parts = [
        b"" if fetched.key is None else b"k" + fetched.key,
        b"" if fetched.value is None else b"v" + fetched.value,
    ]
    for name, value in fetched.headers:
        parts += [name.encode(), b"" if value is None else b"h" + value]
    return parts


def _encode(key: str | None, fetched: Fetched) -> bytes:
    return orjson.dumps(
        {
            "key": key,
            "message_key": _text(fetched.key),
            "value": _text(fetched.value),
            "headers": [(name, _text(value)) for name, value in fetched.headers],
        }
    )


def _decode(plain: bytes, partition: Partition, offset: int) -> RejectedMessage:
    kept = orjson.loads(plain)
    headers = [(name, _bytes(value)) for name, value in kept["headers"]]
    fetched = Fetched(partition, offset, _bytes(kept["message_key"]), _bytes(kept["value"]), headers)
    return RejectedMessage(kept["key"], fetched)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
