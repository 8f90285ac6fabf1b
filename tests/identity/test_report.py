"""The report of a store, and how seldom it counts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from identity.report import KeptCount, ReportNumbers
from identity.service import Identity
from tests.identity.stores import Place, stated, tell
from tests.promises.world import Clock

DAY = 86_400_000_000


class Counting:
    """Counts its calls, each of which takes a number of seconds of a clock of its own."""

    def __init__(self, *, takes_s: float = 0.0) -> None:
        self.now = 100.0
        self.calls = 0
        self._takes_s = takes_s

    def __call__(self) -> int:
        self.calls += 1
        self.now += self._takes_s
        return self.calls

    def kept(self) -> KeptCount:
        return KeptCount(self, kept_s=60.0, clock=lambda: self.now)


def test_a_count_is_kept_for_a_minute_however_quick_it_is() -> None:
    counting = Counting()
    kept = counting.kept()

    first = kept.read()
    counting.now += 59.9
    second = kept.read()
    counting.now += 0.2

    assert (first, second, kept.read()) == (1, 1, 2)


def test_a_count_that_takes_long_is_kept_a_thousand_times_as_long() -> None:
    counting = Counting(takes_s=2.0)
    kept = counting.kept()
    kept.read()

    counting.now += 1_999.0
    before = kept.read()
    counting.now += 2.0

    assert (before, kept.read()) == (1, 2)


def test_nobody_waits_while_another_counts_again() -> None:
    begun, go_on = threading.Event(), threading.Event()
    answers = iter((1, 2))
    now = [0.0]

    def count() -> int:
        number = next(answers)
        if number == 2:
            begun.set()
            assert go_on.wait(30)
        return number

    kept = KeptCount(count, kept_s=60.0, clock=lambda: now[0])
    kept.read()
    now[0] = 61.0
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(kept.read)
        assert begun.wait(30)

        meanwhile = kept.read()
        go_on.set()

        assert (meanwhile, again.result(), kept.read()) == (1, 2, 2)


def test_the_report_holds_both_and_its_numbers_say_the_same(place: Place) -> None:
    clock = Clock()
    identity = place.open_identity(clock=clock)
    tell(identity, stated("1", email=("ann",)))
    clock.now += 40 * DAY
    identity.put_source("erp", {"domain": "sales"}, author="test")
    tell(identity, stated("1", "erp", email=("bob",)))

    report = identity.report()

    assert (report.model.customers, report.model.sources_new, report.oversized.groups) == (2, ("erp",), ())
    assert identity.report_numbers() == ReportNumbers(False, 1, 0)
    assert identity.report(sources=["crm"]).model.sources_new == ()


def test_customers_are_not_counted_for_every_report(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    first = identity.report().model.customers

    tell(identity, stated("2", email=("bob",)))

    assert (first, identity.report().model.customers) == (1, 1)
