"""The use cases of identity: one method each, one transaction each, over one open store.

Invariant: holds no state of its own beyond caches that cannot go stale; safe to share between threads.
Elsewhere: HTTP (`identity.api`), the command line and processes (`service`), the rules (pure rooms here).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import or_, select, update

from identity.change import Seeds
from identity.contract import SourceContract
from identity.contract_book import ContractBook
from identity.errors import JudgementUnknown
from identity.explain import explain_records
from identity.horizon import Horizon
from identity.judge import JudgementFact, require_sound
from identity.look_up import AlternateRef, CidView, LookUp, LookUpAnswer, ResolvedCid
from identity.model import (
    Cause,
    CauseKind,
    Cid,
    CidStatus,
    CrosswalkEvent,
    Instant,
    JudgementClass,
    Outcome,
    RecordAnswer,
    RecordCommand,
    RecordRef,
    Verdict,
)
from identity.new_customer import NewCustomers
from identity.report import Report, Reporter, ReportNumbers
from identity.resolve import Keep, Resolver
from identity.scoring_models import ModelBook
from identity.search import SearchHit, search_customers
from identity.settling import Settler
from identity.snapshot import CrosswalkKey, read_crosswalk_page
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from identity.subscribers import Subscribers
from identity.survive import GoldenInput, build_golden
from matching.errors import SameasError

__all__ = ["Identity"]

_WITHDRAW_BATCH: Final = 200


class Identity:
    """What others can ask of identity."""

    def __init__(
        self, store: SqlStore, *, clock: Callable[[], Instant], new_cid: Callable[[Instant], Cid]
    ) -> None:
        self.store = store
        self.contracts = ContractBook(store)
        self.models = ModelBook(store)
        self.models.begin_with_default(now=clock())
        self.resolver = Resolver(store, self.models, contracts=self.contracts, clock=clock, new_cid=new_cid)
        self.settler = Settler(store, self.resolver, self.contracts, self.models, clock=clock)
        self.horizon = Horizon(store)
        self._reporter = Reporter(store, self.models)
        self._look_up = LookUp(store, self.horizon)
        self._new_customers = NewCustomers(store, self.resolver, self.contracts, clock=clock, new_cid=new_cid)
        self._clock = clock
        self.subscribers = Subscribers(store, feed_end=self.feed_end, clock=clock)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    # -- contracts --------------------------------------------------------------------------------------

    def put_source(
        self, name: str, document: Mapping[str, object], *, author: str
    ) -> tuple[SourceContract, bool]:
        """Store a contract; return it and whether the source is new. Its records are resolved again if need be."""
        return self.contracts.put(name, document, author=author, now=self._clock())

    def get_source(self, name: str) -> SourceContract:
        """Return a source's contract in force; raises SourceUnknown."""
        return self.contracts.get(name).contract

    def list_sources(self) -> list[SourceContract]:
        """Return every source's contract in force, by name."""
        return [entry.contract for _, entry in sorted(self.contracts.read_current().items())]

    def retire_source(self, name: str, *, author: str) -> int:
        """Withdraw every live record of a source for good; return how many there were.

        Safe to run again after a crash.
        """
        contract = self.contracts.get(name).contract
        now = self._clock()
        source, record = tables.source, tables.record
        with self.store.write() as tx:
            tx.lock_whole()
            tx.connection.execute(
                update(source)
                .where(source.c.name == name, source.c.retired_at.is_(None))
                .values(retired_at=now)
            )
        withdrawn = 0
        cause = Cause(CauseKind.CONTRACT, f"{name}/retired")
        while True:
            with self.store.read() as connection:
                rows = connection.execute(
                    select(record.c.key, record.c.version, record.c.contract_version, record.c.effective_at)
                    .where(record.c.source == name, record.c.status == "live")
                    .limit(_WITHDRAW_BATCH)
                ).all()
            if not rows:
                return withdrawn
            withdrawn += self._withdraw(
                [
                    RecordCommand(
                        RecordRef(name, row.key),
                        None,
                        version=contract.number_now(row.version, contract_version=row.contract_version),
                        effective_at=row.effective_at,
                        author=author,
                        cause=cause,
                    )
                    for row in rows
                ]
            )

    def truncate_source(
        self, name: str, version: int, *, effective_at: Instant | None = None, author: str
    ) -> int:
        """Withdraw every record of a source that is older than a version; return how many there were.

        From now on what arrives with a smaller version is stale, until the contract's epoch is raised. Safe to run
        again after a crash.
        """
        epoch_since = self.contracts.get(name).contract.epoch_since
        source, record = tables.source, tables.record
        with self.store.write() as tx:
            tx.lock_whole()
            tx.connection.execute(
                update(source)
                .where(
                    source.c.name == name,
                    or_(source.c.floor_version.is_(None), source.c.floor_version < version),
                )
                .values(floor_version=version)
            )
        cause = Cause(CauseKind.RECORD, f"truncation-{version}")
        withdrawn, last_key = 0, ""
        while True:
            with self.store.read() as connection:
                keys = connection.scalars(
                    select(record.c.key)
                    .where(
                        record.c.source == name,
                        record.c.key > last_key,
                        record.c.status == "live",
                        or_(
                            record.c.version.is_(None),
                            record.c.version < version,
                            record.c.contract_version < epoch_since,
                        ),
                    )
                    .order_by(record.c.key)
                    .limit(_WITHDRAW_BATCH)
                ).all()
            if not keys:
                return withdrawn
            commands = [
                RecordCommand(
                    RecordRef(name, key),
                    None,
                    version=version,
                    effective_at=effective_at,
                    author=author,
                    cause=cause,
                )
                for key in keys
            ]
            withdrawn += self._withdraw(commands)
            last_key = keys[-1]

    def _withdraw(self, commands: Sequence[RecordCommand]) -> int:
        """Resolve withdrawals; return how many withdrew something; raises the first error."""
        count = 0
        for answer in self.resolver.resolve(commands):
            if isinstance(answer, SameasError):
                raise answer
            count += answer.outcome is Outcome.WITHDRAWN
        return count

    # -- commands ---------------------------------------------------------------------------------------

    def resolve(
        self, commands: Sequence[RecordCommand], *, dry_run: bool = False
    ) -> list[RecordAnswer | SameasError]:
        """Resolve commands; one answer or error each, in order; committed on return."""
        return self.resolver.resolve(commands, dry_run=dry_run)

    def resolve_together(
        self, commands: Sequence[RecordCommand], keep: Keep
    ) -> list[RecordAnswer | SameasError]:
        """Resolve commands in one transaction with what `keep` writes; see `Resolver.resolve_together`."""
        return self.resolver.resolve_together(commands, keep)

    def create_customer(
        self, source: str, attributes: Mapping[str, object], *, idempotency_key: str, author: str
    ) -> RecordAnswer:
        """Store a record whose key is its customer's CID; the same idempotency key answers the same.

        Raises:
            SourceUnknown, AttributesInvalid: the input; nothing is stored.
            CustomerExists: the source already has a record of this customer.
            IdempotencyConflict: the idempotency key was used with other attributes.
        """
        return self._new_customers.create(source, attributes, idempotency_key=idempotency_key, author=author)

    def judge(
        self,
        verdict: Verdict,
        left: Sequence[RecordRef],
        right: Sequence[RecordRef],
        *,
        reason: str,
        author: str,
    ) -> str:
        """Record a steward's judgement and resolve the records it names again; return its id.

        Raises:
            JudgementRefused: it says nothing that can hold.
            RecordUnknown: it names a record that was never stated.
            JudgementConflict: it contradicts judgements in force.
        """
        with self.store.write() as tx:
            judgement_id = f"j{tx.new_ids(1)[0]}"
        fact = JudgementFact(
            judgement_id, verdict, JudgementClass.STEWARD, tuple(left), tuple(right), author, reason
        )
        require_sound(fact)
        refs = frozenset((*left, *right))
        self.resolver.settle(
            [], Seeds(refs=refs, new_facts=(fact,), cause=Cause(CauseKind.JUDGEMENT, judgement_id))
        )
        return judgement_id

    def withdraw_judgement(self, judgement_id: str, *, author: str) -> None:
        """Withdraw a judgement; the records it named stand as they would without it."""
        with self.store.inspect() as tx:
            rows = tx.read_judgements([judgement_id])
        if not rows:
            raise JudgementUnknown("No judgement in force has this id.")
        refs = frozenset((*rows[0].left, *rows[0].right))
        self.resolver.settle(
            [],
            Seeds(
                refs=refs,
                withdrawn_judgements=frozenset((judgement_id,)),
                withdrawn_by=author,
                cause=Cause(CauseKind.JUDGEMENT, judgement_id),
            ),
        )

    # -- reads ------------------------------------------------------------------------------------------

    def look_up(
        self,
        refs: Sequence[RecordRef | AlternateRef],
        *,
        valid_at: Instant | None = None,
        known_at: Instant | None = None,
    ) -> LookUpAnswer:
        """Return the CID and status of each key; see `LookUp.look_up`."""
        return self._look_up.look_up(refs, valid_at=valid_at, known_at=known_at, now=self._clock())

    def look_up_columns(
        self,
        sources: Sequence[str],
        keys: Sequence[str],
        names: Sequence[str | None] | None = None,
        *,
        valid_at: Instant | None = None,
        known_at: Instant | None = None,
    ) -> LookUpAnswer:
        """Return the CID and status of each key; see `LookUp.look_up_columns`."""
        return self._look_up.look_up_columns(
            sources, keys, names, valid_at=valid_at, known_at=known_at, now=self._clock()
        )

    def get_cid(self, cid: str) -> CidView:
        """Return what a CID stands for; raises CidUnknown."""
        return self._look_up.get_cid(cid)

    def resolve_cids(
        self, cids: Sequence[str], *, known_at: Instant | None = None
    ) -> tuple[list[ResolvedCid], Instant]:
        """Return status and live CIDs of each CID, and the horizon."""
        return self._look_up.resolve_cids(cids, known_at=known_at, now=self._clock())

    def cid_events(self, cid: str) -> list[CrosswalkEvent]:
        """Return the events of a CID, oldest first; raises CidUnknown."""
        return self._look_up.cid_events(cid)

    def changes(
        self, after: str | None, *, limit: int, sources: Collection[str] | None = None
    ) -> tuple[list[CrosswalkEvent], str]:
        """Return events after a cursor and the next cursor."""
        return self._look_up.changes(after, limit=limit, now=self._clock(), sources=sources)

    def events_at(self, places: Sequence[tuple[Instant, int]]) -> list[CrosswalkEvent]:
        """Return the events at these places of the feed, in its order."""
        return self._look_up.events_at(places)

    def feed_end(self) -> str:
        """Return the cursor behind the last event that is final; a snapshot read after it and the feed leave no gap."""
        return self._look_up.feed_end(now=self._clock())

    def crosswalk_page(self, source: str, *, after: str, limit: int) -> list[CrosswalkKey]:
        """Return the next keys of a source, by key; see `identity.snapshot`."""
        return read_crosswalk_page(self.store, source, after=after, limit=limit)

    def golden(self, cid: str, *, sources: Collection[str] | None = None) -> tuple[Cid, dict[str, object]]:
        """Return a live CID and the surviving attributes of its customer, each with its record.

        A merged CID answers with its successor; one that stands for several customers, or none, with nothing.
        """
        view = self._look_up.get_cid(cid)
        if view.status is not CidStatus.LIVE:
            if len(view.successors) != 1:
                return view.cid, {}
            view = self._look_up.get_cid(view.successors[0])
        contracts = self.contracts.read_current()
        inputs = []
        with self.store.inspect() as tx:
            rows = tx.read_records([ref for ref in view.records if sources is None or ref.source in sources])
            for ref, row in rows.items():
                if row.cid != view.cid or row.pid is None:
                    continue
                version = tx.read_version(row.vid)
                assert version.statement is not None
                attributes = version.statement["attributes"]
                assert isinstance(attributes, dict)
                since = version.effective_at if version.effective_at is not None else version.known_at
                inputs.append(GoldenInput(ref, attributes, since, contracts[ref.source].contract.trust))
        return view.cid, build_golden(inputs)

    def search(
        self, attributes: Mapping[str, object], *, limit: int = 10, sources: Collection[str] | None = None
    ) -> list[SearchHit]:
        """Return customers that the attributes may stand for, best first; stores nothing."""
        return search_customers(
            self.store,
            attributes,
            models=self.models,
            limit=limit,
            sources=sources,
        )

    def explain(
        self, left: RecordRef, right: RecordRef, *, known_at: Instant | None = None
    ) -> dict[str, object]:
        """Return why two records stand together or apart, now or as believed at `known_at`."""
        contracts = self.contracts.read_current()
        return explain_records(
            self.store,
            left,
            right,
            known_at=known_at,
            models=self.models,
            one_each=frozenset(name for name, entry in contracts.items() if entry.contract.one_per_customer),
        )

    def report(self, *, sources: Collection[str] | None = None) -> Report:
        """Return what a steward should look at; what glues groups of records is personal data."""
        return self._reporter.report(sources=sources)

    def report_numbers(self) -> ReportNumbers:
        """Return what of the report are numbers, at most some minutes old."""
        return self._reporter.numbers()

    def unsettled(self) -> int:
        """Return how many keys and records wait to be resolved again."""
        return self.settler.count()

    def settle_some(self, *, limit: int = 1000) -> int:
        """Resolve some of what is unsettled; return how much is left."""
        return self.settler.settle_some(limit=limit)
