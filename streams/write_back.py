"""Keep the CID column of a source's own table as the crosswalk says, for systems without Kafka.

1. At first, and from time to time, all keys of the source are compared with the table: a sweep. It takes the end of the
   feed, goes through the keys, and only then moves its place to that end.
2. In between it follows the feed: what changed is looked up as it stands now, and written where it differs.
3. Then the rows are read back; what they hold counts as acknowledged, in the transaction that moves the place.

Invariant: the place moves only after the rows were written, committed and read back; so whatever ends the agent, it
goes on without a gap, and what comes again changes nothing. A key without a row is no failure: the next sweep finds the
row if it comes without a change of the crosswalk. Withdrawn and renamed keys are left as they are.
Elsewhere: the table (`streams.customer_table`), the row that keeps the place (`streams.relay_place`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from identity.cursor import format_cursor, parse_cursor
from identity.errors import StoreBusy, StoreFull, StoreMigrating, StoreUnreachable
from identity.model import Cid, Instant, KeyStatus, RecordRef
from identity.service import Identity
from identity.snapshot import iter_crosswalk_pages
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from streams.customer_table import CustomerTable
from streams.delivery import Acknowledgement, Evidence
from streams.errors import WriteBackUnreachable
from streams.ledger import DeliveryLedger
from streams.outbox import BEGINNING, OutboxPlace
from streams.relay_place import RelayPlace

__all__ = ["WriteBack", "WriteBackNotes", "write_back_place"]

_BATCH: Final = 1_000
_PAUSE_S: Final = 0.5
_STANDBY_S: Final = 1.0
_RETRY_S_MIN: Final = 0.5
_RETRY_S_MAX: Final = 30.0
_TRIED_AGAIN: Final = (StoreBusy, StoreFull, StoreMigrating, StoreUnreachable, WriteBackUnreachable)


class WriteBackNotes(Protocol):
    """Is told what the agent does, for metrics and logs."""

    def wrote(self, *, written: int, same: int, missing: int) -> None:
        """Some keys were compared with their rows."""

    def failed(self, error: SameasError) -> None:
        """Something was refused and is tried again."""


def write_back_place(source: str) -> str:
    """Return the name of the row that holds a source's place."""
    return f"write_back:{source}"


class WriteBack:
    """Writes one source's CIDs back.

    Args:
        place: the source's row, under a name of this process.
        sweep_us: how long after a sweep the next one comes.
    """

    def __init__(
        self,
        source: str,
        *,
        identity: Identity,
        table: CustomerTable,
        place: RelayPlace,
        notes: WriteBackNotes,
        now: Callable[[], Instant],
        sweep_us: Instant,
        batch: int = _BATCH,
    ) -> None:
        self._source = source
        self._identity = identity
        self._table = table
        self._ledger = DeliveryLedger(identity)
        self._place = place
        self._notes = notes
        self._now = now
        self._sweep_us = sweep_us
        self._batch = batch
        self._swept_at = now()
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `run` after the batch under way; may be called from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Write back until `stop`.

        Raises:
            WriteBackRefused: the source's database will not have it; trying again does not mend that.
        """
        retry_s = _RETRY_S_MIN
        while not self._stop.is_set():
            try:
                pause_s = self._run_step()
                retry_s = _RETRY_S_MIN
            except _TRIED_AGAIN as error:
                self._notes.failed(error)
                pause_s, retry_s = retry_s, min(2 * retry_s, _RETRY_S_MAX)
            self._stop.wait(pause_s)
        try:
            self._place.leave()
        except _TRIED_AGAIN as error:
            self._notes.failed(error)  # another process waits a little longer

    def run_once(self) -> bool:
        """Do one batch, or one sweep; return whether there may be more. The place must be this process's."""
        at = self._place.find()
        if at is None:
            return False
        if at == BEGINNING or self._now() - self._swept_at >= self._sweep_us:
            return self._sweep(at)
        events, cursor = self._identity.changes(format_cursor(*at), limit=self._batch, sources=[self._source])
        end = OutboxPlace(*parse_cursor(cursor))
        if end == at:
            self._place.show(self._now())
            return False
        if not self._place.keep(self._now()):
            return False  # an older CID must not be written over what another process wrote
        refs = list(dict.fromkeys(RecordRef(one.source, one.key) for one in events))
        rows = self._identity.look_up(refs).rows if refs else []
        told = self._write(
            {
                ref.key: cid
                for ref, (cid, status) in zip(refs, rows, strict=True)
                if status is KeyStatus.LIVE and cid is not None
            }
        )
        return self._place.advance(at, end, now=self._now(), beside=self._acknowledging(told))

    def _run_step(self) -> float:
        """Return how long to pause before the next."""
        if self._place.find() is None:
            if not self._place.is_free(self._now()):
                return _STANDBY_S
            self._place.take(self._now())
        return 0 if self.run_once() else _PAUSE_S

    def _sweep(self, at: OutboxPlace) -> bool:
        """Compare all keys; what changes meanwhile comes after the end that was taken first."""
        begun_at, end = self._now(), OutboxPlace(*parse_cursor(self._identity.feed_end()))
        for page in iter_crosswalk_pages(self._identity.store, [self._source], page_rows=self._batch):
            if self._stop.is_set() or not self._place.keep(self._now()):
                return False
            told = self._write(
                {one.key: one.cid for one in page if one.status is KeyStatus.LIVE and one.cid is not None}
            )
            with self._identity.store.write() as tx:
                self._acknowledging(told)(tx)
        self._swept_at = begun_at
        return self._place.advance(at, max(at, end), now=self._now()) and end > at

    def _write(self, cids: Mapping[str, Cid]) -> Sequence[Acknowledgement]:
        """Write, read back, and return what the rows hold."""
        if not cids:
            return ()
        written, missing = self._table.write(cids)
        held = self._table.read([key for key in cids if key not in missing])
        self._notes.wrote(written=written, same=len(cids) - len(missing) - written, missing=len(missing))
        now = self._now()
        return [
            Acknowledgement(
                RecordRef(self._source, key), None if cid is None else Cid(cid), Evidence.READ_BACK, at=now
            )
            for key, cid in held.items()
        ]

    def _acknowledging(self, told: Sequence[Acknowledgement]) -> Callable[[SqlTransaction], None]:
        def beside(tx: SqlTransaction) -> None:
            if told:
                self._ledger.acknowledge_in(tx, told)

        return beside
