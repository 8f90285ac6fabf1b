"""What a worker does is counted, and at each moment both sides of the equation are equal."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from service.worker_notes import CountedWorker
from streams.fate import Fate, Tally
from streams.offsets import Partition
from streams.take import Taken


def taken(source: str, *fates: Fate) -> Taken:
    partition = Partition(f"sameas.records.{source}", 0)
    return Taken(partition, source, len(fates), len(fates), Tally(fates))


def read(notes: CountedWorker) -> tuple[dict[str, float], dict[str, float]]:
    """Return (consumed, sum of fates) by source, as one reading of the metrics tells them."""
    consumed: dict[str, float] = {}
    summed: dict[str, float] = {}
    for family in notes.registry.collect():
        for sample in family.samples:
            source = sample.labels.get("source", "")
            if sample.name == "sameas_worker_consumed_total":
                consumed[source] = sample.value
            elif sample.name == "sameas_worker_messages_total":
                summed[source] = summed.get(source, 0) + sample.value
    return consumed, summed


def test_consumed_is_the_sum_of_the_fates_whenever_it_is_read() -> None:
    notes, chance, ended = CountedWorker(), random.Random(1), threading.Event()
    batches = [
        [taken(source, *chance.choices(list(Fate), k=chance.randrange(1, 9))) for source in ("crm", "erp")]
        for _ in range(2_000)
    ]

    def take() -> None:
        for batch in batches:
            notes.took(batch)
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take)
        while not ended.is_set():
            consumed, summed = read(notes)
            assert consumed == summed
        taking.result()

    consumed, summed = read(notes)
    assert consumed == summed
    assert consumed["crm"] == sum(batch[0].message_count for batch in batches)


def test_every_fate_is_shown_even_at_nought() -> None:
    notes = CountedWorker()

    notes.took([taken("crm", Fate.APPLIED)])

    shown = {
        fate: notes.registry.get_sample_value(
            "sameas_worker_messages_total", {"source": "crm", "fate": fate.value}
        )
        for fate in Fate
    }
    assert shown == {fate: float(fate is Fate.APPLIED) for fate in Fate}


def test_the_lag_of_a_partition_that_went_to_another_worker_is_shown_no_more() -> None:
    notes, first, second = CountedWorker(), Partition("t", 0), Partition("t", 1)

    notes.stands({first: 7, second: 0}, paused_count=1)
    notes.stands({second: 3}, paused_count=0)

    def lag(partition: Partition) -> float | None:
        labels = {"topic": partition.topic, "partition": str(partition.number)}
        return notes.registry.get_sample_value("sameas_worker_lag_messages", labels)

    assert (lag(first), lag(second)) == (None, 3)
    assert notes.registry.get_sample_value("sameas_worker_paused_partitions") == 0


def test_retries_and_alarms_are_counted() -> None:
    notes = CountedWorker()

    notes.failed("store_busy")
    notes.failed("store_busy")
    notes.raised_alarm("crm", 0.25)

    value = notes.registry.get_sample_value
    assert value("sameas_worker_retries_total", {"code": "store_busy"}) == 2
    assert value("sameas_worker_stale_alarms_total", {"source": "crm"}) == 1
    assert value("sameas_worker_stale_share", {"source": "crm"}) == 0.25
