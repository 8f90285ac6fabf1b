"""The port between identity's decisions and a store: what a transaction can read, lock and write.

Invariants:
1. What a `WriteTransaction` reads after `lock` or `lock_components` has seen every transaction that held
   those locks before (locking and reading are two statements).
2. Nothing is visible to anyone before the transaction ends, and then all of it is.
3. `tick` gives an instant later than that of every transaction that ticked before, on every machine.
Elsewhere: PostgreSQL and SQLite (`identity.store_sql`), the order of the calls (`identity.resolve`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, overload

from identity.decide import VersionFacts
from identity.history import HistoryRow
from identity.model import Cid, CidStatus, Instant, JudgementClass, RecordRef, Verdict
from matching.model import Profile

__all__ = [
    "CidRow",
    "JudgementRow",
    "NamedRow",
    "Question",
    "RecordRow",
    "RecordStore",
    "Row",
    "SourcedProfile",
    "TableWriter",
    "VersionRow",
    "WriteTransaction",
    "known",
]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

Row = tuple[object, ...]

SourcedProfile = tuple[str, Profile]
"""A profile with the source whose records hold it."""


class RecordRow(NamedTuple):
    """One row of `record`, its columns in the table's order."""

    rid: int
    source: str
    key: str
    pid: int | None
    component_id: int | None
    component_level: int
    cid: Cid | None
    status: str
    vid: int
    version: int | None
    effective_at: Instant | None
    digest: bytes
    contract_version: int
    key_version: int
    first_valid_from: Instant
    valid_from: Instant
    system_from: Instant
    is_tied: bool
    data_key: bytes

    @property
    def ref(self) -> RecordRef:
        """The record's name."""
        return RecordRef(self.source, self.key)


class VersionRow(NamedTuple):
    """What is kept of one version of a record, opened: its statement and profile."""

    vid: int
    rid: int
    version: int | None
    effective_at: Instant | None
    known_at: Instant
    superseded_at: Instant
    digest: bytes
    contract_version: int
    author: str
    statement: dict[str, object] | None
    profile: Profile | None


class CidRow(NamedTuple):
    """The state of a CID: its status and, while retired, its successors as of that change."""

    cid: Cid
    status: CidStatus
    successors: tuple[Cid, ...]


class NamedRow(NamedTuple):
    """A record named by a judgement in force, or by the `same_as` of the record `stating_rid`."""

    ref_hash: int
    judgement_id: str
    stating_rid: int
    ref: RecordRef


class JudgementRow(NamedTuple):
    """A judgement with the records it names."""

    id: str
    verdict: Verdict
    judgement_class: JudgementClass
    reason: str
    author: str
    stated_by_rid: int | None
    system_from: Instant
    system_to: Instant
    left: tuple[RecordRef, ...]
    right: tuple[RecordRef, ...]


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """One statement that can be sent together with others (`WriteTransaction.at_once`).

    `send` sends it and returns what waits for its answer.
    """

    send: Callable[[], Callable[[], A]]


def known(answer: A) -> Question[A]:
    """Return a question whose answer is known: nothing is sent."""
    return Question(lambda: lambda: answer)


class TableWriter(Protocol):
    """Writes rows; a row's values stand in the order of the named columns."""

    def together(self, *, rows_max: int) -> AbstractContextManager[object]:
        """Send the writes of the block without waiting for each, where none has more rows than `rows_max`."""

    def insert_rows(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows that hold every column of the table."""

    def insert_absent_rows(self, table: str, rows: Sequence[Row]) -> set[int]:
        """Insert rows whose first column, the id, the caller has not found; return the ids that nobody else inserted."""

    def update_rows(self, table: str, by: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Set `columns` where `by` equals; a row holds the `by` values, then the column values."""

    def delete_rows(self, table: str, by: Sequence[str], rows: Sequence[Row]) -> None:
        """Delete rows where the `by` columns equal."""


class WriteTransaction(TableWriter, Protocol):
    """One transaction that may write; rolled back unless its context ends without an error.

    What stands as `ask_…` can be sent together with others, in one round trip; the statements run one after
    the other all the same, each with a snapshot of its own.
    """

    @overload
    def at_once(self, one: Question[A], two: Question[B], /) -> tuple[A, B]: ...
    @overload
    def at_once(self, one: Question[A], two: Question[B], three: Question[C], /) -> tuple[A, B, C]: ...
    @overload
    def at_once(
        self, one: Question[A], two: Question[B], three: Question[C], four: Question[D], /
    ) -> tuple[A, B, C, D]: ...
    @overload
    def at_once(self, *questions: Question[Any]) -> tuple[Any, ...]: ...
    def at_once(self, *questions: Question[Any]) -> tuple[Any, ...]:
        """Send the questions in one round trip and return their answers, in order."""

    def ask_lock(self, hashes: Iterable[int]) -> Question[None]:
        """Ask for what `lock` does."""

    def ask_lock_components(self, component_ids: Iterable[int]) -> Question[None]:
        """Ask for what `lock_components` does."""

    def ask_records(self, refs: Collection[RecordRef]) -> Question[dict[RecordRef, RecordRow]]:
        """Ask for what `read_records` returns."""

    def ask_members(self, component_ids: Collection[int]) -> Question[list[RecordRow]]:
        """Ask for what `read_members` returns."""

    def ask_components_of_profiles(self, pids: Collection[int]) -> Question[list[tuple[int, int]]]:
        """Ask for what `read_components_of_profiles` returns."""

    def ask_pids(self, digests: Collection[bytes]) -> Question[dict[bytes, int]]:
        """Ask for what `find_pids` returns."""

    def ask_holders(self, hashes: Collection[int], *, limit: int) -> Question[dict[int, list[int]]]:
        """Ask for what `read_holders` returns."""

    def ask_named(self, ref_hashes: Collection[int]) -> Question[list[NamedRow]]:
        """Ask for what `find_named` returns."""

    def ask_contracts_in_force(self) -> Question[dict[str, tuple[int, bool]]]:
        """Ask for what `read_contracts_in_force` returns."""

    def ask_active_model(self) -> Question[str | None]:
        """Ask for what `read_active_model` returns."""

    def ask_floors(self) -> Question[dict[str, int]]:
        """Ask, by source, below which number a version is older than a truncation of the source."""

    def ask_load_running(self) -> Question[bool]:
        """Ask for what `is_load_running` returns."""

    def lock(self, hashes: Iterable[int]) -> None:
        """Lock blocking keys and record names, given as sorted hashes without repeats."""

    def lock_components(self, component_ids: Iterable[int]) -> None:
        """Lock components, given as sorted ids without repeats, after every `lock`."""

    def try_lock_components(self, component_ids: Iterable[int]) -> bool:
        """Lock more components if nobody holds one of them; without waiting, so their order does not matter."""

    def lock_judgements(self) -> None:
        """Let nobody else admit or withdraw a judgement until this transaction ends."""

    def tick(self, now: Instant) -> Instant:
        """Return this transaction's instant of system time: at least `now`, later than every earlier one."""

    def new_ids(self, count: int) -> Sequence[int]:
        """Return `count` ids never given before, ascending."""

    def read_records(self, refs: Collection[RecordRef]) -> dict[RecordRef, RecordRow]:
        """Return the records that are stored, withdrawn ones included."""

    def read_records_by_rid(self, rids: Collection[int]) -> list[RecordRow]:
        """Return the records with these ids."""

    def read_members(self, component_ids: Collection[int]) -> list[RecordRow]:
        """Return all live records of these components."""

    def read_components_of_profiles(self, pids: Collection[int]) -> list[tuple[int, int]]:
        """Return the distinct (pid, component id) pairs of live records."""

    def read_records_of_profiles(self, pids: Collection[int]) -> list[RecordRow]:
        """Return the live records that hold these profiles."""

    def count_records_of_profiles(self, pids: Collection[int]) -> dict[int, int]:
        """Return how many live records hold each profile."""

    def find_pids(self, digests: Collection[bytes]) -> dict[bytes, int]:
        """Return the profiles already stored under these digests."""

    def read_holders(self, hashes: Collection[int], *, limit: int) -> dict[int, list[int]]:
        """Return up to `limit` profiles that hold each blocking key; keys without a holder are absent."""

    def read_profiles(self, pids: Collection[int]) -> dict[int, SourcedProfile]:
        """Return the standardised attributes of these profiles."""

    def read_open_history(self, rids: Collection[int]) -> dict[int, list[HistoryRow]]:
        """Return the history rows open on the system clock, ordered by `valid_from`."""

    def read_borne(self, rids: Collection[int]) -> dict[int, list[Cid]]:
        """Return the CIDs each record ever bore that are retired and may live again."""

    def read_cids(self, cids: Collection[Cid]) -> dict[Cid, CidRow]:
        """Return the current state of these CIDs."""

    def find_smallest_live_record(self, cid: Cid) -> RecordRef | None:
        """Return the smallest live record that bears the CID."""

    def list_version_facts(self, rid: int, *, read_since: int = 0) -> list[VersionFacts]:
        """Return what is kept of every version of the record, older ones included, read by contracts since one."""

    def find_named(self, ref_hashes: Collection[int]) -> list[NamedRow]:
        """Return who names these records: judgements in force and current `same_as` statements."""

    def find_stated(self, rids: Collection[int]) -> list[NamedRow]:
        """Return what these records' current `same_as` statements name."""

    def read_judgements(self, ids: Collection[str]) -> list[JudgementRow]:
        """Return judgements in force by id."""

    def read_judgements_stated_by(self, rids: Collection[int]) -> list[JudgementRow]:
        """Return judgements in force that a trusted source's `same_as` stated."""

    def read_version(self, vid: int) -> VersionRow:
        """Return one version of a record, opened."""

    def add_unsettled(self, rows: Collection[tuple[str, int]]) -> None:
        """Note (kind, id) rows as unsettled, unless they are noted already."""

    def read_contracts_in_force(self) -> dict[str, tuple[int, bool]]:
        """Return the contract version in force of every source, and whether it is retired."""

    def read_active_model(self) -> str | None:
        """Return the version of the active scoring model; None unless there is exactly one."""

    def is_load_running(self) -> bool:
        """True while a bulk load is between its first slice and its last."""


class RecordStore(Protocol):
    """A place where records, CIDs and their history are kept."""

    def write(self) -> AbstractContextManager[WriteTransaction]:
        """Open a transaction that may write."""
