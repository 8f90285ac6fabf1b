"""Keep scoring models: read the active one quickly, put the first one, replace one that nothing was resolved by.

Invariants:
1. A document once stored never changes, and the active one changes only by a decision, so a newer program keeps
   the partition of an older one.
2. The active model changes under a lock that every write shares, so what a write reads under its locks holds until
   it commits. The only two places that change it are here and leave exactly one model active.
Elsewhere: the document (`matching.scoring_model`), what is compiled from it (`identity.matcher`), who looks whether
it is still the active one (`identity.resolve`, `identity.bulk.slices`).
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, insert, select, update

from identity.errors import InvariantBroken
from identity.matcher import Matcher, compile_matcher
from identity.model import Instant
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.transaction import SELECT_ACTIVE_MODEL
from matching.scoring_model import ScoringModel, default_scoring_model, load_scoring_model

if TYPE_CHECKING:
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["ModelBook", "store_model"]

_FIND_RECORD: Final = select(tables.record.c.rid).limit(1)


class ModelBook:
    """The active scoring model of one store; its document is read and compiled once a version."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._recent: Matcher | None = None
        self._compiling = Lock()

    def begin_with_default(self, *, now: Instant) -> None:
        """Make the default model the active one of a store that has none."""
        with self._store.read_newest() as connection:
            versions = connection.exec_driver_sql(SELECT_ACTIVE_MODEL).all()
        if not versions:
            store_model(self._store, default_scoring_model(), now=now)

    def recall(self) -> Matcher:
        """Return the model as it was read last, for a caller who checks its version against the store later."""
        return self._recent or self.read_current()

    def read_current(self) -> Matcher:
        """Return the active model. Cost: one small query, unless it is another than the last time."""
        with self._store.read_newest() as connection:
            return self.read_within(connection)

    def read_within(self, connection: Connection) -> Matcher:
        """Return the model that is active in what this connection sees, for answers about just that."""
        versions = connection.exec_driver_sql(SELECT_ACTIVE_MODEL).scalars().all()
        if len(versions) != 1:
            raise InvariantBroken(
                f"A store has one active scoring model; this one has {len(versions)}. Restore it from a backup."
            )
        matcher = self._recent
        if matcher is None or matcher.version != versions[0]:
            with self._compiling:  # many threads find out at once
                matcher = self._recent
                if matcher is None or matcher.version != versions[0]:
                    matcher = self._recent = self._compile(connection, versions[0])
        return matcher

    def is_in_use(self) -> bool:
        """Tell whether the store holds a record, so that the active model is not replaced any more."""
        with self._store.read_newest() as connection:
            return connection.scalar(_FIND_RECORD) is not None

    def replace_untrained(self, model: ScoringModel, *, expected_version: str, now: Instant) -> bool:
        """Make `model` the active one if nothing was resolved by the present one; return whether it did.

        It does not when another model than `expected_version` is active, or the store holds a record, withdrawn ones
        included. The model that was active stays stored.
        """
        table = tables.scoring_model
        with self._store.write() as tx:
            tx.lock_whole()
            if tx.read_active_model() != expected_version or tx.connection.scalar(_FIND_RECORD) is not None:
                return False
            tx.connection.execute(update(table).where(table.c.is_active).values(is_active=False))
            # It may have been active once before: its time begins anew.
            tx.connection.execute(delete(table).where(table.c.version == model.version))
            _insert_active(tx, model, now)
        return True

    def _compile(self, connection: Connection, version: str) -> Matcher:
        table = tables.scoring_model
        document = connection.scalar(select(table.c.document).where(table.c.version == version))
        model = load_scoring_model(bytes(document or b""))
        if model.version != version:
            raise InvariantBroken(
                f"The document of scoring model {version} was changed: it is {model.version} now. Restore it from a backup."
            )
        return compile_matcher(model, sealer=self._store.sealer)


def store_model(store: SqlStore, model: ScoringModel, *, now: Instant) -> None:
    """Store a model as the active one, unless the store has one."""
    with store.write() as tx:
        tx.lock_whole()
        if not tx.connection.exec_driver_sql(SELECT_ACTIVE_MODEL).all():
            _insert_active(tx, model, now)


def _insert_active(tx: SqlTransaction, model: ScoringModel, now: Instant) -> None:
    tx.connection.execute(
        insert(tables.scoring_model).values(
            version=model.version, document=model.document, created_at=now, is_active=True
        )
    )
