"""The CID in the source's own rows: it is evidence, and nothing else changes by it."""

from __future__ import annotations

import pytest

from identity.service import Identity
from streams.delivery import Delivery, Evidence
from streams.fate import Fate
from streams.ledger import DeliveryLedger
from tests.identity.stores import find_cid
from tests.streams.stream import Told, envelope, plain
from tests.streams.taking import TABLE, Taking, count_events
from tests.streams.test_ledger import read_rows


@pytest.fixture
def taking(identity: Identity) -> Taking:
    identity.put_source("crm", {**TABLE, "cid_field": "cid"}, author="test")
    return Taking(identity)


def row(lsn: int, cid: object, key: str = "1", op: str = "u") -> Told:
    return envelope(op, {"id": key, "mail": "ann@web.de", "cid": cid}, lsn)


def delivery_of(taking: Taking, key: str = "1") -> Delivery:
    DeliveryLedger(taking.identity).follow()
    return read_rows(taking.identity)[key]


def test_a_row_that_bears_its_cid_closes_the_loop_and_echoes_nothing(taking: Taking) -> None:
    taking.take(row(1, None, op="c"))
    told = count_events(taking.identity)

    tally = taking.take(row(2, find_cid(taking.identity, "1")))

    assert tally == {Fate.DUPLICATE: 1}
    assert count_events(taking.identity) == told
    assert (delivery_of(taking).is_covered, delivery_of(taking).evidence) == (True, Evidence.CID_SEEN)


def test_a_row_without_its_cid_is_a_gap_from_its_position_on(taking: Taking) -> None:
    taking.take(row(7, None, op="c"))

    delivery = delivery_of(taking)

    assert (delivery.is_open, delivery.gap_number) == (True, 7)


def test_the_form_in_which_a_source_writes_a_uuid_does_not_matter(taking: Taking) -> None:
    taking.take(row(1, None, op="c"))
    taking.take(row(2, find_cid(taking.identity, "1").upper()))

    assert delivery_of(taking).is_covered


@pytest.mark.parametrize("cid", ["", "n/a", 17])
def test_what_is_no_cid_counts_as_none(taking: Taking, cid: object) -> None:
    taking.take(row(1, cid, op="c"))

    assert delivery_of(taking).acked_cid is None


def test_a_row_that_lost_its_cid_is_a_gap_again(taking: Taking) -> None:
    taking.take(row(1, None, op="c"))
    taking.take(row(2, find_cid(taking.identity, "1")))
    taking.take(row(3, None))

    assert delivery_of(taking).is_open


def test_a_stale_row_says_nothing_of_what_the_source_has_now(taking: Taking) -> None:
    taking.take(row(1, None, op="c"))
    taking.take(row(5, find_cid(taking.identity, "1")))

    stale = envelope("u", {"id": "1", "mail": "old@web.de", "cid": None}, 3)

    assert taking.take(stale) == {Fate.STALE: 1}
    assert delivery_of(taking).is_covered


def test_evidence_is_stored_with_the_offset_or_not_at_all(taking: Taking) -> None:
    taking.take(row(1, None, op="c"))
    cid = find_cid(taking.identity, "1")

    class Crash(Exception):
        pass

    def crash(name: str) -> None:
        if name == "written":
            raise Crash

    crashing = Taking(taking.identity, step=crash)
    with pytest.raises(Crash):
        crashing.take(row(2, cid))

    assert delivery_of(taking).is_open
    taking.take(row(2, cid))
    assert delivery_of(taking).is_covered


def test_a_renamed_row_brings_its_cid_along(taking: Taking) -> None:
    taking.take(row(1, None, op="c"))
    cid = find_cid(taking.identity, "1")
    told = envelope("c", {"id": "2", "mail": "ann@web.de", "cid": cid}, 5)

    taking.take(Told(told.key, told.value, headers=(("__debezium.oldkey", b'{"id":"1"}'),)))

    assert find_cid(taking.identity, "2") == cid
    assert delivery_of(taking, "2").is_covered
    assert not delivery_of(taking, "1").is_live


def test_a_partition_keeps_how_far_the_versions_reach_that_were_taken(taking: Taking) -> None:
    taking.take(row(9, None, op="c"), row(4, None, "2", op="c"))
    [state] = taking.offsets.list_states()
    assert (state.reached.epoch, state.reached.number) == (0, 9)

    taking.identity.put_source("crm", {**TABLE, "epoch": 1}, author="test")
    taking.take(row(3, None, "3", op="c"))

    [state] = taking.offsets.list_states()
    assert (state.reached.epoch, state.reached.number) == (1, 3)
    assert state.reached.stated_at == 1_690_000_000_000_000 + 9_000


def test_what_states_neither_version_nor_time_reaches_as_far_as_it_was_taken(identity: Identity) -> None:
    taking = Taking(identity)

    taking.take(plain("1", {"email": "ann@web.de"}))

    [state] = taking.offsets.list_states()
    assert state.reached.number == -1
    assert state.reached.stated_at >= delivery_of(taking).gap_at > 0
