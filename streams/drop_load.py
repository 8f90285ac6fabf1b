"""Load one dropped file: by the command path of `sameas load`, its refused rows among the rejects.

1. Rows that an interrupted load of the same drop stored are left out: a statement without a version or a time that
   somebody made since would else be undone. A drop is known by the author of its versions.
2. The rest is loaded (`identity.bulk.load`), which is safe to repeat.
3. The refused rows are read once more and written among the rejects, with the file's name and their line. Written
   again after a crash, they are the same rejects.

Invariant: a row is loaded, left out as stored, or among the rejects. A whole file that is refused is one reject, of
line 0.
Elsewhere: where files come from (`streams.drop_folder`), replaying a row (`streams.replay`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import orjson
from sqlalchemy import func, select

from identity.bulk.load import load_records
from identity.bulk.preparing import RowError, StatedRow
from identity.bulk.request import LoadReport, LoadRequest
from identity.contract import SourceContract, is_key_text
from identity.model import Cause, CauseKind, Cid, Instant, RecordCommand, RecordRef
from identity.prepare import digest_command
from identity.service import Identity
from identity.statement import read_row
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.store_sql.sealing import Sealer
from matching.errors import SameasError
from streams.errors import TooManyRefused
from streams.files import open_records
from streams.mapping import RowMapping
from streams.offsets import Partition
from streams.reading import Fetched, Reading, Refusal
from streams.refused import RejectBook, RejectOriginKind
from streams.statements import FileStatements, compile_row_mapping
from streams.targets import Row

__all__ = ["DropLoader", "RestStatements", "read_refused_row"]

_REFUSED_MAX: Final = 100_000
_BATCH: Final = 500

Stored = Mapping[tuple[str, bytes], int]
"""How often each content of each key was stored: (key, digest) to a number."""


@dataclass(frozen=True, slots=True)
class RestStatements:
    """The statements of a file without those that were stored before."""

    file: FileStatements
    stored: Stored
    store_key: bytes

    def is_small(self) -> bool:
        """True: one process counts what it leaves out."""
        return True

    def iter_chunks(self, contract: SourceContract, *, part: int, parts: int) -> Iterator[list[StatedRow]]:
        """See `identity.bulk.StatementSource.iter_chunks`."""
        left = Counter(self.stored)
        sealer = Sealer(self.store_key)
        for chunk in self.file.iter_chunks(contract, part=part, parts=parts):
            kept = []
            for row in chunk:
                name = _content_of(row, sealer)
                if name is not None and left[name] > 0:
                    left[name] -= 1
                else:
                    kept.append(row)
            yield kept


class DropLoader:
    """Loads the dropped files of one source into one store.

    Args:
        on_progress: called now and then while a file is loaded; what it raises ends the load, which can be repeated.
    """

    def __init__(
        self,
        identity: Identity,
        source: str,
        *,
        snapshot: bool,
        withdraw_max: float,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
        new_load_id: Callable[[], str],
        on_progress: Callable[[], None],
    ) -> None:
        self._identity = identity
        self._source = source
        self._snapshot = snapshot
        self._withdraw_max = withdraw_max
        self._clock = clock
        self._new_cid = new_cid
        self._new_load_id = new_load_id
        self._on_progress = on_progress
        self._rejects = RejectBook(identity.store)

    def load(self, path: Path, name: str, *, is_again: bool) -> LoadReport:
        """Load a file; return what that did.

        Args:
            name: of the drop; the author of its versions, and the origin of its rejects.
            is_again: a load of this drop may have been interrupted.
        Raises:
            FileRefused, RowRefused: the file cannot be read, or too many of its rows are refused.
            WithdrawalsRefused: a snapshot would withdraw too large a share; nothing was stored.
            SourceUnknown, SourceRetired: the source takes no files.
            StoreBusy, StoreUnreachable, StoreFull, StoreMigrating: the same call can succeed later.
        """
        author, load_id = f"file:{name}", self._new_load_id()
        file = FileStatements(str(path), author, self._clock(), load_id)
        refused: dict[int, Refusal] = {}

        def note(error: RowError) -> None:
            refused[error[0]] = Refusal(error[1], error[2])
            if len(refused) > _REFUSED_MAX:
                raise TooManyRefused(
                    f"more than {_REFUSED_MAX} rows of {name} are refused, the last for {error[1]}; "
                    "see whether the file is one of this source."
                )

        # A snapshot withdraws what it lacks, so none of its rows is left out.
        stored = self._read_stored(author) if is_again and not self._snapshot else {}
        statements = RestStatements(file, stored, self._identity.store.sealer.store_key) if stored else file
        report = load_records(
            self._identity,
            LoadRequest(
                self._source,
                statements,
                load_id,
                author,
                snapshot=self._snapshot,
                withdraw_max=self._withdraw_max,
                on_error=note,
                on_progress=lambda step, done, total: self._on_progress(),
            ),
            clock=self._clock,
            new_cid=self._new_cid,
        )
        self._write_refused(path, name, refused)
        return report

    def refuse(self, name: str, error: SameasError) -> None:
        """Write down that a whole file is refused."""
        contract = self._identity.contracts.get(self._source).contract
        reading = Reading(Fetched(Partition(name, 0), 0, None, None), contract, f"file:{name}")
        self._add([(reading, Refusal(error.code, error.detail))])

    def _read_stored(self, author: str) -> Stored:
        record, version = tables.record, tables.record_version
        query = (
            select(record.c.key, version.c.digest, func.count())
            .join(record, record.c.rid == version.c.rid)
            .where(record.c.source == self._source, version.c.author == author)
            .group_by(record.c.key, version.c.digest)
        )
        store: SqlStore = self._identity.store
        with store.read() as connection:
            return {(key, bytes(digest)): count for key, digest, count in connection.execute(query)}

    def _write_refused(self, path: Path, name: str, refused: Mapping[int, Refusal]) -> None:
        if not refused:
            return
        contract = self._identity.contracts.get(self._source).contract
        file = open_records(path)
        mapping = compile_row_mapping(contract, file.columns if file.names_columns_once else None)
        found = (
            (_read_row(contract, mapping, Partition(name, 0), number, row), refused[number])
            for number, row in file
            if number in refused
        )
        while batch := list(islice(found, _BATCH)):
            self._add(batch)

    def _add(self, refused: list[tuple[Reading, Refusal]]) -> None:
        with self._identity.store.write() as tx:
            self._rejects.add(tx, refused, now=self._clock(), origin=RejectOriginKind.FILE)


def read_refused_row(
    contract: SourceContract, fetched: Fetched, *, author: str, now: Instant, as_before: Refusal
) -> Reading:
    """Return what a refused row says under the contract now in force.

    Args:
        as_before: why it was refused: said again of a row that could not even be read.
    """
    row = None if fetched.value is None else orjson.loads(fetched.value)
    if row is None:
        return Reading(fetched, contract, author, refusal=as_before)
    try:
        mapped = compile_row_mapping(contract, None)(row)
        command = read_row(
            contract, mapped.key, mapped.to_body(), author=author, now=now, cause=Cause(CauseKind.RECORD, "")
        )
    except SameasError as refused:
        return Reading(fetched, contract, author, refusal=Refusal(refused.code, refused.detail))
    return Reading(fetched, contract, author, (command.ref,), (command,))


def _content_of(row: StatedRow, sealer: Sealer) -> tuple[str, bytes] | None:
    command = row.command
    if not isinstance(command, RecordCommand):
        return None
    return command.ref.key, digest_command(command, sealer)[1]


def _read_row(
    contract: SourceContract,
    mapping: RowMapping,
    partition: Partition,
    number: int,
    row: Row | SameasError,
) -> Reading:
    """Return a refused row as what is kept of it: its values, and the record it is about where that can be read."""
    if isinstance(row, SameasError):
        return Reading(Fetched(partition, number, None, None), contract, "")
    refs: tuple[RecordRef, ...] = ()
    try:
        key = mapping(row).key
    except SameasError:
        key = ""
    if key and is_key_text(key):
        refs = (RecordRef(contract.name, key),)
    value = orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Reading(Fetched(partition, number, None, value), contract, "", refs)
