"""Resolve: records a second through the NDJSON route, against a PostgreSQL store that holds many records.

1. Take a loaded store, checkpoint, serve it with two resolver processes, and warm up with some records.
2. Stream records, the three sources one after the other, then three at once.
3. Let `sameas evaluate` say how true the customers are: the rate counts only if that is within 0.005 of a
   store of the reference size.
4. In this process, resolve some more and count candidates and pairs of components a record.
5. Play what was written into a copy of the store from before, without logic: the floor.

Elsewhere: single requests (`benchmarks.measure_single`), SQLite (`benchmarks.measure_sqlite`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from pydantic import SecretStr

from benchmarks.figures import Figure
from benchmarks.population import StreamedRecord
from benchmarks.record_stream import Streamed, stream_records
from benchmarks.replay import read_transaction_id, replay, take_batches
from benchmarks.stage import Stage, serve
from identity.statement import read_statement
from service.bootstrap import bootstrap_identity
from service.settings import Settings

__all__ = ["F1_LOSS_MAX", "count_work", "measure_resolve", "resolve_after_warm_up"]

F1_LOSS_MAX: Final = 0.005
_RESOLVERS: Final = 2
_WARM_UP_PERCENT: Final = 15
_BATCH: Final = 200


def measure_resolve(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    loaded = stage.loaded(stage.sizes.resolve)
    reference = stage.loaded(stage.sizes.reference)
    records = loaded.population.streamed
    side_count = min(2_000, len(records) // 10)
    sent = records[:-side_count]
    with stage.database(like=loaded.url) as url, stage.database(like=loaded.url) as before_url:
        first_id = read_transaction_id(url)
        one_by_one, at_once = resolve_after_warm_up(stage, url, sent)
        end_id = read_transaction_id(url)
        f1 = stage.evaluate(loaded.population, {"SAMEAS_DATABASE_URL": url}, streamed_count=len(sent))
        counts = count_work(stage, url, records[-side_count:])
        batches = take_batches(url, before_url, first_id=first_id, end_id=end_id)
        stage.checkpoint()
        floor = replay(
            before_url,
            batches,
            processes=_RESOLVERS,
            warm_up_percent=_WARM_UP_PERCENT,
            folder=stage.new_folder("replay"),
        )
    counting = abs(f1 - reference.f1) <= F1_LOSS_MAX or f1 > reference.f1
    stored = f"{loaded.population.stored_count:,} stored"
    target = 3_000 if loaded.population.stored_count >= 500_000 else None
    yield Figure(
        f"resolve by NDJSON, one stream, {stored}",
        one_by_one.rate,
        "records/s",
        at_least=target,
        floor=floor,
        counts=counting,
        note=_outcomes(one_by_one),
    )
    yield Figure(
        f"resolve by NDJSON, three streams at once, {stored}",
        at_once.rate,
        "records/s",
        at_least=target,
        floor=floor,
        counts=counting,
        note=_outcomes(at_once),
    )
    yield Figure(
        "clustered F1 after it", f1, "", note=f"{reference.f1:.4f} at {stage.sizes.reference:,} records"
    )
    written = sum(batch.record_count for batch in batches)
    note = f"{written / len(batches):.0f} records a transaction"
    yield Figure(
        "blocking keys a record", sum(len(batch.hashes) for batch in batches) / written, "", note=note
    )
    for name, words in (
        ("candidates", "candidates a record"),
        ("component_pairs", "component pairs a record"),
    ):
        yield Figure(
            words, counts[name] / max(counts["records"], 1), "", note=f"{side_count:,} records, in process"
        )


def resolve_after_warm_up(
    stage: Stage, url: str, records: Sequence[StreamedRecord]
) -> tuple[Streamed, Streamed]:
    """Stream some unmeasured, half of the rest one source after the other, the others at once."""
    warm = len(records) * _WARM_UP_PERCENT // 100
    half = warm + (len(records) - warm) // 2
    environment = {"SAMEAS_DATABASE_URL": url, "SAMEAS_RESOLVER_PROCESSES": str(_RESOLVERS)}
    stage.checkpoint()
    with serve(stage.new_folder("serve"), environment) as address:
        stream_records(address, records[:warm], at_once=True)
        one_by_one = stream_records(address, records[warm:half])
        return one_by_one, stream_records(address, records[half:], at_once=True)


def count_work(stage: Stage, url: str, records: Sequence[StreamedRecord]) -> Counter[str]:
    """Resolve records in this process and return the resolver's counters."""
    settings = Settings(database_url=SecretStr(url), data_dir=stage.new_folder("count"))
    identity = bootstrap_identity(settings)
    try:
        commands = (
            read_statement(identity.get_source(one.source), one.key, one.body(), author="bench", now=_LATE)
            for one in records
        )
        while batch := list(islice(commands, _BATCH)):
            for answer in identity.resolve(batch):
                if isinstance(answer, Exception):
                    raise answer
        return Counter(identity.resolver.counters)
    finally:
        identity.close()


_LATE: Final = 4_000_000_000_000_000
"""A moment after all that records state, so that none is refused as of the future."""


def _outcomes(streamed: Streamed) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(streamed.outcomes.items()))
