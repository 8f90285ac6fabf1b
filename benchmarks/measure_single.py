"""Single records: how long one PUT takes while they come at a fixed rate, whatever the service does.

Floor: a bare FastAPI handler that inserts one row by asyncpg, at the same rate from the same client.
Elsewhere: streams (`benchmarks.measure_resolve`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final
from urllib.parse import quote

import orjson

from benchmarks.bare_app import prepare_tables
from benchmarks.figures import Figure, percentile
from benchmarks.http_client import Answers, make_request, run_open_loop
from benchmarks.stage import Stage, serve

__all__ = ["BARE_PROGRAM", "measure_single"]

RATE: Final = 100.0
WARM_UP: Final = 300
BARE_PROGRAM: Final = ("-m", "benchmarks.bare_app")


def measure_single(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    import sys

    loaded = stage.loaded(stage.sizes.resolve)
    count = WARM_UP + int(RATE * stage.sizes.seconds)
    records = loaded.population.streamed[:count]
    bodies = [orjson.dumps(one.body()) for one in records]
    with stage.database(like=loaded.url) as url:
        prepare_tables(url)
        stage.checkpoint()
        with serve(stage.new_folder("serve"), {"SAMEAS_DATABASE_URL": url}) as address:
            requests = (
                make_request(
                    "PUT",
                    f"/v1/sources/{one.source}/records/{quote(one.key, safe='')}",
                    api_key=address.api_key,
                    body=body,
                )
                for one, body in zip(records, bodies, strict=True)
            )
            service = _ask(address.port, requests)
        bare_program = (sys.executable, *BARE_PROGRAM, url)
        with serve(stage.new_folder("bare"), {}, program=bare_program) as address:
            requests = (
                make_request("PUT", f"/records/{quote(one.key, safe='')}", body=body)
                for one, body in zip(records, bodies, strict=True)
            )
            bare = _ask(address.port, requests)
    note = f"{len(service.seconds):,} requests at {RATE:.0f}/s, {loaded.population.stored_count:,} stored"
    for percent, target in ((50, 6.0), (99, 25.0)):
        yield Figure(
            f"one record by PUT, p{percent}",
            percentile(service.seconds, percent) * 1_000,
            "ms",
            at_most=target,
            floor=percentile(bare.seconds, percent) * 1_000,
            note=note,
        )
    yield Figure(
        "one record by PUT, longest", max(service.seconds) * 1_000, "ms", floor=max(bare.seconds) * 1_000
    )


def _ask(port: int, requests: Iterator[bytes]) -> Answers:
    run_open_loop(port, islice(requests, WARM_UP), rate=RATE)
    answers = run_open_loop(port, requests, rate=RATE)
    if answers.refused:
        raise RuntimeError(f"{answers.refused} requests were refused: {answers.first_refusal!r}")
    return answers
