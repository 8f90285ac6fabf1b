"""Two products joined in three nights by approaches 1 and 2, and what that costs in look-ups.

The ways:
- Approach 1: each consumer-aligned product asks for the CIDs of both sources whenever it is made.
- Approach 2: each source-aligned product asks for its own CIDs while it is made; consumers join on them.
- Approach 2, by changes: it asks for all once and then reads what changed.
Between the nights a steward judges two customers to be one, so that a mapping that is not asked for again is wrong.

Invariant: a look-up is one key asked for; requests are counted here and by the service, and must agree.
Elsewhere: approaches without look-ups (`examples.write_back`, `examples.shop`), what examples stand on (`examples.rig`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from examples.rig import Sameas, promise, show
from service.demo.population import generate_population

__all__ = ["play"]

SOURCES: Final = {"crm": 1, "billing": 2}
CONSUMERS: Final = ("churn", "dunning")
NIGHTS: Final = 3
_KEYS_MAX: Final = 10_000
Mapped = dict[str, str]
"""A source's keys to their CIDs."""


class Company(NamedTuple):
    """The service, and the keys that each source has."""

    sameas: Sameas
    service: httpx.Client
    keys: Mapping[str, Sequence[str]]


class Product:
    """One data product's client of the service: an API key in its name, and a count of what it asked."""

    def __init__(self, company: Company, name: str) -> None:
        self.name = name
        self.asked = self.requests = self.changes = 0
        key = company.sameas.make_api_key(name, scopes=["read"])
        self._client = httpx.Client(
            base_url=company.service.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    def look_up(self, source: str, keys: Sequence[str]) -> Mapped:
        """Return the CIDs of a source's keys, as of now."""
        found: Mapped = {}
        for start in range(0, len(keys), _KEYS_MAX):
            some = keys[start : start + _KEYS_MAX]
            body = {"keys": [{"source": source, "key": key} for key in some]}
            answers = self._client.post("/v1/lookup", json=body).raise_for_status().json()["cids"]
            found |= {one["key"]: one["cid"] for one in answers}
            self.asked += len(some)
            self.requests += 1
        return found

    def follow(self) -> None:
        """Make a place in the feed of changes, at its end."""
        self._client.put(f"/v1/subscribers/{self.name}", json={"at": "now"}).raise_for_status()

    def take_changes(self, source: str, mapped: Mapped) -> None:
        """Bring a mapping up to date with what changed since."""
        while True:
            answer = (
                self._client.get("/v1/changes", params={"subscriber": self.name}).raise_for_status().json()
            )
            if not answer["events"]:
                return
            for event in answer["events"]:
                if event["source"] == source:
                    mapped[event["key"]] = event["cid"]
                    self.changes += 1
            place = {"cursor": answer["cursor"]}
            self._client.post(f"/v1/subscribers/{self.name}/ack", json=place).raise_for_status()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def play(home: Path, *, records: int = 2_000) -> None:
    """Run the example; raises PromiseBroken where it does not show what it says.

    Args:
        records: of the made-up population, some 60 % of which are the CRM's and billing's.
    """
    sameas = Sameas(home / "sameas")
    with ExitStack() as opened:
        with sameas.serving() as service:
            company = Company(sameas, service, _load_sources(sameas, home, records))
            ways = [
                [opened.enter_context(closing(Product(company, name))) for name in names]
                for names in (CONSUMERS, SOURCES, [f"{source}-feed" for source in SOURCES])
            ]
            _spend_nights(company, *ways)
            requests = sum(one.requests for way in ways for one in way)
            promise("the service counted the same requests", holds=_count_requests(service) == requests)
        show("2. What it costs.")
        _show_costs(company, ways)
        show("3. The service is away for a night.")
        promise("no consumer of approach 1 can be made", holds=not any(_can_ask(one) for one in ways[0]))
        promise(
            "nor a product of approach 2",
            holds=not any(_can_ask(one) for one in ways[1]),
        )


def _spend_nights(
    company: Company, consumers: Sequence[Product], built: Sequence[Product], fed: Sequence[Product]
) -> None:
    """Join in each way each night, with a judgement between the nights."""
    show(
        "1. Three nights: consumers look up (1), products look up while they are made (2), or follow changes (2)."
    )
    first: Mapped = {}
    kept: dict[str, Mapped] = {}
    for night in range(NIGHTS):
        for consumer in consumers:
            asked = {source: consumer.look_up(source, keys) for source, keys in company.keys.items()}
        stored = {one.name: one.look_up(one.name, company.keys[one.name]) for one in built}
        for source, one in zip(SOURCES, fed, strict=True):
            if night == 0:
                one.follow()
                kept[source] = one.look_up(source, company.keys[source])
            one.take_changes(source, kept[source])
        joins = {_join(way) for way in (asked, stored, kept)}
        promise(
            f"night {night + 1}: {max(joins):,} records of the CRM have a bill, in each way",
            holds=len(joins) == 1,
        )
        first = first or dict(asked["crm"])
        _judge_two(company.service, asked["crm"], night)
    stale = sum(asked["crm"][key] != cid for key, cid in first.items())
    promise(f"a mapping kept from the first night is wrong in {stale} places by the last", holds=stale > 0)


def _judge_two(service: httpx.Client, mapped: Mapped, night: int) -> None:
    """Say of two customers of the CRM that they are one; other two each night."""
    one, other = list(dict(zip(mapped.values(), mapped.keys(), strict=True)).values())[
        2 * night : 2 * night + 2
    ]
    body = {
        "verdict": "same",
        "left": [{"source": "crm", "key": one}],
        "right": [{"source": "crm", "key": other}],
        "reason": "an example",
    }
    service.post("/v1/judgements", json=body).raise_for_status()


def _show_costs(company: Company, ways: Sequence[Sequence[Product]]) -> None:
    records = sum(map(len, company.keys.values()))
    show(f"     look-ups a record ({records:,} records, {NIGHTS} nights, {len(CONSUMERS)} consumers):")
    asked = [sum(one.asked for one in way) for way in ways]
    for name, way, count in zip(("1", "2", "2, by changes"), ways, asked, strict=True):
        show(
            f"       approach {name:14}{count / records:5.2f}   and {sum(one.changes for one in way):,} changes read"
        )
    show("       approaches 3 and 4     0      the CID stands beside the key, or is it")
    promise(
        "1 costs one a record, night and consumer; 2 one a record and night; by changes one a record, once",
        holds=asked == [records * NIGHTS * len(CONSUMERS), records * NIGHTS, records],
        found=asked,
    )


def _can_ask(product: Product) -> bool:
    try:
        product.look_up("crm", ["any"])
    except httpx.TransportError:
        return False
    return True


def _count_requests(service: httpx.Client) -> int:
    """Return how many look-ups the service answered, by its own metrics."""
    counts = re.findall(
        r'^sameas_request_seconds_count{.*"/v1/lookup".*} ([0-9.e+]+)$',
        service.get("/metrics").raise_for_status().text,
        re.MULTILINE,
    )
    return sum(int(float(count)) for count in counts)


def _join(mapped: Mapping[str, Mapped]) -> int:
    """Return how many records of the CRM are of a customer that has a bill."""
    billed = set(mapped["billing"].values())
    return sum(cid in billed for cid in mapped["crm"].values())


def _load_sources(sameas: Sameas, home: Path, records: int) -> dict[str, list[str]]:
    """Load both sources and return their keys."""
    keys: dict[str, list[str]] = {source: [] for source in SOURCES}
    lines: dict[str, list[str]] = {source: [] for source in SOURCES}
    for record in generate_population(seed=2, record_count=records):
        if record.source in keys:
            keys[record.source].append(record.source_key)
            lines[record.source].append(json.dumps({"id": record.source_key, **record.attributes}) + "\n")
    for source, approach in SOURCES.items():
        file = home / f"{source}.ndjson"
        file.write_text("".join(lines[source]), encoding="utf-8")
        sameas("source", "put", source, "--domain", source, "--key", "id", "--approach", str(approach))
        sameas("load", source, str(file))
    return keys
