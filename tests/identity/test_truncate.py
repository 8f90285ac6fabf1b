"""A source that emptied its table: all that is older is withdrawn, and what comes late is stale."""

from __future__ import annotations

import pytest

from identity.errors import SourceUnknown
from identity.model import KeyStatus, Outcome, RecordRef
from identity.service import Identity
from tests.identity.stores import find_cid, stated, tell


def status_of(identity: Identity, key: str) -> KeyStatus:
    [(_, status)] = identity.look_up([RecordRef("crm", key)]).rows
    return status


def test_older_records_are_withdrawn_and_newer_ones_and_other_sources_stay(identity: Identity) -> None:
    tell(
        identity,
        stated("old", version=5, email=("ann",)),
        stated("without", email=("ben",)),
        stated("new", version=11, email=("cora",)),
        stated("old", "one", version=5, email=("ann",)),
    )

    withdrawn = identity.truncate_source("crm", 10, author="worker")

    assert withdrawn == 2
    statuses = {key: status_of(identity, key) for key in ("old", "without", "new")}
    assert statuses == {
        "old": KeyStatus.WITHDRAWN,
        "without": KeyStatus.WITHDRAWN,
        "new": KeyStatus.LIVE,
    }
    assert find_cid(identity, "old", "one")


def test_what_arrives_late_is_stale_whether_its_record_was_seen_or_not(identity: Identity) -> None:
    tell(identity, stated("seen", version=5, email=("ann",)))
    identity.truncate_source("crm", 10, author="worker")

    late = tell(
        identity, stated("seen", version=9, email=("ann",)), stated("unseen", version=9, email=("ben",))
    )

    assert [(one.outcome, one.is_new) for one in late] == [(Outcome.STALE, False)] * 2
    assert status_of(identity, "seen") is KeyStatus.WITHDRAWN
    assert status_of(identity, "unseen") is KeyStatus.UNKNOWN


def test_what_was_stated_after_the_truncation_is_taken_and_the_customer_keeps_its_cid(
    identity: Identity,
) -> None:
    [issued] = tell(identity, stated("1", version=5, email=("ann",)))
    identity.truncate_source("crm", 10, author="worker")

    [back] = tell(identity, stated("1", version=12, email=("ann",)))

    assert (back.cid, status_of(identity, "1")) == (issued.cid, KeyStatus.LIVE)


def test_told_again_or_late_it_changes_nothing(identity: Identity) -> None:
    tell(identity, stated("1", version=5, email=("ann",)))
    identity.truncate_source("crm", 10, author="worker")
    tell(identity, stated("1", version=12, email=("ann",)))
    _, cursor = identity.changes(None, limit=10)

    assert identity.truncate_source("crm", 10, author="worker") == 0
    assert identity.truncate_source("crm", 7, author="worker") == 0

    assert identity.changes(cursor, limit=10)[0] == []
    assert tell(identity, stated("2", version=9))[0].outcome is Outcome.STALE


def test_records_of_one_page_and_more_are_withdrawn(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("identity.service._WITHDRAW_BATCH", 2)
    tell(identity, *(stated(str(number), version=1, email=(f"u{number}",)) for number in range(5)))

    assert identity.truncate_source("crm", 2, author="worker") == 5


def test_an_unknown_source_is_refused(identity: Identity) -> None:
    with pytest.raises(SourceUnknown):
        identity.truncate_source("nowhere", 1, author="worker")
