"""The one path by which statements become CIDs: batches, answers, dry runs, retries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from identity.errors import (
    InvariantBroken,
    JudgementConflict,
    RecordUnknown,
    SourceUnknown,
    StoreBusy,
    VersionConflict,
)
from identity.model import (
    Cause,
    CauseKind,
    Cid,
    CidTarget,
    EventType,
    KeyStatus,
    Outcome,
    RecordAnswer,
    RecordRef,
    Verdict,
)
from identity.resolve import BATCH_RECORDS_MAX
from identity.service import Identity
from identity.store_sql.faults import LockTableFull
from identity.store_sql.opening import SqlStore
from identity.store_sql.tables import store_fact
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from tests.identity.stores import Place, find_cid, stated, tell, withdrawn
from tests.promises.world import BEGIN, Clock

ONE, TWO = RecordRef("crm", "1"), RecordRef("crm", "2")
DAY = 86_400_000_000


# -------------------------------------------------------------------------------------------- outcomes


def test_a_first_record_is_issued_and_one_that_joins_it_is_linked(identity: Identity) -> None:
    first, second = tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), place="x"))

    assert {first.outcome, second.outcome} <= {Outcome.ISSUED, Outcome.LINKED}
    assert first.cid == second.cid
    [third] = tell(identity, stated("3", email=("ann",), place="y"))
    assert (third.outcome, third.cid, third.is_new) == (Outcome.LINKED, first.cid, True)


def test_the_same_content_again_is_unchanged_and_tells_nothing(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=1, email=("ann",)))
    _, cursor = identity.changes(None, limit=10)

    [again] = tell(identity, stated("1", version=1, email=("ann",)))

    assert (again.outcome, again.cid, again.is_new) == (Outcome.UNCHANGED, first.cid, False)
    assert identity.changes(cursor, limit=10)[0] == []


def test_the_same_version_with_other_content_is_a_conflict_and_changes_nothing(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))

    [answer] = identity.resolve([stated("1", version=1, email=("bob",))])

    assert isinstance(answer, VersionConflict)
    assert tell(identity, stated("1", version=1, email=("ann",)))[0].outcome is Outcome.UNCHANGED


def test_a_newer_version_of_the_same_customer_is_updated(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=1, email=("ann",)))

    [second] = tell(identity, stated("1", version=2, email=("ann", "anna")))

    assert (second.outcome, second.cid) == (Outcome.UPDATED, first.cid)


def test_an_older_version_is_stale_and_stays_recorded(identity: Identity) -> None:
    tell(identity, stated("1", version=5, email=("ann",)))

    assert tell(identity, stated("1", version=3, email=("bob",)))[0].outcome is Outcome.STALE
    [conflict] = identity.resolve([stated("1", version=3, email=("eve",))])
    assert isinstance(conflict, VersionConflict)


def test_a_newer_number_on_the_same_content_is_remembered(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    assert tell(identity, stated("1", version=5, email=("ann",)))[0].outcome is Outcome.UNCHANGED

    assert tell(identity, stated("1", version=4, email=("bob",)))[0].outcome is Outcome.STALE


def test_a_record_that_brings_two_customers_together_merges_them(identity: Identity) -> None:
    older, younger = tell(identity, stated("1", email=("ann",)), stated("2", city=("rome",)))

    [third] = tell(identity, stated("3", email=("ann",), city=("rome",)))

    assert (third.outcome, third.cid) == (Outcome.MERGED, older.cid)
    assert find_cid(identity, "2") == older.cid != younger.cid


def test_a_record_that_leaves_its_customer_splits_it(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", version=1, email=("ann",), place="x"))

    [left] = tell(identity, stated("2", version=2, email=("bob",)))

    assert left.outcome is Outcome.SPLIT
    assert find_cid(identity, "1") != left.cid


def test_a_withdrawn_record_keeps_its_cid_for_its_return(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=1, email=("ann",)))
    [gone] = tell(identity, withdrawn("1", version=2))
    assert (gone.outcome, gone.cid) == (Outcome.WITHDRAWN, first.cid)

    assert tell(identity, stated("1", version=1, email=("ann",)))[0].outcome in (
        Outcome.STALE,
        Outcome.UNCHANGED,
    )
    [back] = tell(identity, stated("1", version=3, email=("ann",)))

    assert back.cid == first.cid
    assert identity.changes(None, limit=10)[0][-1].type is EventType.RETURNED


def test_a_withdrawal_of_what_was_never_stated_is_refused_unless_it_keeps_an_older_version_out(
    identity: Identity,
) -> None:
    [refused] = identity.resolve([withdrawn("1")])
    assert isinstance(refused, RecordUnknown)

    assert tell(identity, withdrawn("1", version=5))[0].outcome is Outcome.WITHDRAWN
    assert tell(identity, stated("1", version=4, email=("ann",)))[0].outcome is Outcome.STALE
    assert identity.look_up([ONE]).rows[0][1] is KeyStatus.WITHDRAWN


def test_a_late_older_version_moves_only_the_beginning_back(identity: Identity) -> None:
    [first] = tell(identity, stated("1", version=2, effective_at=BEGIN - DAY, email=("ann",)))

    [late] = tell(identity, stated("1", version=1, effective_at=BEGIN - 2 * DAY, email=("bob",)))

    assert late.outcome is Outcome.STALE
    assert identity.look_up([ONE], valid_at=BEGIN - 2 * DAY).rows == [(first.cid, "live")]
    assert [event.type for event in identity.changes(None, limit=10)[0]] == [
        EventType.ISSUED,
        EventType.BACKDATED,
    ]


def test_warnings_name_what_was_not_used(identity: Identity) -> None:
    [answer] = tell(identity, stated("1", loyalty="12", email=("noreply",)))

    assert ("email[0]", "junk") in answer.warnings


# ------------------------------------------------------------------------------------------- same as


def test_same_as_of_an_untrusted_source_is_evidence_that_can_link(identity: Identity) -> None:
    [first] = tell(identity, stated("1", email=("ann",)))

    [second] = tell(identity, stated("2", city=("rome",), same_as=ONE))

    assert second.cid == first.cid


def test_same_as_may_name_a_cid_that_was_merged_into_another(identity: Identity) -> None:
    old, _ = tell(identity, stated("1", email=("ann",)), stated("2", city=("rome",)))
    gone = find_cid(identity, "2")
    tell(identity, stated("3", email=("ann",), city=("rome",)))

    [answer] = tell(identity, stated("4", "trusty", email=("ann",), city=("rome",), same_as=CidTarget(gone)))

    assert answer.cid == old.cid


def test_same_as_that_names_a_cid_nobody_bears_is_refused(identity: Identity) -> None:
    [answer] = identity.resolve([stated("1", same_as=CidTarget(Cid("018bcfe5-6805-7000-8000-00000000ffff")))])

    assert answer.code == "unknown_cid"  # type: ignore[union-attr]


def test_same_as_of_a_trusted_source_against_a_judgement_is_refused(identity: Identity) -> None:
    tell(identity, stated("1", "trusty", version=1, email=("ann",)), stated("2", email=("bob",)))
    identity.judge(Verdict.DIFFERENT, [RecordRef("trusty", "1")], [TWO], reason="", author="ann")

    [answer] = identity.resolve([stated("1", "trusty", version=2, email=("ann",), same_as=TWO)])

    assert isinstance(answer, JudgementConflict)


# -------------------------------------------------------------------------------------------- batches


def test_one_bad_command_leaves_the_others_of_its_batch_as_they_are(identity: Identity) -> None:
    tell(identity, stated("2", version=1, email=("bob",)))

    answers = identity.resolve(
        [
            stated("1", email=("ann",)),
            stated("2", version=1, email=("eve",)),
            stated("1", "nowhere"),
            stated("3", city=("rome",)),
        ]
    )

    assert [type(answer) for answer in answers] == [
        RecordAnswer,
        VersionConflict,
        SourceUnknown,
        RecordAnswer,
    ]
    assert find_cid(identity, "1") != find_cid(identity, "3")


def test_no_commands_have_no_answers(identity: Identity) -> None:
    assert identity.resolve([]) == []


def test_statements_about_one_record_are_applied_in_the_order_given(identity: Identity) -> None:
    answers = tell(
        identity, stated("1", email=("ann",)), stated("1", email=("bob",)), stated("1", email=("eve",))
    )

    assert [answer.is_new for answer in answers] == [True, False, False]
    [hit] = identity.search({"email": "eve@web.de"})
    assert hit.records == (ONE,)


def test_more_commands_than_a_transaction_takes_are_answered_in_order(identity: Identity) -> None:
    count = BATCH_RECORDS_MAX + 3

    answers = tell(identity, *(stated(str(number), place=str(number)) for number in range(count)))

    assert [answer.ref.key for answer in answers] == [str(number) for number in range(count)]
    assert len({answer.known_at for answer in answers}) == 2


def test_every_change_of_a_batch_is_told_once_with_the_time_of_its_answer(identity: Identity) -> None:
    answers = tell(identity, stated("1", email=("ann",)), stated("2", city=("rome",)))

    events = identity.changes(None, limit=10)[0]

    assert [(event.key, event.cid, event.known_at) for event in events] == [
        (answer.ref.key, answer.cid, answer.known_at) for answer in answers
    ]


def test_a_command_that_names_its_cause_is_told_with_it(identity: Identity) -> None:
    cause = Cause(CauseKind.LOAD, "l7")

    tell(identity, replace(stated("1", email=("ann",)), cause=cause))

    assert identity.changes(None, limit=10)[0][0].cause == cause


def test_system_time_grows_when_the_clock_steps_back(place: Place) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    [first] = tell(identity, stated("1", version=1, email=("ann",)))
    clock.now = BEGIN - DAY

    [second] = tell(identity, stated("1", version=2, email=("bob",)))

    assert second.known_at > first.known_at


# ------------------------------------------------------------------------------------------- dry runs


def test_a_dry_run_answers_what_would_be_and_stores_nothing(identity: Identity) -> None:
    [first] = tell(identity, stated("1", email=("ann",)))
    _, cursor = identity.changes(None, limit=10)

    [answer] = identity.resolve([stated("2", email=("ann",), place="x")], dry_run=True)

    assert isinstance(answer, RecordAnswer)
    assert (answer.outcome, answer.cid) == (Outcome.LINKED, first.cid)
    assert identity.look_up([TWO]).rows == [(None, KeyStatus.UNKNOWN)]
    assert identity.changes(cursor, limit=10)[0] == []


def test_a_dry_run_names_no_cid_that_was_not_issued(identity: Identity) -> None:
    [answer] = identity.resolve([stated("1", email=("ann",))], dry_run=True)

    assert isinstance(answer, RecordAnswer)
    assert (answer.outcome, answer.cid) == (Outcome.ISSUED, None)


def test_a_dry_run_is_forgotten_by_the_runs_after_it(identity: Identity) -> None:
    """The ids that it used are free again; what was remembered under them must not come back."""
    tell(identity, stated("1", email=("ann",)))
    identity.resolve([stated("2", email=("bob",))], dry_run=True)

    [answer] = tell(identity, stated("3", email=("ann",), place="x"))

    assert answer.cid == find_cid(identity, "1")


# --------------------------------------------------------------------------------------------- retries


class _FailingStore:
    """A store of which the first write fails as told; the rest goes to the real one."""

    def __init__(self, store: SqlStore, failures: list[Exception]) -> None:
        self._store = store
        self.failures = failures

    def write(self) -> object:
        if self.failures:
            raise self.failures.pop()
        return self._store.write()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_full_lock_table_is_met_with_half_the_batch(sqlite_identity: Identity) -> None:
    failing = _FailingStore(sqlite_identity.store, [LockTableFull("full")])
    sqlite_identity.resolver._store = failing  # type: ignore[assignment]

    answers = tell(sqlite_identity, *(stated(str(number), place=str(number)) for number in range(5)))

    assert [answer.ref.key for answer in answers] == list("01234")
    assert len({answer.known_at for answer in answers}) == 2


def test_one_record_alone_that_the_lock_table_cannot_take_is_refused_as_busy(
    sqlite_identity: Identity,
) -> None:
    failing = _FailingStore(sqlite_identity.store, [LockTableFull("full")])
    sqlite_identity.resolver._store = failing  # type: ignore[assignment]

    with pytest.raises(StoreBusy):
        tell(sqlite_identity, stated("1", email=("ann",)))


def test_writers_at_the_same_time_make_one_customer_of_one(place: Place) -> None:
    identities = [place.open_identity(first_cid=1000 * number) for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: tell(identities[n], stated(str(n), email=("ann",), place=str(n))), range(4)))

    assert len({find_cid(identities[0], str(number)) for number in range(4)}) == 1


# ------------------------------------------------------------------------------ together with something else


def test_what_is_kept_together_is_stored_with_the_answers_or_not_at_all(identity: Identity) -> None:
    told: list[object] = []

    def keep(tx: SqlTransaction, answers: list[RecordAnswer | SameasError]) -> None:
        told[:] = answers
        tx.insert_rows("store_fact", [("kept", str(len(answers)))])

    def break_off(tx: SqlTransaction, answers: list[RecordAnswer | SameasError]) -> None:
        keep(tx, answers)
        raise StoreBusy("broken off")

    with pytest.raises(StoreBusy):
        identity.resolve_together([stated("1", email=("ann",))], break_off)
    assert identity.look_up([ONE]).rows == [(None, KeyStatus.UNKNOWN)]
    answers = identity.resolve_together(
        [stated("1", email=("ann",)), replace(stated("2"), ref=RecordRef("nowhere", "2"))], keep
    )

    assert told == answers
    assert isinstance(answers[0], RecordAnswer)
    assert isinstance(answers[1], SourceUnknown)
    assert read_fact(identity, "kept") == "2"


def test_something_can_be_kept_though_no_command_is_good(identity: Identity) -> None:
    def keep(tx: SqlTransaction, answers: list[RecordAnswer | SameasError]) -> None:
        tx.insert_rows("store_fact", [("kept", str(len(answers)))])

    identity.resolve_together([replace(stated("2"), ref=RecordRef("nowhere", "2"))], keep)

    assert read_fact(identity, "kept") == "1"


def test_two_commands_about_one_record_are_not_one_transaction(identity: Identity) -> None:
    with pytest.raises(InvariantBroken):
        identity.resolve_together([stated("1"), stated("1", email=("ann",))], lambda _tx, _answers: None)


def read_fact(identity: Identity, name: str) -> str | None:
    with identity.store.read() as connection:
        return connection.scalar(select(store_fact.c.value).where(store_fact.c.name == name))
