"""Read CIDs back from a source's own database, as evidence that they have arrived.

One pass asks for the rows of those records only that wait for evidence, some hundred in one statement by the key
column; a whole pass reads every row once, in the order of the key, and so finds CIDs that were lost.

Invariant: only reads; nothing of a row but its key and its CID is asked for. A message names tables and columns,
never a value or the database's password.
Elsewhere: what follows (`streams.ledger`), writing CIDs into such a table (the JDBC sink, `streams.connect`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Engine, MetaData, Select, Table, create_engine, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from identity.model import Cid, Instant, RecordRef
from identity.service import Identity
from identity.statement import is_cid_text
from identity.store_sql import tables
from streams.delivery import Acknowledgement, Evidence
from streams.errors import ReadBackRefused, SourceDatabaseUnreachable
from streams.ledger import DeliveryLedger

__all__ = ["CidTable", "ReadBack", "open_cid_table"]

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class CidTable:
    """A table of a source in which its keys and the CIDs that it was given stand."""

    engine: Engine
    key: Column[Any]
    cid: Column[Any]

    def read_rows(self, keys: Sequence[str]) -> dict[str, Cid | None]:
        """Return the CIDs of those keys that have a row; None where it bears none."""
        wanted = {value: key for key in keys if (value := self._as_stored(key)) is not None}
        return self._read(select(self.key, self.cid).where(self.key.in_(wanted))) if wanted else {}

    def iter_rows(self) -> Iterator[dict[str, Cid | None]]:
        """Yield all rows, some hundred at a time, in the order of their keys."""
        last: object = None
        while True:
            query = select(self.key, self.cid).where(self.key.is_not(None)).order_by(self.key).limit(_BATCH)
            with _translating(), self.engine.connect() as connection:
                rows = connection.execute(query if last is None else query.where(self.key > last)).all()
            if not rows:
                return
            last = rows[-1][0]
            yield {str(key): _as_cid(cid) for key, cid in rows}

    def _read(self, query: Select[Any]) -> dict[str, Cid | None]:
        with _translating(), self.engine.connect() as connection:
            return {str(key): _as_cid(cid) for key, cid in connection.execute(query)}

    def _as_stored(self, key: str) -> object | None:
        """Return a key as the column holds it; None where no row can have it."""
        kind = self.key.type.python_type
        if kind is str:
            return key
        try:
            value = kind(key)
        except (ValueError, ArithmeticError, TypeError):
            return None
        return value if str(value) == key else None


def open_cid_table(url: str, table: str, *, key_column: str, cid_column: str) -> CidTable:
    """Return the table that `schema.table` names in the database of an SQLAlchemy URL.

    Raises:
        ReadBackRefused: the URL cannot be read, or there is no such table or column.
        SourceDatabaseUnreachable: the database does not answer.
    """
    schema, _, name = table.rpartition(".")
    try:
        engine = create_engine(url.strip(), pool_size=1, max_overflow=0, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as exc:
        raise ReadBackRefused(
            "the database's URL is one of SQLAlchemy, such as postgresql+psycopg://user@host/database, and its driver "
            "is installed."
        ) from exc
    try:
        with _translating():
            found = Table(name, MetaData(), schema=schema or None, autoload_with=engine)
    except NoSuchTableError as exc:
        engine.dispose()
        raise ReadBackRefused(f"there is no table {table} in the source's database.") from exc
    except BaseException:
        engine.dispose()
        raise
    missing = [one for one in (key_column, cid_column) if one not in found.c]
    if missing:
        engine.dispose()
        raise ReadBackRefused(f"table {table} has no column {', '.join(missing)}.")
    return CidTable(engine, found.c[key_column], found.c[cid_column])


class ReadBack:
    """Reads one source's CIDs back."""

    def __init__(
        self, identity: Identity, source: str, table: CidTable, *, now: Callable[[], Instant]
    ) -> None:
        self._identity = identity
        self._ledger = DeliveryLedger(identity)
        self._source = source
        self._table = table
        self._now = now

    def read_waiting(self) -> int:
        """Look at the records that wait for evidence; return how many rows of the ledger that changed.

        Cost: one statement here, and one in the source's database, for 500 of them.
        """
        changed, last = 0, 0
        delivery, record = tables.delivery, tables.record
        while True:
            with self._identity.store.read() as connection:
                rows = connection.execute(
                    select(delivery.c.rid, record.c.key)
                    .join(record, record.c.rid == delivery.c.rid)
                    .where(delivery.c.source == self._source, text("delivery.is_open"), delivery.c.rid > last)
                    .order_by(delivery.c.rid)
                    .limit(_BATCH)
                ).all()
            if not rows:
                return changed
            last = rows[-1].rid
            found = self._table.read_rows([row.key for row in rows])
            changed += self._acknowledge(found)

    def read_all(self) -> int:
        """Look at every row of the source's table; return how many rows of the ledger that changed."""
        return sum(self._acknowledge(found) for found in self._table.iter_rows())

    def _acknowledge(self, found: dict[str, Cid | None]) -> int:
        now = self._now()
        return self._ledger.acknowledge(
            [
                Acknowledgement(RecordRef(self._source, key), cid, Evidence.READ_BACK, now)
                for key, cid in found.items()
            ]
        )


def _as_cid(value: object) -> Cid | None:
    stated = "" if value is None else str(value).lower()
    return Cid(stated) if is_cid_text(stated) else None


@contextlib.contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except NoSuchTableError:
        raise
    except SQLAlchemyError as exc:
        raise SourceDatabaseUnreachable(
            f"the source's database does not answer, or refuses ({type(exc).__name__}); see its log."
        ) from None
