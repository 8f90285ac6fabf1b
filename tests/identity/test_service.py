"""The use cases of identity: retire a source, judge, read customers and what became of CIDs."""

from __future__ import annotations

import pytest

from identity.errors import (
    CidUnknown,
    JudgementConflict,
    JudgementRefused,
    JudgementUnknown,
    RecordUnknown,
    SourceRetired,
    SourceUnknown,
)
from identity.model import Cause, CauseKind, CidStatus, EventType, KeyStatus, RecordRef, Verdict
from identity.service import Identity
from identity.statement import format_instant
from identity.store_sql import tables
from tests.identity.stores import find_cid, stated, tell, withdrawn

ONE, TWO, THREE = (RecordRef("crm", key) for key in "123")


def judge(identity: Identity, verdict: Verdict, *refs: RecordRef) -> str:
    return identity.judge(verdict, refs[:1], refs[1:], reason="asked her", author="ann")


# ---------------------------------------------------------------------------------------------- sources


def test_retiring_a_source_withdraws_every_live_record_of_it_and_no_other(identity: Identity) -> None:
    tell(
        identity, stated("1", email=("ann",)), stated("2", email=("bob",)), stated("1", "one", email=("ann",))
    )

    assert identity.retire_source("crm", author="ann") == 2

    assert [status for _, status in identity.look_up([ONE, TWO]).rows] == ["withdrawn", "withdrawn"]
    assert identity.get_cid(find_cid(identity, "1", "one")).records == (RecordRef("one", "1"),)


def test_retiring_is_named_as_the_cause(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    _, cursor = identity.changes(None, limit=10)

    identity.retire_source("crm", author="ann")

    [event] = identity.changes(cursor, limit=10)[0]
    assert (event.type, event.cause) == (EventType.WITHDRAWN, Cause(CauseKind.CONTRACT, "crm/retired"))


def test_retiring_again_finds_nothing_left_to_do(identity: Identity) -> None:
    tell(identity, stated("1", version=3, effective_at=5, email=("ann",)))
    identity.retire_source("crm", author="ann")

    assert identity.retire_source("crm", author="ann") == 0


def test_a_retired_source_takes_no_statements_and_the_rest_of_the_batch_is_kept(identity: Identity) -> None:
    identity.retire_source("crm", author="ann")

    refused, kept = identity.resolve([stated("1", email=("ann",)), stated("1", "one", email=("ann",))])

    assert isinstance(refused, SourceRetired)
    assert not isinstance(kept, Exception)


def test_an_unknown_source_cannot_be_retired(sqlite_identity: Identity) -> None:
    with pytest.raises(SourceUnknown):
        sqlite_identity.retire_source("nowhere", author="ann")


def test_sources_are_listed_by_name(sqlite_identity: Identity) -> None:
    assert [contract.name for contract in sqlite_identity.list_sources()] == ["crm", "one", "trusty"]


# ------------------------------------------------------------------------------------------- judgements


def test_same_joins_what_no_score_would_join(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))

    judge(identity, Verdict.SAME, ONE, TWO)

    assert find_cid(identity, "1") == find_cid(identity, "2")


def test_different_parts_what_every_score_would_join(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",)))

    judge(identity, Verdict.DIFFERENT, ONE, TWO)

    assert find_cid(identity, "1") != find_cid(identity, "2")


def test_different_is_not_undone_by_a_third_record(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",)))
    judge(identity, Verdict.DIFFERENT, ONE, TWO)

    tell(identity, stated("3", email=("ann",)))

    assert find_cid(identity, "1") != find_cid(identity, "2")


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.DIFFERENT])
def test_withdrawing_a_judgement_gives_what_holds_without_it(identity: Identity, verdict: Verdict) -> None:
    other = "bob" if verdict is Verdict.SAME else "ann"
    tell(identity, stated("1", email=("ann",)), stated("2", email=(other,)))
    before = find_cid(identity, "1"), find_cid(identity, "2")
    judgement_id = judge(identity, verdict, ONE, TWO)

    identity.withdraw_judgement(judgement_id, author="bob")

    assert (find_cid(identity, "1"), find_cid(identity, "2")) == before


def test_a_judgement_is_the_cause_of_what_it_changes(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    _, cursor = identity.changes(None, limit=10)

    judgement_id = judge(identity, Verdict.SAME, ONE, TWO)

    [event] = identity.changes(cursor, limit=10)[0]
    assert (event.type, event.cause) == (EventType.MERGED, Cause(CauseKind.JUDGEMENT, judgement_id))


def test_author_reason_and_who_withdrew_it_are_kept(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    judgement_id = judge(identity, Verdict.SAME, ONE, TWO)

    identity.withdraw_judgement(judgement_id, author="bob")

    with identity.store.read() as connection:
        [row] = connection.execute(tables.judgement.select())
    assert (row.id, row.author, row.reason, row.withdrawn_by) == (judgement_id, "ann", "asked her", "bob")
    assert row.system_from < row.system_to


def test_a_judgement_that_contradicts_one_in_force_is_refused_by_its_name(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    judgement_id = judge(identity, Verdict.DIFFERENT, ONE, TWO)

    with pytest.raises(JudgementConflict, match=judgement_id):
        judge(identity, Verdict.SAME, ONE, TWO)

    assert find_cid(identity, "1") != find_cid(identity, "2")


def test_a_judgement_about_a_record_never_stated_is_refused(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))

    with pytest.raises(RecordUnknown):
        judge(identity, Verdict.SAME, ONE, TWO)


def test_a_judgement_that_says_nothing_is_refused(sqlite_identity: Identity) -> None:
    tell(sqlite_identity, stated("1", email=("ann",)))

    with pytest.raises(JudgementRefused):
        judge(sqlite_identity, Verdict.SAME, ONE, ONE)


def test_a_judgement_never_made_or_withdrawn_already_cannot_be_withdrawn(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    judgement_id = judge(identity, Verdict.SAME, ONE, TWO)
    identity.withdraw_judgement(judgement_id, author="ann")

    for one in (judgement_id, "j999999", ""):
        with pytest.raises(JudgementUnknown):
            identity.withdraw_judgement(one, author="ann")


# ------------------------------------------------------------------------------------------------ reads


def merge(identity: Identity) -> tuple[str, str]:
    """Merge two customers; return the CID that stays and the one that was merged into it."""
    tell(
        identity,
        stated("1", email=("ann",)),
        stated("2", email=("ann",), place="x"),
        stated("3", website=("w",)),
    )
    stays, goes = find_cid(identity, "1"), find_cid(identity, "3")
    judge(identity, Verdict.SAME, ONE, THREE)
    assert find_cid(identity, "3") == stays
    return stays, goes


def test_the_golden_record_says_which_record_each_value_is_from(identity: Identity) -> None:
    answers = tell(identity, stated("1", email=("ann",)), stated("2", email=("ann",), place="Rome"))
    cid = find_cid(identity, "1")

    answered, attributes = identity.golden(cid)

    assert answered == cid
    assert attributes["birth_place"] == {
        "value": "Rome", "source": "crm", "key": "2", "since": format_instant(answers[1].known_at),
    }  # fmt: skip


def test_a_merged_cid_answers_with_the_golden_record_of_its_successor(identity: Identity) -> None:
    stays, goes = merge(identity)

    assert identity.golden(goes) == identity.golden(stays)
    assert identity.golden(goes)[0] == stays


def test_a_cid_that_stands_for_nobody_has_no_golden_record(identity: Identity) -> None:
    cid = tell(identity, stated("1", version=1, email=("ann",)))[0].cid
    tell(identity, withdrawn("1", version=2))

    assert identity.golden(str(cid)) == (cid, {})


def test_a_cid_never_issued_has_no_golden_record(sqlite_identity: Identity) -> None:
    with pytest.raises(CidUnknown):
        sqlite_identity.golden("018bcfe5-6805-7000-8000-00000000ffff")


def test_the_golden_record_holds_values_of_the_callers_sources_only(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",), place="Rome"), stated("1", "one", email=("ann",)))

    _, attributes = identity.golden(find_cid(identity, "1"), sources=["one"])

    assert "birth_place" not in attributes
    assert "email" in attributes


def test_a_merged_cid_names_its_successor_and_bears_no_record(identity: Identity) -> None:
    stays, goes = merge(identity)

    view = identity.get_cid(goes)

    assert (view.status, view.successors, view.records) == (CidStatus.MERGED, (stays,), ())
    assert identity.get_cid(stays).records == (ONE, TWO, THREE)


def test_the_events_of_a_cid_are_those_by_which_keys_came_to_it_and_left_it(identity: Identity) -> None:
    stays, goes = merge(identity)

    assert [(event.type, event.cid) for event in identity.cid_events(goes)] == [
        (EventType.ISSUED, goes),
        (EventType.MERGED, stays),
    ]


def test_a_withdrawn_record_keeps_its_last_cid_with_its_status(identity: Identity) -> None:
    cid = tell(identity, stated("1", version=1, email=("ann",)))[0].cid

    tell(identity, withdrawn("1", version=2))

    assert identity.look_up([ONE]).rows == [(cid, KeyStatus.WITHDRAWN)]
