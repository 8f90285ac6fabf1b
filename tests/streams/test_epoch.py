"""A source whose log began anew: under a raised epoch smaller positions are newer, and all else stays ordered."""

from __future__ import annotations

import pytest

from identity.errors import ContractConflict
from identity.model import KeyStatus, RecordRef
from identity.service import Identity
from streams.fate import Fate
from streams.replay import Replayer
from tests.identity.stores import find_cid
from tests.promises.audit import assert_sound
from tests.promises.world import Clock
from tests.streams.stream import Told, envelope
from tests.streams.taking import TABLE, Taking

UNSENT = "__debezium_unavailable_value"


@pytest.fixture
def taking(identity: Identity) -> Taking:
    identity.put_source("crm", TABLE, author="test")
    return Taking(identity)


def raise_epoch(taking: Taking, epoch: int = 1, **more: object) -> None:
    taking.identity.put_source("crm", {**TABLE, "epoch": epoch, **more}, author="test")


def row(op: str, key: str, lsn: int, mail: str = "ann@web.de", **more: object) -> Told:
    return envelope(op, {"id": key, "mail": mail, **more}, lsn)


def truncation(lsn: int) -> Told:
    return Told(None, b'{"op":"t","source":{"lsn":%d,"ts_ms":1690000000000}}' % lsn)


def statement_of(identity: Identity, key: str) -> tuple[KeyStatus, object]:
    ref = RecordRef("crm", key)
    with identity.store.inspect() as tx:
        held = tx.read_records([ref])[ref]
        statement = tx.read_version(held.vid).statement
    return KeyStatus(held.status), None if statement is None else statement["attributes"]


def mail_of(identity: Identity, key: str) -> object:
    status, attributes = statement_of(identity, key)
    assert status is KeyStatus.LIVE
    assert isinstance(attributes, dict)
    return attributes["email"]


def test_without_raising_the_epoch_a_smaller_position_is_stale(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000))

    assert taking.take(row("u", "1", 50, "new@web.de")) == {Fate.STALE: 1}


def test_after_raising_the_epoch_a_smaller_position_is_newer_and_then_counts_as_before(
    taking: Taking,
) -> None:
    taking.take(row("c", "1", 1_000))
    raise_epoch(taking)

    tally = taking.take(row("u", "1", 50, "new@web.de"), row("u", "1", 40, "late@web.de"))

    assert tally == {Fate.APPLIED: 1, Fate.STALE: 1}
    assert mail_of(taking.identity, "1") == ["new@web.de"]
    assert_sound(taking.identity)


def test_the_same_position_with_other_content_is_no_conflict_across_epochs(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000), row("u", "1", 900, "late@web.de"))
    raise_epoch(taking)

    tally = taking.take(row("u", "1", 1_000, "b@web.de"), row("u", "1", 900, "c@web.de"))

    assert tally == {Fate.APPLIED: 1, Fate.STALE: 1}
    assert taking.list_open() == []


def test_what_is_stated_again_as_it_was_takes_its_place_in_the_new_epoch(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000))
    raise_epoch(taking)
    taking.take(row("r", "1", 60))

    assert taking.take(row("u", "1", 50, "late@web.de")) == {Fate.STALE: 1}
    assert taking.take(row("u", "1", 70, "new@web.de")) == {Fate.APPLIED: 1}


def test_a_deletion_at_a_smaller_position_withdraws_and_the_row_can_come_again(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000))
    raise_epoch(taking)

    taking.take(row("d", "1", 50))
    assert statement_of(taking.identity, "1")[0] is KeyStatus.WITHDRAWN
    assert taking.take(row("c", "1", 40)) == {Fate.STALE: 1}
    assert taking.take(row("c", "1", 60)) == {Fate.APPLIED: 1}


def test_a_deleted_row_deleted_again_in_the_new_epoch_stays_so_for_older_positions(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000), row("d", "1", 1_001))
    raise_epoch(taking)
    taking.take(row("d", "1", 50))

    assert taking.take(row("c", "1", 40)) == {Fate.STALE: 1}


def test_a_truncation_of_a_former_epoch_makes_nothing_stale_any_more(taking: Taking) -> None:
    taking.take(row("c", "1", 900), truncation(1_000))
    assert taking.take(row("c", "2", 950)) == {Fate.STALE: 1}
    raise_epoch(taking)

    assert taking.take(row("c", "1", 50), row("c", "3", 60)) == {Fate.APPLIED: 2}


def test_a_truncation_withdraws_what_a_former_epoch_left_whatever_its_number(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000), row("c", "2", 1_001))
    raise_epoch(taking)
    taking.take(row("u", "2", 70), truncation(60))

    assert [statement_of(taking.identity, key)[0] for key in "12"] == [KeyStatus.WITHDRAWN, KeyStatus.LIVE]


def test_what_a_new_contract_read_again_is_still_older_than_the_new_epoch(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000))
    raise_epoch(taking, region="DE")
    while taking.identity.settle_some():
        pass

    assert taking.take(row("u", "1", 50, "new@web.de")) == {Fate.APPLIED: 1}
    assert mail_of(taking.identity, "1") == ["new@web.de"]


def test_a_change_without_all_values_is_completed_from_the_former_epoch(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000, town="Ulm"))
    raise_epoch(taking)

    taking.take(row("u", "1", 50, "new@web.de", town=UNSENT))

    assert statement_of(taking.identity, "1")[1] == {"email": ["new@web.de"], "birth_place": "Ulm"}


def test_a_reject_of_a_former_epoch_does_not_overwrite_what_came_after_it(taking: Taking) -> None:
    taking.take(row("c", "1", 900), row("u", "1", 1_000, town={"a": 1}))
    [reject] = taking.list_open()
    raise_epoch(taking, mapping={"email": "mail"})
    taking.take(row("u", "1", 50, "new@web.de"))

    done = Replayer(taking.identity, author="os:ann", clock=Clock()).replay(reject)

    assert done.fate is Fate.STALE
    assert mail_of(taking.identity, "1") == ["new@web.de"]


def test_a_reject_of_a_former_epoch_counts_where_nothing_came_after_it_and_is_older_than_the_new_one(
    taking: Taking,
) -> None:
    taking.take(row("c", "1", 1_000, town={"a": 1}))
    [reject] = taking.list_open()
    raise_epoch(taking, mapping={"email": "mail"})

    assert Replayer(taking.identity, author="os:ann", clock=Clock()).replay(reject).fate is Fate.APPLIED
    assert taking.take(row("u", "1", 50, "new@web.de")) == {Fate.APPLIED: 1}


def test_lowering_the_epoch_is_refused(taking: Taking) -> None:
    raise_epoch(taking, 2)

    with pytest.raises(ContractConflict, match="can only be raised"):
        raise_epoch(taking, 1)


def test_the_cid_stays_through_the_epochs(taking: Taking) -> None:
    taking.take(row("c", "1", 1_000))
    before = find_cid(taking.identity, "1")
    raise_epoch(taking)
    taking.take(row("u", "1", 5, "new@web.de"))

    assert find_cid(taking.identity, "1") == before
