"""Load a file of statements: the new records in bulk, everything else as one by one, to one partition.

 1. Prepare every row, a large file in several processes (`preparing`); nothing is stored yet.
 2. Tell new records from the rest: keys stored already, repeated in the file, withdrawals, statements with
    a `same_as` or alternate keys, profiles that are stored already.
 3. With many new records: foresee their components and clusters (`foresee`), note as unsettled what would
    have to be looked at again if the load broke off, and store them in slices (`slices`), joined with the
    stored components that they are linked to (`joining`).
 4. Resolve the rest in file order, like any statement.
 5. Settle what live writes and keys that crossed the limit have left unsettled.

What is noted in step 3, so that nothing stays as foreseen that did not come as foreseen:
 - `load-key`: keys too common among stored and new records together. Slices hold no links by them, though
    the store may not show yet that they are. Those that never get so common are settled in the end.
 - `load-record`: records that stand as they do because too much is linked to them (`slices`).
 - `record`: stored holders of those keys, which may stand together by nothing else.
 - `key`, `record`: what live writes beside the slices touch (`identity.attempt`).

Invariant: safe to run again: what is stored already is unchanged, a load that broke off is completed by
running it again, and until then its unsettled keys and records are settled by whoever serves the store.
Elsewhere: the command (`service.cli`), reading files (`streams`), settling (`identity.settling`).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from identity.bulk.foresee import Foreseen, JoinedGroup, foresee
from identity.bulk.move import Mover
from identity.bulk.new_records import NewRecords
from identity.bulk.patience import patiently
from identity.bulk.prepared_rows import NumberedProfiles, Positions, PreparedRows, StoredStatement
from identity.bulk.preparing import PreparingSetup, iter_prepared
from identity.bulk.request import LoadReport, LoadRequest
from identity.bulk.running import RunningLoad
from identity.bulk.slices import SliceWriter
from identity.bulk.stored_side import read_stored_holders
from identity.bulk.tell_apart import Held, find_absent, find_new, find_stored
from identity.bulk.unusable import count_unusable
from identity.bulk.write_rows import Placed, RowWriter
from identity.errors import InvariantBroken, SourceRetired
from identity.model import (
    Cause,
    CauseKind,
    Cid,
    CidTarget,
    Instant,
    Outcome,
    RecordAnswer,
    RecordCommand,
    RecordRef,
    SameAs,
)
from identity.settling import LOADS_HERE

if TYPE_CHECKING:
    from identity.contract import SourceContract
    from identity.matcher import Matcher
    from identity.service import Identity
    from matching.scoring_model import ScoringModel

__all__ = ["LoadReport", "LoadRequest", "load_records"]

_POSTGRES_BATCH: Final = 200
_SQLITE_BATCH: Final = 50  # a batch holds the only write lock there is
_AS_FORESEEN: Final = frozenset((Outcome.ISSUED, Outcome.LINKED, Outcome.MERGED, Outcome.SPLIT))


def load_records(
    identity: Identity,
    request: LoadRequest,
    *,
    clock: Callable[[], Instant],
    new_cid: Callable[[Instant], Cid],
) -> LoadReport:
    """Load a file; return what it did. Rows that are refused are told to `on_error`; all others are stored.

    Raises:
        SourceUnknown, SourceRetired: there is no such source to load into.
        FileRefused (of `streams`): the file cannot be read at all; nothing is stored.
        WithdrawalsRefused: a snapshot would withdraw too large a share; nothing is stored.
    """
    LOADS_HERE.add(request.load_id)
    try:
        return _Load(identity, request, clock, new_cid).run()
    finally:
        LOADS_HERE.discard(request.load_id)


class _Load:
    def __init__(
        self,
        identity: Identity,
        request: LoadRequest,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._identity = identity
        self._store = identity.store
        self._batch = _POSTGRES_BATCH if self._store.is_postgres else _SQLITE_BATCH
        self._request = request
        self._clock = clock
        self._new_cid = new_cid
        self._cause = Cause(CauseKind.LOAD, request.load_id)
        self._report = LoadReport()
        self._refused_keys: set[str] = set()
        self._nameless_count = 0
        self._running: RunningLoad | None = None
        self._came_as_foreseen = True
        entry = identity.contracts.get(request.source)
        if entry.is_retired:
            raise SourceRetired(f"Source {request.source} is retired and takes no statements.")
        self._contract: SourceContract = entry.contract
        self._prepared_by: ScoringModel = identity.models.read_current().model

    def run(self) -> LoadReport:
        request = self._request
        counted_before = Counter(self._identity.resolver.keys_unusable)
        with (
            tempfile.TemporaryDirectory(prefix="sameas-load-") as folder,
            PreparedRows(Path(folder)) as rows,
        ):
            self._prepare(rows)
            stored = find_stored(self._store, self._contract, rows)
            withdrawals = self._find_withdrawals(rows) if request.snapshot else []
            new = find_new(self._store, rows, stored, records_min=request.bulk_records_min)
            is_done = np.zeros(len(rows), dtype=np.bool_)
            if len(new) >= self._request.bulk_records_min:
                left = self._load_new(rows, new, Path(folder))
                is_done[new] = True
                is_done[left] = False
                self._resolve_rest(rows, np.flatnonzero(~is_done), stored, foreseen=set(left.tolist()))
            else:
                self._resolve_rest(rows, np.arange(len(rows)), stored, foreseen=set())
        commands = [(0, self._withdrawal(*one)) for one in withdrawals]
        for start in range(0, len(commands), self._batch):
            self._resolve(commands[start : start + self._batch])
        self._settle()
        self._report.keys_unusable += self._identity.resolver.keys_unusable - counted_before
        return self._report

    # -- steps 1 and 2 ----------------------------------------------------------------------------------

    def _prepare(self, rows: PreparedRows) -> None:
        request = self._request
        setup = PreparingSetup(
            request.statements,
            self._contract.name,
            self._contract.version,
            dict(self._contract.document),
            self._prepared_by.document,
            self._store.sealer.store_key,
        )
        for chunk in iter_prepared(setup, processes=request.processes):
            rows.add(chunk)
            for error in chunk.errors:
                request.on_error(error)
            self._refused_keys.update(chunk.refused_keys)
            self._nameless_count += chunk.nameless_count
            self._report.rejected += len(chunk.errors)
            self._report.rows += chunk.row_count + len(chunk.errors)
            request.on_progress("prepare", self._report.rows, None)
        rows.seal()

    def _find_withdrawals(self, rows: PreparedRows) -> list[tuple[str, int | None, Instant | None]]:
        """Return the live records that a snapshot lacks; none where a key of the file cannot be read."""
        absent = find_absent(self._store, self._request, stated=self._refused_keys.union(rows.keys))
        if self._nameless_count:
            self._report.withdrawals_withheld = len(absent)
            return []
        return absent

    def _withdrawal(self, key: str, version: int | None, effective_at: Instant | None) -> RecordCommand:
        """Return the withdrawal of a record that a snapshot lacks: newer than what is held, whatever that is."""
        return RecordCommand(
            RecordRef(self._request.source, key),
            None,
            version=version,
            effective_at=effective_at,
            author=self._request.author,
            cause=self._cause,
        )

    # -- step 3 -----------------------------------------------------------------------------------------

    def _load_new(self, rows: PreparedRows, positions: Positions, folder: Path) -> Positions:
        """Store new records in bulk; return the positions left to be resolved one by one."""
        running = self._running = RunningLoad(self._identity, self._request, clock=self._clock)
        running.begin()
        profile_of, firsts = rows.number_profiles(positions)
        new = NewRecords.gather(
            self._request.source,
            [rows.keys[at] for at in positions.tolist()],
            profile_of,
            NumberedProfiles(rows, firsts),
        )
        matcher = self._choose_model(new)
        if not matcher.model.blocks_like(self._prepared_by):
            # The rows' keys are those of a model that others replaced meanwhile: one by one they get new ones.
            running.set_state("settling")
            return positions
        holders_max = matcher.model.holders_max
        self._request.on_progress("match", 0, len(positions))
        # One state of the store throughout: what changes after it began is noted by who changes it.
        with self._store.inspect() as tx:
            stored = read_stored_holders(
                tx,
                new.held_keys,
                limit=holders_max,
                sealer=self._store.sealer,
            )
            foreseen = foresee(
                new,
                stored,
                partitioner=matcher.partitioner,
                hash_key=self._store.sealer.blocking_hash_key,
                one_each=[self._contract.name] if self._contract.one_per_customer else [],
                memory_limit_mb=self._request.memory_limit_mb,
                temp_dir=folder,
            )
        self._report.candidates = foreseen.candidate_count
        running.note_crossing(new, stored, holders_max=holders_max)
        row_writer = RowWriter(
            new,
            contract_version=self._contract.version,
            author=self._request.author,
            cause=self._cause,
            clock=self._clock,
            new_cid=self._new_cid,
        )
        mover = Mover(
            new,
            matcher,
            contract=self._contract,
            read=lambda places: rows.read_statements(positions[list(places)].tolist()),
            author=self._request.author,
            cause=self._cause,
            clock=self._clock,
            new_cid=self._new_cid,
        )
        writer = SliceWriter(
            self._store,
            new,
            row_writer,
            mover,
            matcher=matcher,
            one_each=self._list_one_each,
            read=lambda places: rows.take(positions[places]),
            contract_version=self._contract.version,
            load_id=self._request.load_id,
            clock=self._clock,
        )
        stored_count = 0

        def progress(count: int) -> None:
            nonlocal stored_count
            stored_count += count
            self._request.on_progress("store", stored_count, len(positions))

        outcomes, left = writer.write(_iter_placed(foreseen), progress=progress)
        self._report.customers_issued += outcomes[Outcome.ISSUED]
        for outcome, count in outcomes.items():
            if count:
                self._report.outcomes[outcome.value] += count
        self._report.longest_slice_s = writer.longest_s
        running.forget_foreign_keys(new)
        running.set_state("settling")
        places_left = np.array([*foreseen.left.tolist(), *left], dtype=np.int64)
        self._report.keys_unusable += count_unusable(
            new,
            stored,
            left=places_left,
            holders_max=holders_max,
            reveal=matcher.reveal,
        )
        return positions[places_left]

    def _choose_model(self, new: NewRecords) -> Matcher:
        """Return the model to foresee by: the active one, which a load into an empty store may have replaced."""
        models, propose = self._identity.models, self._request.propose_model
        matcher = models.read_current()
        if propose is None or models.is_in_use():
            return matcher
        self._request.on_progress("fit", 0, None)
        proposed = propose(matcher.model, new)
        if not proposed.blocks_like(matcher.model):
            raise InvariantBroken(
                f"The scoring model {proposed.version} that was proposed for a load blocks otherwise than "
                f"{matcher.version}, by which its rows were prepared; nothing is stored. Keep blocking, stop values "
                "and holders_max as they are."
            )
        if proposed.version != matcher.version:
            if models.replace_untrained(proposed, expected_version=matcher.version, now=self._clock()):
                self._report.model_put = proposed.version
            matcher = models.read_current()
        return matcher

    def _list_one_each(self) -> set[str]:
        """Return the sources that hold one record of a customer, by the contracts in force."""
        entries = self._identity.contracts.read_current()
        return {name for name, entry in entries.items() if entry.contract.one_per_customer}

    # -- steps 4 and 5 ----------------------------------------------------------------------------------

    def _resolve_rest(
        self, rows: PreparedRows, rest: Positions, stored: dict[str, Held], *, foreseen: set[int]
    ) -> None:
        """Resolve rows in file order; one that says again what is stored is not even tried.

        Args:
            foreseen: the positions that the load has foreseen to become current.
        """
        seen: set[str] = set()
        for start in range(0, len(rest), self._batch):
            positions = rest[start : start + self._batch].tolist()
            told: list[tuple[int, int]] = []
            for at, facts in zip(positions, rows.read_facts(positions), strict=True):
                key = rows.keys[at]
                if key not in seen and stored.get(key) == facts[1:]:
                    self._report.outcomes[Outcome.UNCHANGED.value] += 1
                else:
                    told.append((at, facts.row))
                seen.add(key)
            statements = zip(told, rows.read_statements([at for at, _ in told]), strict=True)
            answers = self._resolve(
                [(row, self._command(rows.keys[at], one)) for (at, row), one in statements]
            )
            for (at, _), outcome in zip(told, answers, strict=True):
                if at in foreseen and outcome not in _AS_FORESEEN:
                    self._came_as_foreseen = False
            self._request.on_progress("resolve", start + len(positions), len(rest))

    def _command(self, key: str, one: StoredStatement) -> RecordCommand:
        statement = orjson.loads(one.statement) if one.statement is not None else None
        return RecordCommand(
            ref=RecordRef(self._request.source, key),
            attributes=None if statement is None else statement["attributes"],
            version=one.version,
            effective_at=one.effective_at,
            alternate_keys={} if statement is None else statement["alternate_keys"],
            same_as=None if statement is None else _read_same_as(statement["same_as"]),
            author=self._request.author,
            cause=self._cause,
        )

    def _resolve(self, batch: list[tuple[int, RecordCommand]]) -> list[Outcome | None]:
        """Resolve commands with their rows' numbers; return the outcomes, None for a refused one."""
        outcomes: list[Outcome | None] = []
        answers = patiently(lambda: self._identity.resolve([command for _, command in batch]))
        for (row, _), answer in zip(batch, answers, strict=True):
            if isinstance(answer, RecordAnswer):
                self._report.outcomes[answer.outcome.value] += 1
                self._report.customers_issued += answer.outcome is Outcome.ISSUED
                outcomes.append(answer.outcome)
            else:
                self._report.rejected += 1
                self._request.on_error((row, answer.code, answer.detail))
                outcomes.append(None)
        return outcomes

    def _settle(self) -> None:
        if self._running is None:
            return  # it has unsettled nothing
        patiently(lambda: self._identity.settler.release_load(came_as_foreseen=self._came_as_foreseen))
        self._running.set_state("done")
        total = self._identity.unsettled()
        while left := patiently(lambda: self._identity.settle_some(limit=1_000)):
            total = max(total, left)
            self._request.on_progress("settle", total - left, total)
            if self._identity.settler.is_held_up():
                return  # another load has begun; what is left is settled when that ends


def _iter_placed(foreseen: Foreseen) -> Iterator[Placed | JoinedGroup]:
    for component in foreseen.components:
        yield Placed(component.level, [[node.rid for node in cluster] for cluster in component.clusters])
    yield from foreseen.joined
    for at, level in zip(foreseen.singles.tolist(), foreseen.single_levels.tolist(), strict=True):
        yield Placed(level, [[at]])


def _read_same_as(stated: Sequence[str] | None) -> SameAs | None:
    if stated is None:
        return None
    return CidTarget(Cid(stated[0])) if len(stated) == 1 else RecordRef(*stated)
