"""Create a customer whose key is its CID (approach 4): no key is sent, the CID becomes the key.

1. Resolve the attributes as a dry run under a fresh CID as key, to learn which customer they stand for.
2. If the source has a record of that customer, refuse.
3. Resolve for good with that customer's CID as key, or the fresh one for a new customer. If someone else
   changed the answer meanwhile, begin anew.

Invariant: the key is the CID that the record had when it was stored; the token of a request is stored
with its answer, so the same request again answers the same and stores nothing.
Elsewhere: the resolve path (`identity.resolve`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson
from sqlalchemy import select

from identity.contract_book import ContractBook
from identity.errors import CustomerExists, IdempotencyConflict, SourceRetired, StatementRefused, StoreBusy
from identity.model import Cid, Instant, KeyStatus, Outcome, RecordAnswer, RecordCommand, RecordRef
from identity.resolve import Resolver
from identity.store import Row
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from matching.standardise import clean_attributes

__all__ = ["NewCustomers"]

_ATTEMPTS_MAX: Final = 10
_TOKEN_MAX: Final = 255


class NewCustomers:
    """Creates customers on one store."""

    def __init__(
        self,
        store: SqlStore,
        resolver: Resolver,
        contracts: ContractBook,
        *,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._contracts = contracts
        self._clock = clock
        self._new_cid = new_cid

    def create(
        self, source: str, attributes: Mapping[str, object], *, idempotency_key: str, author: str
    ) -> RecordAnswer:
        """Return the answer for a new record of `source`; see `Identity.create_customer`."""
        entry = self._contracts.get(source)
        if entry.is_retired:
            raise SourceRetired(f"Source {source} is retired and takes no statements.")
        if not 0 < len(idempotency_key) <= _TOKEN_MAX:
            raise StatementRefused(f"An Idempotency-Key has 1 to {_TOKEN_MAX} characters.")
        clean = clean_attributes(attributes)
        token = self._store.sealer.digest(b"token", source.encode(), idempotency_key.encode())
        digest = self._store.sealer.digest(orjson.dumps(clean, option=orjson.OPT_SORT_KEYS))
        for _ in range(_ATTEMPTS_MAX):
            answered = self._find_answer(source, token, digest)
            if answered is not None:
                return answered
            fresh = self._new_cid(self._clock())
            cid = self._foresee(source, clean, fresh, author)
            try:
                self._refuse_second(source, cid)
            except CustomerExists:
                # The record may be that of this very request, sent twice: its twin was stored since we asked.
                answered = self._find_answer(source, token, digest)
                if answered is None:
                    raise
                return answered
            command = RecordCommand(
                RecordRef(source, cid), clean, author=author, wished_cid=cid if cid == fresh else None
            )
            answer = self._resolver.resolve_as_foreseen(
                command,
                cid,
                keep=self._keep(token, digest),
                is_first=self._ask_first(command.ref, cid, token),
            )
            if answer is not None:
                return answer
        raise StoreBusy("Other writers came first each time; try again.")

    def _foresee(self, source: str, attributes: dict[str, object], fresh: Cid, author: str) -> Cid:
        """Return the CID that the customer would have now."""
        command = RecordCommand(RecordRef(source, fresh), attributes, author=author, wished_cid=fresh)
        answer = self._resolver.resolve([command], dry_run=True)[0]
        if isinstance(answer, SameasError):
            raise answer
        return answer.cid if answer.cid is not None else fresh

    def _refuse_second(self, source: str, cid: Cid) -> None:
        record = tables.record
        with self._store.read() as connection:
            keys = connection.execute(
                select(record.c.key)
                .where(
                    record.c.source == source,
                    (record.c.key == cid)
                    | ((record.c.cid == cid) & (record.c.status == KeyStatus.LIVE.value)),
                )
                .limit(1)
            ).all()
        if keys:
            raise CustomerExists(
                f"Source {source} already has a record of this customer: {keys[0].key}. Update that record instead."
            )

    def _find_answer(self, source: str, token: bytes, digest: bytes) -> RecordAnswer | None:
        table, record = tables.idempotency, tables.record
        with self._store.read() as connection:
            row = connection.execute(
                select(table, record.c.key)
                .join(record, record.c.rid == table.c.rid)
                .where(table.c.source == source, table.c.token_hash == token)
            ).first()
        if row is None:
            return None
        if bytes(row.request_digest) != digest:
            raise IdempotencyConflict(
                "This Idempotency-Key was used with other attributes; choose a new one."
            )
        return RecordAnswer(
            RecordRef(source, row.key), Cid(row.cid), Outcome(row.outcome), row.known_at, is_new=True
        )

    @staticmethod
    def _ask_first(ref: RecordRef, cid: Cid, token: bytes) -> Callable[[SqlTransaction], bool]:
        """Return the question whether this is the first such request, and the first such record of its source."""

        def is_first(tx: SqlTransaction) -> bool:
            table, record = tables.idempotency, tables.record
            answered = select(table.c.rid).where(table.c.source == ref.source, table.c.token_hash == token)
            others = select(record.c.rid).where(
                record.c.source == ref.source,
                record.c.cid == cid,
                record.c.status == KeyStatus.LIVE.value,
                record.c.key != ref.key,
            )
            return not any(tx.connection.execute(query.limit(1)).first() for query in (answered, others))

        return is_first

    @staticmethod
    def _keep(token: bytes, digest: bytes) -> Callable[[RecordAnswer, int], Row]:
        def row(answer: RecordAnswer, rid: int) -> Row:
            return (
                answer.ref.source, token, digest, rid, answer.cid, answer.outcome.value, answer.known_at,
            )  # fmt: skip

        return row
