"""Say in the store that a load runs, and note what it unsettles.

Invariants: no two loads run at once; a load that breaks off leaves its notes to whoever takes it over
(`identity.settling`), so that nothing stays as foreseen that did not come as foreseen.
Elsewhere: the kinds of notes and why they are made (`identity.bulk.load`).
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from sqlalchemy import insert, select, update

from identity.bulk.candidates import is_among
from identity.bulk.patience import patiently
from identity.model import Instant
from identity.settling import LOAD_STATES_ACTIVE
from identity.store_sql import tables
from identity.store_sql.bulk_reads import read_members

if TYPE_CHECKING:
    from identity.bulk.new_records import NewRecords
    from identity.bulk.request import LoadRequest
    from identity.bulk.stored_side import StoredHolders
    from identity.service import Identity

__all__ = ["RunningLoad"]

_NOTES_BATCH: Final = 20_000
_WAIT_S: Final = 0.5


class RunningLoad:
    """A load's row of `record_load`, and its notes."""

    def __init__(self, identity: Identity, request: LoadRequest, *, clock: Callable[[], Instant]) -> None:
        self._identity = identity
        self._store = identity.store
        self._request = request
        self._clock = clock
        self._keys_before = set(identity.settler.list_keys())

    def begin(self) -> None:
        """Mark the load as running, once no other is; from now on live writes note what they touch."""
        while not patiently(self._try_begin):
            self._identity.settle_some(limit=0)  # takes over a load that broke off
            if patiently(self._try_begin):
                break
            time.sleep(_WAIT_S)

    def note_crossing(self, new: NewRecords, stored: StoredHolders, *, holders_max: int) -> None:
        """Note what is unsettled if the load breaks off, and what the load itself unsettles."""
        patiently(lambda: self._note_crossing(new, stored, holders_max))

    def forget_foreign_keys(self, new: NewRecords) -> None:
        """Forget keys that live writes noted and no new record holds: those writes have done all there was to do."""
        patiently(lambda: self._forget_foreign_keys(new))

    def set_state(self, state: str) -> None:
        """Say how far the load is: settling or done."""
        patiently(lambda: self._set_state(state))

    def _try_begin(self) -> bool:
        load = tables.record_load
        now = self._clock()
        with self._store.write() as tx:
            tx.lock_whole()
            if tx.connection.scalar(select(load.c.id).where(load.c.state.in_(LOAD_STATES_ACTIVE)).limit(1)):
                return False
            tx.connection.execute(
                insert(load).values(
                    id=self._request.load_id,
                    source=self._request.source,
                    author=self._request.author,
                    started_at=now,
                    state="running",
                    holder=f"{socket.gethostname()}:{os.getpid()}",
                    beat_at=now,
                )
            )
        return True

    def _note_crossing(self, new: NewRecords, stored: StoredHolders, holders_max: int) -> None:
        is_crossing = new.held_counts + stored.count(new.held_keys) > holders_max
        crossing = new.held_keys[is_crossing]
        pids = np.unique(stored.holders[1][is_among(stored.holders[0], crossing)])
        for start in range(0, len(crossing), _NOTES_BATCH):
            with self._store.write() as tx:
                part = crossing[start : start + _NOTES_BATCH].tolist()
                tx.add_unsettled([("load-key", key) for key in part])
        for start in range(0, len(pids), _NOTES_BATCH):
            with self._store.write() as tx:
                # A record that is a component of its own stands alone without the key as well.
                places = tx.read_components_of_profiles(pids[start : start + _NOTES_BATCH].tolist())
                members = read_members(tx, {component_id for _, component_id in places})
                counts = Counter(member.component_id for member in members)
                holders = set(pids[start : start + _NOTES_BATCH].tolist())
                tx.add_unsettled(
                    [
                        ("record", member.rid)
                        for member in members
                        if member.pid in holders
                        and (counts[member.component_id] > 1 or member.component_level)
                    ]
                )

    def _forget_foreign_keys(self, new: NewRecords) -> None:
        settler = self._identity.settler
        noted = np.array(settler.list_keys(), dtype=np.int64)
        foreign = noted[~is_among(noted, new.held_keys)]
        settler.forget_keys(set(foreign.tolist()) - self._keys_before)

    def _set_state(self, state: str) -> None:
        load = tables.record_load
        with self._store.write() as tx:
            tx.lock_whole()
            ended_at = self._clock() if state == "done" else None
            tx.connection.execute(
                update(load).where(load.c.id == self._request.load_id).values(state=state, ended_at=ended_at)
            )
