"""A small world: one store under the small model, what was told to it, and what the oracle makes of that.

Invariant: `World.tell` gives the same command to the code under test and to the books kept here; the books
follow the design alone, so that `World.expected` owes nothing to the code under test.
Elsewhere: what must hold of any store (`tests.promises.audit`), drawing commands (`tests.promises.draw`).
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import text

from identity.errors import JudgementConflict, RecordUnknown, VersionConflict
from identity.model import Cid, Instant, RecordAnswer, RecordCommand, RecordRef, Verdict
from identity.scoring_models import store_model
from identity.service import Identity
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import open_store, store_url
from identity.store_sql.tables import metadata
from matching.errors import SameasError
from matching.standardise import clean_attributes
from tests.oracle import (
    OracleComponent,
    OracleJudgement,
    OracleRecord,
    find_oracle_components,
    list_usable_keys,
    oracle_partition,
)
from tests.promises.small_model import (
    NUMBERS,
    SAME_AS,
    Statement,
    attributes_of,
    is_apart,
    oracle_record,
    small_model,
    weigh,
)

__all__ = [
    "BEGIN",
    "ONE_EACH",
    "TRUSTED",
    "Clock",
    "Judge",
    "State",
    "Unjudge",
    "World",
    "command_of",
    "make_identity",
    "open_world",
]

Name = tuple[str, str]
Partition = set[frozenset[Name]]

BEGIN: Instant = 1_700_000_000_000_000
ONE_EACH = "one"
TRUSTED = "trusty"
_SOURCES: dict[str, dict[str, object]] = {
    "crm": {"domain": "sales"},
    ONE_EACH: {"domain": "sales", "one_per_customer": True},
    TRUSTED: {"domain": "sales", "trust": {"same_as": True}},
}


@dataclass(frozen=True)
class State:
    """A statement, or with None a withdrawal."""

    name: Name
    statement: Statement | None
    version: int | None = None
    effective_at: Instant | None = None
    same_as: Name | None = None

    @property
    def content(self) -> object:
        return None if self.statement is None else (attributes_of(self.statement), self.same_as)


@dataclass(frozen=True)
class Judge:
    """A steward's judgement."""

    verdict: str
    left: tuple[Name, ...]
    right: tuple[Name, ...]


@dataclass(frozen=True)
class Unjudge:
    """The withdrawal of the n-th judgement in force, counted round."""

    number: int


Command = State | Judge | Unjudge


class Clock:
    """A clock that the test sets; without that it moves a millisecond a look."""

    def __init__(self, now: Instant = BEGIN) -> None:
        self.now = now
        self._lock = threading.Lock()

    def __call__(self) -> Instant:
        with self._lock:
            self.now += 1000
            return self.now


def make_identity(
    url: str | None, directory: Path, *, clock: Callable[[], Instant] | None = None, first_cid: int = 0
) -> Identity:
    """Open an identity under the small model; the store is migrated if it is new."""
    where = store_url(url, directory)
    migrate_store(where)
    store = open_store(where, store_key=b"k" * 32)
    clock = clock or Clock()
    store_model(store, small_model(), now=0)
    numbers = itertools.count(first_cid)

    def new_cid(now: Instant) -> Cid:
        return Cid(str(uuid.UUID(int=((now // 1000) << 80) | (7 << 76) | (2 << 62) | next(numbers))))

    identity = Identity(store, clock=clock, new_cid=new_cid)
    for name, document in _SOURCES.items():
        identity.put_source(name, document, author="test")
    return identity


@contextmanager
def open_world(url: str | None, directory: Path) -> Iterator[World]:
    """Open a world on a new store."""
    identity = make_identity(url, directory)
    try:
        yield World(identity)
    finally:
        identity.close()


@dataclass
class World:
    """A store, and the books about it."""

    identity: Identity
    told: dict[Name, list[State]] = field(default_factory=dict)
    judgements: dict[str, Judge] = field(default_factory=dict)
    accepted: list[Command] = field(default_factory=list)

    # -- telling ----------------------------------------------------------------------------------------

    def tell(self, *commands: Command) -> list[RecordAnswer | SameasError | str | None]:
        """Tell commands in order, neighbouring statements as one batch; return an answer for each."""
        answers: list[RecordAnswer | SameasError | str | None] = []
        for is_state, group in itertools.groupby(commands, key=lambda one: isinstance(one, State)):
            if is_state:
                answers.extend(self._state([one for one in group if isinstance(one, State)]))
            else:
                answers.extend(self._judge(one) for one in group)
        return answers

    def _state(self, states: Sequence[State]) -> list[RecordAnswer | SameasError]:
        answers = self.identity.resolve([command_of(state) for state in states])
        for state, answer in zip(states, answers, strict=True):
            told = self.told.get(state.name, [])
            same_number = [one for one in told if state.version is not None and one.version == state.version]
            is_conflict = any(one.content != state.content for one in same_number)
            is_unknown = not told and (state.statement, state.version, state.effective_at) == (
                None,
                None,
                None,
            )
            if isinstance(answer, RecordAnswer):
                assert not is_conflict
                assert not is_unknown
                self.told.setdefault(state.name, []).append(state)
                self.accepted.append(state)
            elif isinstance(answer, JudgementConflict):
                assert state.same_as is not None
                assert state.name[0] == TRUSTED
            else:
                assert isinstance(answer, VersionConflict if is_conflict else RecordUnknown), answer
                assert is_conflict or is_unknown
        return answers

    def rename(self, old: Name, key: str) -> None:
        """Let a live record go on under another key of its source; what named it names the new key."""
        new = (old[0], key)
        last = self.current()[old]
        versions = [one.version for one in self.told[old] if one.version is not None]
        version = max(versions) + 1 if versions else None
        went = State(old, None, version=version)
        came = State(new, last.statement, version=version, same_as=last.same_as)
        self.identity.resolve_together(
            [replace(command_of(went), renamed_to=key), command_of(came)], lambda _tx, _answers: None
        )
        self.told[old].append(went)
        self.told.setdefault(new, []).append(came)

        def now(name: Name) -> Name:
            return new if name == old else name

        for told in self.told.values():
            told[:] = [one if one.same_as is None else replace(one, same_as=now(one.same_as)) for one in told]
        self.judgements = {
            judgement_id: replace(one, left=tuple(map(now, one.left)), right=tuple(map(now, one.right)))
            for judgement_id, one in self.judgements.items()
        }

    def _judge(self, command: Command) -> str | SameasError | None:
        if isinstance(command, Judge):
            left, right = ([RecordRef(*name) for name in side] for side in (command.left, command.right))
            try:
                judgement_id = self.identity.judge(
                    Verdict(command.verdict), left, right, reason="as told", author="steward"
                )
            except SameasError as error:
                return error
            self.judgements[judgement_id] = command
            self.accepted.append(command)
            return judgement_id
        assert isinstance(command, Unjudge)
        if self.judgements:
            judgement_id = sorted(self.judgements)[command.number % len(self.judgements)]
            self.identity.withdraw_judgement(judgement_id, author="steward")
            del self.judgements[judgement_id]
            self.accepted.append(command)
        return None

    # -- what the design makes of it --------------------------------------------------------------------

    def current(self) -> dict[Name, State]:
        """Return the current version of every live record: the greatest by (version, effective_at, arrival)."""
        current = {}
        for name, told in self.told.items():
            greatest = max(
                enumerate(told),
                key=lambda entry: (
                    -1 if entry[1].version is None else entry[1].version,
                    -1 if entry[1].effective_at is None else entry[1].effective_at,
                    entry[0],
                ),
            )[1]
            if greatest.statement is not None:
                current[name] = greatest
        return current

    def records(self) -> list[OracleRecord]:
        """Return the live records for the oracle."""
        return [oracle_record(*name, state.statement or {}) for name, state in self.current().items()]

    def evidence(self) -> set[frozenset[Name]]:
        """Return the pairs that the sources not trusted for it state to be the same."""
        current = self.current()
        return {
            frozenset((name, state.same_as))
            for name, state in current.items()
            if state.same_as in current and state.same_as != name and name[0] != TRUSTED
        }

    def facts(self) -> list[OracleJudgement]:
        """Return the judgements in force, those of the trusted source too."""
        facts = [OracleJudgement(one.verdict, one.left, one.right) for one in self.judgements.values()]
        facts.extend(
            OracleJudgement("same", (name,), (state.same_as,))
            for name, state in self.current().items()
            if name[0] == TRUSTED and state.same_as is not None and state.same_as != name
        )
        return facts

    def weigh(self, left: OracleRecord, right: OracleRecord) -> int:
        """Return the weight of two records, evidence included."""
        stated = frozenset((left.name, right.name)) in self.evidence()
        return weigh(left, right) + (SAME_AS if stated else 0)

    def expected(self, *, is_apart_now: bool = True) -> Partition:
        """Return the partition by the oracle; without `is_apart_now` as if nothing were kept apart weakly."""
        evidence = self.evidence()

        def weigh_pair(left: OracleRecord, right: OracleRecord) -> int:
            return weigh(left, right) + (SAME_AS if frozenset((left.name, right.name)) in evidence else 0)

        return oracle_partition(
            self.records(),
            NUMBERS,
            weigh_pair,
            judgements=self.facts(),
            is_apart=is_apart if is_apart_now else lambda left, right: False,
            one_per_customer=(ONE_EACH,) if is_apart_now else (),
            evidence=[tuple(pair) for pair in evidence],  # type: ignore[misc]
        )

    def expected_components(self) -> set[OracleComponent]:
        """Return the components by the oracle."""
        evidence = self.evidence()

        def weigh_pair(left: OracleRecord, right: OracleRecord) -> int:
            return weigh(left, right) + (SAME_AS if frozenset((left.name, right.name)) in evidence else 0)

        return find_oracle_components(
            self.records(),
            NUMBERS,
            weigh_pair,
            judgements=self.facts(),
            evidence=[tuple(pair) for pair in evidence],  # type: ignore[misc]
        )

    def usable_keys(self) -> Collection[object]:
        """Return the keys that few enough profiles hold."""
        return list_usable_keys(self.records(), NUMBERS.holders_max)

    # -- what the store says ----------------------------------------------------------------------------

    def found(self) -> Partition:
        """Return the partition of the store."""
        return _group(self._rows("cid"))

    def found_components(self) -> set[OracleComponent]:
        """Return the components of the store."""
        levels: dict[tuple[int, int], set[Name]] = {}
        for source, key, component_id, level in self._query(
            "SELECT source, key, component_id, component_level FROM record WHERE status = 'live'"
        ):
            levels.setdefault((component_id, level), set()).add((source, key))
        last = len(NUMBERS.thresholds)
        return {
            OracleComponent(frozenset(names), None if level == last else level)
            for (_, level), names in levels.items()
        }

    def check(self) -> None:
        """Assert that the store holds what the design makes of what it was told."""
        assert self.found() == self.expected()
        assert self.found_components() == self.expected_components()

    def empty(self) -> None:
        """Forget every record and judgement; the contracts and the model stay."""
        with self.identity.store.write() as tx:
            kept = (
                "alembic_version",
                "id_counter",
                "scoring_model",
                "source",
                "source_contract",
                "store_fact",
            )
            for table in metadata.tables:
                if table not in kept:
                    tx.connection.execute(text(f"DELETE FROM {table}"))
        self.told, self.judgements, self.accepted = {}, {}, []

    def _rows(self, column: str) -> list[tuple[str, str, object]]:
        return self._query(f"SELECT source, key, {column} FROM record WHERE status = 'live'")

    def _query(self, sql: str) -> list[tuple]:  # type: ignore[type-arg]
        with self.identity.store.read() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]


def command_of(state: State) -> RecordCommand:
    """Return the command of a statement."""
    attributes = None if state.statement is None else clean_attributes(attributes_of(state.statement))
    target = RecordRef(*state.same_as) if state.same_as is not None and state.same_as != state.name else None
    return RecordCommand(
        RecordRef(*state.name),
        attributes,
        version=state.version,
        effective_at=state.effective_at,
        same_as=None if state.statement is None else target,
        author="test",
    )


def _group(rows: Iterable[tuple[str, str, object]]) -> Partition:
    groups: dict[object, set[Name]] = {}
    for source, key, value in rows:
        groups.setdefault(value, set()).add((source, key))
    return {frozenset(names) for names in groups.values()}
