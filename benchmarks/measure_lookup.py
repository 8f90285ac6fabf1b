"""Lookup: one key a request beside a bare handler, and ten thousand keys a request.

Service and bare handler take turns under the same client, so that whatever else the machine does meets both.
Floors: a bare FastAPI handler with one asyncpg read by primary key; 10,000 keys read by asyncpg alone.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

import asyncpg
import orjson

from benchmarks.bare_app import prepare_tables
from benchmarks.figures import Figure
from benchmarks.http_client import make_request, run_closed_loop
from benchmarks.measure_single import BARE_PROGRAM
from benchmarks.population import read_refs
from benchmarks.stage import Address, Stage, serve

__all__ = ["look_up_many", "look_up_single", "measure_lookup"]

KEYS_A_REQUEST: Final = 10_000
CONNECTIONS: Final = 16
_SEED: Final = 7
_TURNS: Final = 5
_BODIES: Final = 8
_READ: Final = (
    "SELECT string_agg(r.cid, ','), string_agg(r.status, ',') "
    "FROM unnest(string_to_array($1, E'\\n'), string_to_array($2, E'\\n')) k(source, key) "
    "JOIN record r ON r.source = k.source AND r.key = k.key"
)

Refs = Sequence[tuple[str, str]]


def measure_lookup(stage: Stage) -> Iterator[Figure]:
    """Yield the figures."""
    loaded = stage.loaded(stage.sizes.resolve)
    refs = list(read_refs(loaded.population))
    turn_s = max(stage.sizes.seconds / 5, 1.0)
    with stage.database(like=loaded.url) as url:
        prepare_tables(url)
        stage.checkpoint()
        with (
            serve(stage.new_folder("serve"), {"SAMEAS_DATABASE_URL": url}) as service,
            serve(stage.new_folder("bare"), {}, program=(sys.executable, *BARE_PROGRAM, url)) as bare,
        ):
            rates: list[tuple[float, float]] = []
            for _ in range(_TURNS + 1):
                rates.append(
                    (look_up_single(service, refs, seconds=turn_s), _look_up_bare(bare, refs, seconds=turn_s))
                )
            rates = rates[1:]  # the first turn warms up
            many = look_up_many(service, refs, seconds=stage.sizes.seconds)
            floor = asyncio.run(_read_many(url, refs, seconds=stage.sizes.seconds / 2))
    single, bare_rate = (statistics.median(turn[side] for turn in rates) for side in (0, 1))
    note = f"{CONNECTIONS} connections, median of {_TURNS} turns of {turn_s:.0f} s"
    yield Figure("lookup, one key a request", single, "requests/s", floor=bare_rate, note=note)
    shares = [ours / theirs for ours, theirs in rates]
    yield Figure(
        "... against the bare handler",
        100 * statistics.median(shares),
        "%",
        at_least=70,
        note=f"turns from {100 * min(shares):.0f} to {100 * max(shares):.0f} %",
    )
    yield Figure(
        "lookup, 10,000 keys a request, JSON",
        many,
        "keys/s",
        at_least=150_000,
        floor=floor,
        note=f"two connections, {len(refs):,} stored",
    )


def look_up_single(address: Address, refs: Refs, *, seconds: float) -> float:
    """Return requests a second with one key each."""
    requests = [
        make_request(
            "GET", f"/v1/sources/{source}/records/{quote(key, safe='')}/cid", api_key=address.api_key
        )
        for source, key in _choose(refs, 20_000)
    ]
    return _rate(address.port, requests, connections=CONNECTIONS, seconds=seconds)


def look_up_many(address: Address, refs: Refs, *, seconds: float) -> float:
    """Return keys a second with 10,000 in each request."""
    requests = [
        make_request("POST", "/v1/lookup", api_key=address.api_key, body=orjson.dumps({"keys": keys}))
        for keys in (
            [{"source": source, "key": key} for source, key in part] for part in _choose_parts(refs, _BODIES)
        )
    ]
    key_count = min(KEYS_A_REQUEST, len(refs))
    return key_count * _rate(address.port, requests, connections=2, seconds=seconds)


def _look_up_bare(address: Address, refs: Refs, *, seconds: float) -> float:
    requests = [
        make_request("GET", f"/cids/{source}:{quote(key, safe='')}") for source, key in _choose(refs, 20_000)
    ]
    return _rate(address.port, requests, connections=CONNECTIONS, seconds=seconds)


async def _read_many(url: str, refs: Refs, *, seconds: float) -> float:
    """Return keys a second that asyncpg alone reads, on two connections, a text each way as the service does."""
    parts = [
        ("\n".join(source for source, _ in part), "\n".join(key for _, key in part), len(part))
        for part in _choose_parts(refs, _BODIES)
    ]
    started = time.perf_counter()
    read_count = 0

    async def read() -> None:
        nonlocal read_count
        connection = await asyncpg.connect(url)
        at = 0
        while time.perf_counter() < started + seconds:
            sources, keys, count = parts[at % len(parts)]
            await connection.fetchrow(_READ, sources, keys)
            read_count += count
            at += 1
        await connection.close()

    await asyncio.gather(read(), read())
    return read_count / (time.perf_counter() - started)


def _rate(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> float:
    answers = run_closed_loop(port, requests, connections=connections, seconds=seconds)
    if answers.refused:
        raise RuntimeError(f"{answers.refused} requests were refused: {answers.first_refusal!r}")
    return answers.rate


def _choose(refs: Refs, count: int) -> Refs:
    return random.Random(_SEED).choices(refs, k=count)


def _choose_parts(refs: Refs, count: int) -> list[Refs]:
    chance = random.Random(_SEED)
    return [chance.sample(refs, k=min(KEYS_A_REQUEST, len(refs))) for _ in range(count)]
