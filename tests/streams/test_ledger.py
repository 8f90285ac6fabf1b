"""The ledger on both stores: rows and tallies say the same, whoever writes them and in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from identity.model import Cid, RecordRef, Verdict
from identity.service import Identity
from identity.store_sql import tables
from streams.delivery import Acknowledgement, Delivery, Evidence, Gap, Sent
from streams.ledger import DeliveryLedger
from tests.identity.stores import Place, find_cid, stated, tell, withdrawn


@pytest.fixture
def ledger(identity: Identity) -> DeliveryLedger:
    return DeliveryLedger(identity)


def read_rows(identity: Identity) -> dict[str, Delivery]:
    """Return the rows of crm by their keys; every tally is checked on the way."""
    delivery, record, tally = tables.delivery, tables.record, tables.delivery_tally
    with identity.store.read() as connection:
        rows = connection.execute(
            select(record.c.key, delivery).join(delivery, delivery.c.rid == record.c.rid)
        )
        found = {row[0]: Delivery._make(row[1:]) for row in rows}
        tallies = {row.source: (row.records, row.covered) for row in connection.execute(select(tally))}
    rows_by_source = {one.source for one in found.values()}
    assert {
        source: (
            sum(one.is_live for one in found.values() if one.source == source),
            sum(one.is_covered for one in found.values() if one.source == source),
        )
        for source in rows_by_source
    } == {source: tallies.get(source, (0, 0)) for source in rows_by_source}
    return found


def acknowledged(identity: Identity, keys: Iterable[str], evidence: Evidence) -> list[Acknowledgement]:
    return [
        Acknowledgement(RecordRef("crm", key), find_cid(identity, key), evidence, at=5 * 10**15)
        for key in keys
    ]


def test_what_was_assigned_is_open_until_it_is_acknowledged(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", version=7, email=("ann",)), stated("2", version=8, email=("bob",)))

    assert ledger.follow()
    assert ledger.acknowledge(acknowledged(identity, ["1"], Evidence.WEBHOOK)) == 1

    rows = read_rows(identity)
    assert (rows["1"].is_covered, rows["1"].evidence) == (True, Evidence.WEBHOOK)
    assert (rows["2"].is_open, rows["2"].gap_number) == (True, 8)


def test_an_acknowledgement_may_come_before_the_ledger_has_followed(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", email=("ann",)))

    ledger.acknowledge(acknowledged(identity, ["1"], Evidence.READ_BACK))
    ledger.follow()

    assert read_rows(identity)["1"].is_covered


def test_an_acknowledgement_twice_changes_nothing(identity: Identity, ledger: DeliveryLedger) -> None:
    tell(identity, stated("1", email=("ann",)))
    ledger.follow()
    told = acknowledged(identity, ["1"], Evidence.WEBHOOK)

    assert (ledger.acknowledge(told), ledger.acknowledge(told)) == (1, 0)


def test_a_record_that_the_store_does_not_know_is_passed_over(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    told = Acknowledgement(RecordRef("crm", "9"), Cid("none"), Evidence.WEBHOOK, at=1)

    assert ledger.acknowledge([told]) == 0
    assert read_rows(identity) == {}


def test_a_merge_opens_the_records_whose_cid_it_changed_from_the_version_they_have(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", version=1, email=("ann",)), stated("2", version=2, email=("bob",)))
    ledger.follow()
    ledger.acknowledge(acknowledged(identity, "12", Evidence.CID_SEEN))
    identity.judge(Verdict.SAME, [RecordRef("crm", "1")], [RecordRef("crm", "2")], reason="x", author="a")

    ledger.follow()

    rows = read_rows(identity)
    [moved] = [key for key in "12" if rows[key].is_open]
    assert (rows[moved].gap_number, rows[moved].cid) == (int(moved), find_cid(identity, moved))
    assert rows[moved].acked_cid not in (None, rows[moved].cid)


def test_a_gap_begins_with_the_smallest_number_of_what_was_stated_again(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", version=5, email=("ann",)))
    tell(identity, stated("1", version=9, email=("ann",)))

    ledger.follow()

    assert read_rows(identity)["1"].gap_number == 5


def test_a_record_that_comes_again_is_open_until_it_is_acknowledged_anew(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    ledger.follow()
    ledger.acknowledge([told_of(identity, "1")])
    tell(identity, withdrawn("1", version=2))
    tell(identity, stated("1", version=3, email=("ann",)))
    ledger.follow()
    back = read_rows(identity)["1"]

    ledger.acknowledge([told_of(identity, "1")])

    assert back.is_open
    assert read_rows(identity)["1"].is_covered


def test_an_acknowledgement_of_a_record_that_came_again_may_come_before_the_ledger_has_followed(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", version=1, email=("ann",)))
    ledger.acknowledge([told_of(identity, "1")])
    tell(identity, withdrawn("1", version=2))
    tell(identity, stated("1", version=3, email=("ann",)))

    ledger.acknowledge([told_of(identity, "1")])
    ledger.follow()

    assert read_rows(identity)["1"].is_covered


def told_of(identity: Identity, key: str) -> Acknowledgement:
    """Return what a source says whose clock is far behind."""
    return Acknowledgement(RecordRef("crm", key), find_cid(identity, key), Evidence.WEBHOOK, at=1)


def test_a_withdrawn_record_counts_no_more(identity: Identity, ledger: DeliveryLedger) -> None:
    tell(identity, stated("1", version=1, email=("ann",)), stated("2", version=1, email=("bob",)))
    ledger.follow()
    ledger.acknowledge(acknowledged(identity, "12", Evidence.CID_SEEN))
    tell(identity, withdrawn("1", version=2))
    ledger.follow()

    rows = read_rows(identity)

    assert [rows[key].is_covered for key in "12"] == [False, True]


def test_what_was_sent_is_noted_beside_other_writes_and_is_no_evidence(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", email=("ann",)))
    ledger.follow()

    with identity.store.write() as tx:
        ledger.note_sent_in(tx, [Sent(RecordRef("crm", "1"), 1, at=3, part=2, offset=40)])

    row = read_rows(identity)["1"]
    assert (row.sent_version, row.sent_at, row.sent_part, row.sent_offset) == (1, 3, 2, 40)
    assert row.is_open


def test_the_ledger_follows_in_batches_and_says_when_it_is_behind(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    for start in range(0, 1_200, 400):
        tell(identity, *(stated(str(start + n), email=(f"x{start + n}",)) for n in range(400)))

    assert [ledger.follow(), len(read_rows(identity))] == [False, 1_000]
    assert [ledger.follow(), len(read_rows(identity))] == [True, 1_200]
    assert ledger.follow(batches_max=3)


def test_small_batches_give_the_same_ledger(identity: Identity, ledger: DeliveryLedger) -> None:
    tell(identity, *(stated(str(at), email=(f"u{at // 2}",)) for at in range(9)))

    turns = [ledger.follow(batch_events=2)]
    while not turns[-1]:
        turns.append(ledger.follow(batch_events=2))

    assert len(turns) > 4
    assert len(read_rows(identity)) == 9
    assert ledger.find_place() == tuple(map(int, identity.feed_end().split(".")))


def test_a_follower_that_another_one_overtook_does_not_say_that_it_is_at_the_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = place.open_identity()
    other = DeliveryLedger(place.open_identity(first_cid=100))
    tell(identity, stated("1", email=("ann",)))
    read = identity.changes

    def read_and_be_overtaken(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        other.follow()
        tell(identity, stated("2", email=("bob",)))
        return found

    monkeypatch.setattr(identity, "changes", read_and_be_overtaken)
    assert not DeliveryLedger(identity).follow()
    monkeypatch.undo()

    assert DeliveryLedger(identity).follow()
    assert read_rows(identity).keys() == {"1", "2"}


def test_a_contract_of_a_later_epoch_puts_its_gaps_after_those_of_the_former(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    tell(identity, stated("1", version=100, email=("ann",)))
    identity.put_source("crm", {**identity.get_source("crm").document, "epoch": 2}, author="test")
    tell(identity, stated("2", version=3, email=("bob",)))

    ledger.follow()

    rows = read_rows(identity)
    assert (rows["1"].gap[:2], rows["2"].gap[:2]) == (Gap(0, 100, 0)[:2], Gap(2, 3, 0)[:2])


def test_followers_and_acknowledgements_at_once_end_in_one_truth(place: Place) -> None:
    identity = place.open_identity()
    keys = [str(number) for number in range(60)]
    tell(identity, *(stated(key, email=(f"x{key}",)) for key in keys))
    told = acknowledged(identity, keys, Evidence.WEBHOOK)
    others = [place.open_identity(first_cid=100 * n) for n in (1, 2)]

    def follow(number: int) -> None:
        assert DeliveryLedger(others[number % 2]).follow(batches_max=5)

    def acknowledge(number: int) -> None:
        DeliveryLedger(others[number % 2]).acknowledge(
            told[number::6] if number % 2 else told[number::6][::-1]
        )

    with ThreadPoolExecutor(4) as pool:
        for done in [
            *(pool.submit(acknowledge, number) for number in range(6)),
            *(pool.submit(follow, number) for number in range(4)),
        ]:
            done.result()

    rows = read_rows(identity)
    assert len(rows) == 60
    assert all(one.is_covered for one in rows.values())
    with identity.store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.delivery_tally)) == 1
