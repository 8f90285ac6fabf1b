"""A record that goes on under another key of its source."""

from __future__ import annotations

from dataclasses import replace

from identity.model import EventType, KeyStatus, Outcome, RecordAnswer, RecordCommand, RecordRef, Verdict
from identity.service import Identity
from tests.identity.stores import find_cid, stated, tell, withdrawn

OLD, NEW = RecordRef("crm", "1"), RecordRef("crm", "2")


def rename(
    identity: Identity, *, version: int | None = None, content: RecordCommand | None = None
) -> list[RecordAnswer]:
    """Let crm/1 go on as crm/2, as the two commands of one transaction."""
    went = replace(withdrawn("1", version=version), renamed_to="2")
    came = content or stated("2", version=version, email=("ann",))
    answers = identity.resolve_together([went, came], lambda _tx, _answers: None)
    told = [answer for answer in answers if isinstance(answer, RecordAnswer)]
    assert len(told) == 2, answers
    return told


def test_the_customer_stays_and_the_old_key_says_renamed(identity: Identity) -> None:
    [issued] = tell(identity, stated("1", version=1, email=("ann",)))

    went, came = rename(identity, version=2)

    assert came.cid == issued.cid
    assert (came.outcome, went.outcome) == (Outcome.LINKED, Outcome.WITHDRAWN)
    assert identity.look_up([OLD, NEW]).rows == [
        (issued.cid, KeyStatus.RENAMED),
        (issued.cid, KeyStatus.LIVE),
    ]
    assert issued.cid is not None
    assert identity.get_cid(issued.cid).records == (NEW,)
    events, _ = identity.changes(None, limit=10)
    assert [(event.type, event.key) for event in events] == [
        (EventType.ISSUED, "1"),
        (EventType.RENAMED, "1"),
        (EventType.LINKED, "2"),
    ]


def test_told_twice_it_changes_nothing(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    rename(identity, version=2)
    _, cursor = identity.changes(None, limit=10)

    went, came = rename(identity, version=2)

    assert {went.outcome, came.outcome} == {Outcome.UNCHANGED}
    assert identity.changes(cursor, limit=10)[0] == []


def test_an_older_statement_under_the_old_key_does_not_bring_it_back_and_a_newer_one_is_another_customer(
    identity: Identity,
) -> None:
    [issued] = tell(identity, stated("1", version=2, email=("ann",)))
    rename(identity, version=5)

    [late] = tell(identity, stated("1", version=3, email=("ann",), place="x"))
    assert late.outcome is Outcome.STALE
    [again] = tell(identity, stated("1", version=9, email=("ben",)))

    assert again.outcome is Outcome.ISSUED
    assert again.cid != issued.cid
    assert find_cid(identity, "2") == issued.cid


def test_a_key_that_was_never_seen_is_renamed_all_the_same_and_keeps_what_is_older_out(
    identity: Identity,
) -> None:
    _, came = rename(identity, version=5)

    [late] = tell(identity, stated("1", version=3, email=("ann",)))

    assert late.outcome is Outcome.STALE
    assert identity.look_up([OLD]).rows == [(came.cid, KeyStatus.RENAMED)]


def test_what_the_new_key_states_counts_at_once(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)), stated("3", email=("ben",)))

    _, came = rename(identity, version=2, content=stated("2", version=2, email=("ben",)))

    assert came.cid == find_cid(identity, "3")


def test_a_judgement_of_the_old_key_holds_for_the_new_one(identity: Identity) -> None:
    tell(identity, stated("1", version=1, email=("ann",)), stated("3", email=("ann",), place="x"))
    judgement = identity.judge(Verdict.DIFFERENT, [OLD], [RecordRef("crm", "3")], reason="two", author="s")

    rename(identity, version=2)

    assert find_cid(identity, "2") != find_cid(identity, "3")
    identity.withdraw_judgement(judgement, author="s")
    assert find_cid(identity, "2") == find_cid(identity, "3")


def test_a_judgement_that_names_both_keys_names_the_record_once(identity: Identity) -> None:
    tell(
        identity,
        stated("1", version=1, email=("ann",)),
        stated("2", version=1, email=("ben",)),
        stated("3", email=("cora",)),
    )
    identity.judge(Verdict.SAME, [OLD, NEW], [RecordRef("crm", "3")], reason="one", author="s")

    rename(identity, version=2, content=stated("2", version=2, email=("ben",), place="x"))

    assert find_cid(identity, "2") == find_cid(identity, "3")
