"""Resolve record commands: the one path by which a statement from anywhere becomes a CID.

Invariants: a batch is one transaction; what it answers is committed; whatever interrupts it leaves the
store as it was. Statements about one record are applied in the order given.
Elsewhere: the steps inside the transaction (`identity.attempt`, `identity.effects`), reading statements
(`identity.statement`), bulk loads (`identity.bulk`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from identity.attempt import Attempt
from identity.change import BeginAnew, Seeds
from identity.contract import SourceContract
from identity.effects import Effects
from identity.errors import InvariantBroken, SourceRetired, SourceUnknown, StoreBusy
from identity.model import Cid, Instant, RecordAnswer, RecordCommand, RecordRef
from identity.prepare import PreparedCommand, Preparer
from identity.region import Partitioner
from identity.store import Row
from identity.store_sql.faults import LockTableFull, TransactionConflict
from matching.errors import SameasError

if TYPE_CHECKING:
    from identity.contract_book import ContractBook, ContractEntry
    from identity.scoring_models import ModelBook
    from identity.store_sql.opening import SqlStore
    from identity.store_sql.transaction import SqlTransaction
    from matching.scoring_model import ScoringModel

__all__ = ["BATCH_RECORDS_MAX", "Keep", "Resolver"]

BATCH_RECORDS_MAX: Final = 500
"""Most records of one transaction: their blocking keys stay under a quarter of PostgreSQL's lock table."""
_ATTEMPTS_MAX: Final = 50
_NO_SEEDS: Final = Seeds()
_Check = Callable[["list[RecordAnswer | SameasError]", Attempt, "SqlTransaction"], None]
Keep = Callable[["SqlTransaction", "list[RecordAnswer | SameasError]"], None]
"""Writes something into the transaction that gave these answers; what it raises undoes all of it."""


class _Undo(Exception):
    """Rolls a dry run back."""


class _RulesOutdated(Exception):
    """The contracts or the scoring model recalled are not those in force."""


class _RulesMoved(Exception):
    """A command was prepared under a contract or a scoring model that is not in force any more: prepare it again."""


class Resolver:
    """Resolves batches on one store under its active scoring model; safe to share between threads."""

    def __init__(
        self,
        store: SqlStore,
        models: ModelBook,
        *,
        contracts: ContractBook,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.keys_unusable: Counter[str] = Counter()  # by blocking rule: how often a record held such a key
        self._store = store
        self._models = models
        self._contracts = contracts
        self._clock = clock
        self._new_cid = new_cid

    @property
    def model(self) -> ScoringModel:
        """The scoring model as it was read last; every transaction makes sure that it still is the active one."""
        return self._models.recall().model

    @property
    def preparer(self) -> Preparer:
        """Prepares commands under that model."""
        return self._models.recall().preparer

    @property
    def partitioner(self) -> Partitioner:
        """Parts regions under that model."""
        return self._models.recall().partitioner

    def resolve(
        self, commands: Sequence[RecordCommand], *, dry_run: bool = False
    ) -> list[RecordAnswer | SameasError]:
        """Resolve commands; return one answer or error for each, in order.

        A dry run answers as if the batch had been stored, and stores nothing.

        Raises:
            StoreBusy, StoreUnreachable, StoreFull, StoreMigrating: nothing of the last transaction was stored.
        """
        answers: list[RecordAnswer | SameasError] = []
        for run in _split_runs(commands):
            answers.extend(self._resolve_run(run, dry_run=dry_run))
        return answers

    def resolve_together(
        self, commands: Sequence[RecordCommand], keep: Keep
    ) -> list[RecordAnswer | SameasError]:
        """Resolve commands in one transaction with what `keep` writes: both are stored, or neither.

        Args:
            commands: at most `BATCH_RECORDS_MAX`, no two about one record; may be none.
            keep: called before the commit with one answer or error for each; again when the transaction is
                run again.

        Raises:
            LockTableFull: nothing was stored; send fewer commands.
            StoreBusy, StoreUnreachable, StoreFull, StoreMigrating: nothing was stored.
        """
        if len(commands) > BATCH_RECORDS_MAX or len({command.ref for command in commands}) < len(commands):
            raise InvariantBroken("Commands of one transaction are too many, or two are about one record.")
        return self._resolve_run(commands, dry_run=False, keep=keep)

    def settle(self, commands: Sequence[PreparedCommand], seeds: Seeds) -> list[RecordAnswer | SameasError]:
        """Resolve prepared commands together with what has to be looked at again.

        Raises:
            StoreBusy: other writers came first each time, or the commands were prepared under a contract or a
                scoring model that is not in force any more.
        """
        try:
            return self._transact(commands, seeds, dry_run=False)
        except _RulesMoved as exc:
            raise StoreBusy("A source's contract or the scoring model changed meanwhile; try again.") from exc

    def resolve_as_foreseen(
        self,
        command: RecordCommand,
        cid: Cid,
        *,
        keep: Callable[[RecordAnswer, int], Row],
        is_first: Callable[[SqlTransaction], bool],
    ) -> RecordAnswer | None:
        """Resolve one command if its answer is this CID, and keep a row of `idempotency` with it.

        Returns None, with nothing stored, when the answer would be another CID, the record exists by now, or
        `is_first`, asked in the transaction, denies it.
        """

        def check(answers: list[RecordAnswer | SameasError], attempt: Attempt, tx: SqlTransaction) -> None:
            answer = answers[0]
            if not isinstance(answer, RecordAnswer) or answer.cid != cid or not answer.is_new:
                raise _Undo
            row = keep(answer, attempt.changes[0].rid)
            if not is_first(tx):
                raise _Undo
            tx.insert_rows("idempotency", [row])

        answer = self._resolve_run([command], dry_run=False, check=check)[0]
        if isinstance(answer, SameasError):
            raise answer
        return answer if answer.cid == cid and answer.is_new else None

    def prepare(self, commands: Sequence[RecordCommand]) -> list[PreparedCommand | SameasError]:
        """Prepare commands under what is in force now; an unknown or retired source is that command's error."""
        contracts = self._contracts.recall()
        if any(self._refuse(command, contracts) for command in commands):
            contracts = (
                self._contracts.read_current()
            )  # what was recalled may be older than a contract just put
        preparer = self.preparer
        return [
            self._refuse(command, contracts)
            or preparer.prepare(command, contracts[command.ref.source].contract)
            for command in commands
        ]

    @staticmethod
    def _refuse(command: RecordCommand, contracts: Mapping[str, ContractEntry]) -> SameasError | None:
        entry = contracts.get(command.ref.source)
        if entry is None:
            return SourceUnknown(f"There is no source {command.ref.source}; put its contract first.")
        if entry.is_retired and not command.is_withdrawal:
            return SourceRetired(f"Source {command.ref.source} is retired and takes no statements.")
        return None

    def _resolve_run(
        self,
        commands: Sequence[RecordCommand],
        *,
        dry_run: bool,
        check: _Check | None = None,
        keep: Keep | None = None,
    ) -> list[RecordAnswer | SameasError]:
        for _ in range(_ATTEMPTS_MAX):
            prepared = self.prepare(commands)
            good = [one for one in prepared if isinstance(one, PreparedCommand)]
            if keep is not None:
                check = _keep_with_refused(keep, prepared)
            try:
                found = self._transact(good, _NO_SEEDS, dry_run=dry_run, check=check) if good else []
            except _RulesMoved:
                continue
            answers = _merge(prepared, found)
            if keep is not None and not good:
                with self._store.write() as tx:
                    keep(tx, answers)
            return answers
        raise StoreBusy("The contracts of the sources or the scoring model changed each time; try again.")

    def _transact(
        self,
        prepared: Sequence[PreparedCommand],
        seeds: Seeds,
        *,
        dry_run: bool,
        check: _Check | None = None,
    ) -> list[RecordAnswer | SameasError]:
        extra_components: set[int] = set()
        for _ in range(_ATTEMPTS_MAX):
            try:
                return self._attempt(prepared, seeds, extra_components, dry_run=dry_run, check=check)
            except _RulesOutdated:
                self._contracts.read_current()
                self._models.read_current()
            except (BeginAnew, TransactionConflict):
                self.counters["begun_anew"] += 1
            except LockTableFull:
                if len(prepared) < 2 or seeds is not _NO_SEEDS or check is not None:
                    raise
                half = len(prepared) // 2
                first = self._transact(prepared[:half], seeds, dry_run=dry_run, check=check)
                return first + self._transact(prepared[half:], seeds, dry_run=dry_run, check=check)
        raise StoreBusy("Other writers came first each time; try again.")

    def _attempt(
        self,
        prepared: Sequence[PreparedCommand],
        seeds: Seeds,
        extra_components: set[int],
        *,
        dry_run: bool,
        check: _Check | None,
    ) -> list[RecordAnswer | SameasError]:
        answers: list[RecordAnswer | SameasError] = []
        contracts = self._contracts.recall()
        matcher = self._models.recall()
        for one in prepared:
            entry = contracts[one.command.ref.source]
            if (
                one.model_version != matcher.version
                or entry.contract.version != one.contract.version
                or (entry.is_retired and not one.command.is_withdrawal)
            ):
                raise _RulesMoved
        in_force = {name: (entry.contract.version, entry.is_retired) for name, entry in contracts.items()}
        by_name: Mapping[str, SourceContract] = {name: entry.contract for name, entry in contracts.items()}
        try:
            with self._store.write() as tx:
                attempt = Attempt(
                    tx,
                    matcher=matcher,
                    contracts=by_name,
                    is_exclusive=not self._store.is_postgres,
                    extra_components=extra_components,
                    seeds=seeds,
                )
                groups = attempt.run(prepared)
                # They change under a lock that every write shares, so what is read now held all along.
                if attempt.contracts_in_force != in_force or attempt.model_in_force != matcher.version:
                    raise _RulesOutdated
                effects = Effects(
                    attempt,
                    groups,
                    data_keys=self._store.sealer,
                    now=self._clock(),
                    new_cid=self._new_cid,
                )
                answers = effects.write()
                if check is not None:
                    check(answers, attempt, tx)
                if dry_run:
                    raise _Undo  # noqa: TRY301 - rolls back what the `with` above opened
        except _Undo:
            return effects.without_new_cids(answers)
        self.counters.update(attempt.counters)
        self.keys_unusable.update(attempt.census.keys_unusable)
        self.counters["records"] += len(prepared)
        return answers


def _merge(
    prepared: Sequence[PreparedCommand | SameasError], found: Sequence[RecordAnswer | SameasError]
) -> list[RecordAnswer | SameasError]:
    """Return an answer for each command: what was found for the prepared ones, in the places of the others their error."""
    answers = iter(found)
    return [next(answers) if isinstance(one, PreparedCommand) else one for one in prepared]


def _keep_with_refused(keep: Keep, prepared: Sequence[PreparedCommand | SameasError]) -> _Check:
    return lambda found, _attempt, tx: keep(tx, _merge(prepared, found))


def _split_runs(commands: Sequence[RecordCommand]) -> Iterator[Sequence[RecordCommand]]:
    """Split commands into batches that name no record twice, keeping their order."""
    start = 0
    seen: set[RecordRef] = set()
    for position, command in enumerate(commands):
        if command.ref in seen or position - start >= BATCH_RECORDS_MAX:
            yield commands[start:position]
            start = position
            seen = set()
        seen.add(command.ref)
    if start < len(commands):
        yield commands[start:]
