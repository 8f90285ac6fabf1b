"""An acquired company's ERP: foreseen on a copy, loaded while live traffic goes on, and taken out again.

What happens:
1. Our shop and our billing are there, in the service.
2. The store is copied and the ERP loaded into the copy. Two crosswalks, before and after, tell what would become of
   our customers: which would be merged, which of the ERP's would be joined to ours, which would stand apart.
3. The ERP is loaded for good while the shop goes on stating customers.
4. It is taken out again: its keys are withdrawn and our customers are as before.

Invariant: public doors only (the command line, HTTP, the copy is SQLite's own backup); what is printed holds keys,
CIDs and numbers, no personal data.
Elsewhere: comparing two crosswalks (`examples.acquisition.foresee`), what every example stands on (`examples.rig`).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any, Final, NamedTuple

import httpx

from examples.acquisition.foresee import Crosswalk, Foreseen, foresee, groups_of, read_crosswalk
from examples.rig import Sameas, promise, show, wait_until
from service.demo.population import generate_population

__all__ = ["play"]

CONTRACTS: Final = {
    "shop": {"domain": "online", "kind": "shop", "key": "id", "region": "GB"},
    "billing": {"domain": "finance", "kind": "billing", "key": "id", "region": "GB"},
    "erp": {"domain": "acquired", "kind": "erp", "key": "id", "region": "GB"},
}
_ERP_OF: Final = "crm"
_RECORDS_A_CUSTOMER: Final = 2.45
_LIVE_EACH: Final = 40
_SAMPLE: Final = 3
_PAUSE_S: Final = 0.05
_RESOLVE_MAX: Final = 10_000
# The partition comes back exactly, names nearly: where two customers of ours were one for a while, each with as many
# records as the other, the CID that survived goes to the smaller key when they part, and the other gets a new one.
_KEPT_MIN: Final = 0.98
Row = dict[str, Any]


class _Files(NamedTuple):
    shop: Path
    billing: Path
    erp: Path
    live: Path
    live_rows: list[Row]


def play(home: Path, *, customers: int = 100_000) -> None:
    """Run the example; raises PromiseBroken where it does not show what it says.

    Args:
        customers: how many records the ERP has; ours are half as many again.
    """
    files = _write_files(home, customers)
    sameas = Sameas(home / "sameas")
    with sameas.serving() as service:
        show("1. Our shop and our billing.")
        for source, contract in CONTRACTS.items():
            service.put(f"/v1/sources/{source}", json=contract).raise_for_status()
        for source, file in (("shop", files.shop), ("billing", files.billing)):
            sameas("load", source, str(file))
        before = _crosswalk(sameas, "before")
        show(f"     {len(before):,} records of {len(set(before.values())):,} customers")

        show(f"2. What {customers:,} customers of the ERP would do, seen in a copy of the store.")
        copy, untouched = (_copy_store(sameas, home / name) for name in ("copy", "untouched"))
        copy("load", "erp", str(files.erp))
        foreseen = foresee(before, _crosswalk(copy, "foreseen"), newcomer="erp")
        _show_foreseen(copy, foreseen)
        promise(
            "our own customers are as they were: nothing was applied",
            holds=_crosswalk(sameas, "still") == before,
        )

        show("3. For good, while the shop goes on.")
        waits = _load_beside_traffic(sameas, service, files)
        show(f"     {len(waits):,} customers were stated meanwhile; the longest waited {max(waits):.2f} s")
        wait_until(lambda: _unsettled(service) == 0, "the store is at rest")
        after = _crosswalk(sameas, "after")
        copy("load", "shop", str(files.live))
        promise(
            "customers are those that were foreseen, and what the shop stated since",
            holds=groups_of(after) == groups_of(_crosswalk(copy, "copy-after")),
        )

        show("4. The way back out.")
        sameas("source", "retire", "erp", "--yes")
        wait_until(lambda: _unsettled(service) == 0, "the store is at rest")
        untouched("load", "shop", str(files.live))
        _check_way_back(
            service,
            before=before,
            after=after,
            restored=_crosswalk(sameas, "back"),
            never=_crosswalk(untouched, "never"),
        )


def _check_way_back(
    service: httpx.Client, *, before: Crosswalk, after: Crosswalk, restored: Crosswalk, never: Crosswalk
) -> None:
    promise("our customers are as if the ERP had never come", holds=groups_of(restored) == groups_of(never))
    # What the shop stated meanwhile changes customers by itself.
    stated = {restored[name] for name in restored.keys() - before.keys()}
    settled = [name for name in before if restored[name] not in stated]
    kept = sum(restored[name] == before[name] for name in settled)
    promise(
        f"{kept:,} of {len(settled):,} records that the shop's news did not touch have the CID they had",
        holds=kept >= _KEPT_MIN * len(settled),
    )
    gone = sorted((set(before.values()) | set(after.values())) - set(restored.values()))[:_RESOLVE_MAX]
    answers = service.post("/v1/cids/resolve", json={"cids": gone}).raise_for_status().json()["cids"]
    promise(
        f"{len(gone):,} CIDs that stand for nobody now, or for others, still resolve",
        holds=len(answers) == len(gone) and all(one["status"] != "unknown" for one in answers),
    )


def _show_foreseen(copy: Sameas, foreseen: Foreseen) -> None:
    show(f"     would join       {foreseen.joined:>8,} of its records to customers that we have")
    show(f"     would leave apart{foreseen.apart:>8,} of its records, {foreseen.issued:,} new customers")
    show(f"     would merge      {len(foreseen.merged):>8,} times several of our customers into one")
    show(f"     would split      {len(foreseen.split):>8,} of our customers")
    show("     a sample of the merges, and what to ask of the copy:")
    for group in foreseen.merged[:_SAMPLE]:
        show(f"       {' + '.join('/'.join(name) for name in group)}")
        show(f"         why: sameas explain {'/'.join(group[0])} {'/'.join(group[-1])}")
    show("     the largest customers:")
    for group in foreseen.largest[:_SAMPLE]:
        show(f"       {len(group)} records: {', '.join('/'.join(name) for name in group[:6])}")
    report = json.loads(copy("report", "--json"))
    show(f"     left apart because too much is linked to them: {report['oversized']['records']:,} records")


def _load_beside_traffic(sameas: Sameas, service: httpx.Client, files: _Files) -> list[float]:
    """Load the ERP while the shop states its new customers one by one; return how long each of those took, in s."""
    is_loaded = Event()
    with ThreadPoolExecutor(1) as pool:
        traffic = pool.submit(_state_all, service, files.live_rows, is_loaded)
        try:
            sameas("load", "erp", str(files.erp))
        finally:
            is_loaded.set()
        return traffic.result()


def _state_all(service: httpx.Client, rows: Sequence[Row], is_loaded: Event) -> list[float]:
    """State rows one by one, some twenty a second while the load runs and the rest as soon as it has ended."""
    waits = []
    for row in rows:
        attributes = {name: value for name, value in row.items() if name not in {"id", "effective_at"}}
        began = time.monotonic()
        answer = service.put(f"/v1/sources/shop/records/{row['id']}", json={"attributes": attributes})
        answer.raise_for_status()
        waits.append(time.monotonic() - began)
        is_loaded.wait(_PAUSE_S)
    return waits


def _unsettled(service: httpx.Client) -> int:
    return int(service.get("/readyz").json()["unsettled"])


def _crosswalk(sameas: Sameas, name: str) -> Crosswalk:
    out = sameas.home / f"{name}.parquet"
    sameas("export", "crosswalk", str(out))
    return read_crosswalk(out)


def _copy_store(sameas: Sameas, home: Path) -> Sameas:
    """Return the command line on a copy of the store; SQLite's backup copies it while it is written to."""
    copy = Sameas(home)
    with (
        closing(sqlite3.connect(sameas.home / "sameas.db")) as store,
        closing(sqlite3.connect(home / "sameas.db")) as other,
    ):
        store.backup(other)
    return copy


def _write_files(home: Path, customers: int) -> _Files:
    """Write a made-up population as files of its sources; every 40th of the shop's is kept for the live traffic."""
    rows: dict[str, list[Row]] = {"shop": [], "billing": [], "erp": [], "live": []}
    for number, (source, row) in enumerate(_rows(round(customers * _RECORDS_A_CUSTOMER) + 200)):
        file = "live" if source == "shop" and number % _LIVE_EACH == 0 else source
        rows["erp" if file == _ERP_OF else file].append(row)
    del rows["erp"][customers:]
    for name, some in rows.items():
        (home / f"{name}.ndjson").write_text(
            "".join(json.dumps(row) + "\n" for row in some), encoding="utf-8"
        )
    shop, billing, erp, live = (home / f"{name}.ndjson" for name in ("shop", "billing", "erp", "live"))
    return _Files(shop, billing, erp, live, rows["live"])


def _rows(record_count: int) -> Iterator[tuple[str, Row]]:
    for record in generate_population(seed=4, record_count=record_count):
        yield (
            record.source,
            {"id": record.source_key, **record.attributes, "effective_at": record.effective_at},
        )
