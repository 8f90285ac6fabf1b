"""Coverage and the watermark, on both stores, from facts that are made by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from identity.errors import SourceUnknown
from identity.model import FOREVER, RecordRef, Verdict
from identity.service import Identity
from identity.store_sql import tables
from streams.coverage import Coverage, CoverageBook, Watermark, coverage_document
from streams.delivery import Acknowledgement, Evidence
from streams.ledger import DeliveryLedger
from streams.offsets import Reached
from streams.positions import Position
from tests.identity.stores import find_cid, stated, tell, withdrawn
from tests.promises.world import BEGIN
from tests.streams.stream import envelope
from tests.streams.taking import TABLE, Taking

LATER = BEGIN + 3_600 * 1_000_000


@pytest.fixture
def ledger(identity: Identity) -> DeliveryLedger:
    return DeliveryLedger(identity)


@pytest.fixture
def book(identity: Identity) -> CoverageBook:
    return CoverageBook(identity)


def acknowledge(
    identity: Identity, *keys: str, evidence: Evidence = Evidence.CID_SEEN, at: int = BEGIN + 500_000
) -> None:
    DeliveryLedger(identity).acknowledge(
        [Acknowledgement(RecordRef("crm", key), find_cid(identity, key), evidence, at) for key in keys]
    )


def measure(identity: Identity) -> Coverage:
    assert DeliveryLedger(identity).follow()
    return CoverageBook(identity).measure("crm", now=LATER)


def promise(identity: Identity, **fields: object) -> None:
    document = {**identity.get_source("crm").document, **fields}
    identity.put_source("crm", document, author="test")


def test_an_answer_has_exactly_these_members(identity: Identity) -> None:
    assert list(coverage_document(measure(identity))) == [
        "source",
        "records",
        "with_current_cid",
        "share",
        "oldest_gap_s",
        "lag_ms",
        "retired_in_use",
        "evidence",
        "watermark",
        "objectives",
        "met",
        "approach",
    ]


def test_a_source_without_records_has_no_share_and_meets_nothing(identity: Identity) -> None:
    promise(identity, coverage_min=1, cid_within_s=5)

    found = measure(identity)

    assert (found.records, found.share, found.is_met, found.evidence) == (0, None, None, None)


def test_an_unknown_source_is_refused(book: CoverageBook) -> None:
    with pytest.raises(SourceUnknown):
        book.measure("nobody", now=LATER)


def test_the_share_is_of_live_records_whose_cid_now_is_acknowledged(identity: Identity) -> None:
    tell(identity, *(stated(str(n), version=n, email=(f"x{n}",)) for n in range(1, 5)))
    acknowledge(identity, "1", "2")
    tell(identity, withdrawn("4", version=9))

    found = measure(identity)

    assert (found.records, found.with_current_cid, found.share) == (3, 2, 2 / 3)
    assert found.oldest_gap_s == pytest.approx(3_600, abs=1)


def test_the_evidence_is_the_weakest_kind_counted(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=(f"x{n}",)) for n in range(3)))
    acknowledge(identity, "0")
    acknowledge(identity, "1", evidence=Evidence.SINK_OFFSET)

    assert measure(identity).evidence is Evidence.SINK_OFFSET
    acknowledge(identity, "1", evidence=Evidence.READ_BACK)
    assert measure(identity).evidence is Evidence.READ_BACK


def test_a_cid_that_was_retired_and_is_still_in_the_source_is_counted_until_the_new_one_arrives(
    identity: Identity,
) -> None:
    tell(identity, *(stated(str(n), version=n, email=(f"x{n}",)) for n in (1, 2)))
    acknowledge(identity, "1", "2")
    measure(identity)
    identity.judge(Verdict.SAME, [RecordRef("crm", "1")], [RecordRef("crm", "2")], reason="x", author="a")

    assert (measure(identity).retired_in_use, measure(identity).with_current_cid) == (1, 1)
    acknowledge(identity, "1", "2")
    assert (measure(identity).retired_in_use, measure(identity).with_current_cid) == (0, 2)


def test_the_lag_is_from_the_assignment_to_the_first_evidence(identity: Identity) -> None:
    [answer] = tell(identity, stated("1", email=("ann",)))
    acknowledge(identity, "1", at=answer.known_at + 250_000)
    acknowledge(identity, "1", evidence=Evidence.WEBHOOK, at=answer.known_at + 900_000)

    assert measure(identity).lag_ms == (250.0, 250.0)


def test_lags_are_of_what_has_its_cid_now(identity: Identity) -> None:
    answers = tell(identity, *(stated(str(n), version=n, email=(f"x{n}",)) for n in (1, 2, 3)))
    for key, answer in zip("123", answers, strict=True):
        acknowledge(identity, key, at=answer.known_at + int(key) * 1_000_000)
    measure(identity)
    tell(identity, withdrawn("3", version=9))
    identity.judge(Verdict.SAME, [RecordRef("crm", "1")], [RecordRef("crm", "2")], reason="x", author="a")

    assert measure(identity).lag_ms in ((1_000.0, 1_000.0), (2_000.0, 2_000.0))


def test_objectives_are_met_or_breached(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=(f"x{n}",)) for n in range(2)))
    acknowledge(identity, "0")
    assert measure(identity).is_met is None

    for objectives, is_met in (
        ({"coverage_min": 0.5}, True),
        ({"coverage_min": 0.6}, False),
        ({"coverage_min": None, "cid_within_s": 4_000}, True),
        ({"cid_within_s": 60}, False),
        ({"cid_within_s": 4_000, "coverage_min": 0.6}, False),
    ):
        promise(identity, **objectives)
        assert measure(identity).is_met is is_met, objectives


# ------------------------------------------------------------------------------------------- the watermark


def number_of(identity: Identity) -> tuple[int, int] | None:
    return measure(identity).watermark.version


def test_the_watermark_stays_below_the_oldest_version_that_lacks_its_cid(identity: Identity) -> None:
    tell(identity, *(stated(str(n), version=n * 10, email=(f"x{n}",)) for n in (1, 2, 3)))
    assert number_of(identity) == (0, 9)
    acknowledge(identity, "1", "3")
    assert number_of(identity) == (0, 19)
    acknowledge(identity, "2")
    assert number_of(identity) == (0, 30)


def test_the_watermark_goes_back_while_an_old_record_waits_for_another_cid(identity: Identity) -> None:
    tell(identity, *(stated(str(n), version=n * 10, email=(f"x{n}",)) for n in (1, 2, 3)))
    acknowledge(identity, "1", "2", "3")
    measure(identity)
    identity.judge(Verdict.SAME, [RecordRef("crm", "2")], [RecordRef("crm", "3")], reason="x", author="a")

    assert number_of(identity) in ((0, 19), (0, 29))
    acknowledge(identity, "2", "3")
    assert number_of(identity) == (0, 30)


def test_of_a_streamed_source_only_what_was_taken_up_to_the_frontier_counts(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    identity.put_source("crm", TABLE, author="test")
    Taking(identity).take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 50))
    acknowledge(identity, "1")
    assert measure(identity).watermark == Watermark(None, None)

    with identity.store.write() as tx:
        ledger.raise_frontier_in(tx, "crm", Reached(0, 40, 7))
        ledger.raise_frontier_in(tx, "crm", Reached(0, 30, 5))

    assert measure(identity).watermark == Watermark((0, 40), 7)


def test_a_gap_of_a_former_epoch_leaves_nothing_of_the_new_one(identity: Identity) -> None:
    tell(identity, stated("1", version=100, email=("ann",)))
    promise(identity, epoch=1)
    tell(identity, stated("2", version=5, email=("bob",)))
    acknowledge(identity, "2")

    assert number_of(identity) == (0, 99)
    acknowledge(identity, "1")
    assert number_of(identity) == (1, 5)


def test_sources_without_versions_have_a_watermark_in_time(identity: Identity) -> None:
    tell(identity, stated("1", effective_at=BEGIN, email=("ann",)))
    tell(identity, stated("2", effective_at=BEGIN + 5, email=("bob",)))
    acknowledge(identity, "1")

    assert measure(identity).watermark == Watermark(None, BEGIN + 4)
    acknowledge(identity, "2")
    assert measure(identity).watermark == Watermark(None, BEGIN + 5)


# --------------------------------------------------------------------------------------------- waiting for it


def has_reached(identity: Identity, position: Position) -> bool:
    book = CoverageBook(identity)
    return book.has_reached("crm", position, since=book.find_feed_end())


def test_what_was_committed_before_the_question_is_looked_at_first(identity: Identity) -> None:
    tell(identity, stated("1", version=10, email=("ann",)))

    assert not has_reached(identity, Position((0, 5)))
    DeliveryLedger(identity).follow()
    assert has_reached(identity, Position((0, 5)))


def test_a_position_is_reached_when_nothing_up_to_it_lacks_its_cid(identity: Identity) -> None:
    tell(identity, *(stated(str(n), version=n * 10, email=(f"x{n}",)) for n in (1, 2)))
    acknowledge(identity, "1")
    DeliveryLedger(identity).follow()

    assert has_reached(identity, Position((0, 19)))
    assert not has_reached(identity, Position((0, 20)))
    assert not has_reached(identity, Position(at=LATER))


def test_of_a_streamed_source_nothing_is_reached_beyond_its_frontier(
    identity: Identity, ledger: DeliveryLedger
) -> None:
    identity.put_source("crm", TABLE, author="test")
    Taking(identity).take(envelope("c", {"id": "1", "mail": "ann@web.de"}, 50))
    acknowledge(identity, "1")
    ledger.follow()
    with identity.store.write() as tx:
        ledger.raise_frontier_in(tx, "crm", Reached(0, 40, 7))

    assert has_reached(identity, Position((0, 40)))
    assert not has_reached(identity, Position((0, 50)))
    assert has_reached(identity, Position(at=7))
    assert not has_reached(identity, Position(at=8))


def test_of_a_source_of_which_nothing_was_taken_nothing_is_reached(identity: Identity) -> None:
    assert not has_reached(identity, Position((0, 5)))
    assert not has_reached(identity, Position(at=LATER))
    assert not has_reached(identity, Position(at=FOREVER))


def test_a_load_without_numbers_says_nothing_of_how_far_a_log_was_taken(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    acknowledge(identity, "1")
    DeliveryLedger(identity).follow()

    assert has_reached(identity, Position(at=LATER))
    assert not has_reached(identity, Position((0, 5)))


def test_amid_a_load_in_no_order_the_frontier_is_not_ahead_of_what_is_still_to_be_followed(
    identity: Identity, ledger: DeliveryLedger, book: CoverageBook
) -> None:
    rest = [*range(900, 1_800), *range(1, 301)]
    for start in range(0, 1_200, 400):
        keys = rest[start : start + 400]
        tell(identity, *(stated(str(n), version=n, email=(f"x{n}",)) for n in keys))
        acknowledge(identity, *(str(n) for n in keys))

    assert not ledger.follow()
    assert book.measure("crm", now=LATER).watermark == Watermark(None, None)
    assert DeliveryLedger(identity).follow()
    assert number_of(identity) == (0, 1_799)


# ------------------------------------------------------------------------------------------ which approach


def look_up(identity: Identity, serves: str, *, sources: str | None = None) -> None:
    with identity.store.write() as tx:
        tx.connection.execute(
            insert(tables.look_up_day).values(
                source="crm", serves=serves, day=LATER // 86_400_000_000, key_count=1
            )
        )
        tx.connection.execute(
            insert(tables.api_key).values(
                id=f"k_{serves}",
                name="x",
                hash=serves,
                scopes="[]",
                sources=sources,
                created_at=0,
                created_by="t",
                serves=serves,
            )
        )


@pytest.mark.parametrize(
    ("serves", "sources", "approach"),
    [
        ("product:churn", None, 1),
        ("product:churn", '["crm","erp"]', 1),
        ("product:crm-customers", '["crm"]', 2),
        ("system:crm", None, 3),
        ("system:billing", None, 1),
        ("system:billing", '["crm"]', 1),
        ("", None, 1),
    ],
)
def test_who_looks_keys_up_tells_the_approach(
    identity: Identity, serves: str, sources: str | None, approach: int
) -> None:
    assert measure(identity).observed_approach is None

    look_up(identity, serves, sources=sources)

    assert measure(identity).observed_approach == approach


def test_keys_of_which_nobody_knows_what_they_serve_count_as_others(identity: Identity) -> None:
    look_up(identity, "product:crm-customers", sources='["crm"]')
    look_up(identity, "")

    assert measure(identity).observed_approach == 1


def test_cids_that_came_back_tell_the_approach_whoever_asks(identity: Identity) -> None:
    look_up(identity, "product:churn")
    tell(identity, stated("1", email=("ann",)))
    acknowledge(identity, "1")

    assert measure(identity).observed_approach == 3


def test_a_customer_created_under_its_cid_has_it_from_birth(identity: Identity) -> None:
    identity.create_customer(
        "crm", {"email": "ann@web.de", "kind": "person"}, idempotency_key="a", author="test"
    )

    found = measure(identity)

    assert (found.share, found.evidence, found.observed_approach) == (1.0, Evidence.CID_SEEN, 4)
