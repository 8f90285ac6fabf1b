"""Show the main job end to end on a made-up population; `make demo`.

What happens:
1. A server is started, on a store of its own, and the contracts of three sources are put.
2. Most records are loaded in bulk from files (`sameas load`), the rest come live: NDJSON and single PUTs.
3. Every key is looked up; the partition is compared with the truth.
4. Shown: two look-ups as `curl` lines, one merge as it happens, why two records are together.
5. The server goes on until Ctrl-C; with `--once` it is stopped and all is removed.

Invariant: all that is shown comes from the service's own answers; the process that was started is stopped.
Elsewhere: the population (`service.demo.population`), the merge (`service.demo.story`).
"""

from __future__ import annotations

import argparse
import shlex
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from matching.evaluate import evaluate_partition
from service.demo.client import ServiceClient, record_path
from service.demo.errors import DemoFailed
from service.demo.population import SOURCES, generate_population
from service.demo.server import find_port, run_command, serve
from service.demo.sources import CONTRACTS
from service.demo.story import AFTER, BEFORE
from service.demo.write import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

    from matching.evaluate import Agreement, Evaluation
    from service.demo.population import GeneratedRecord

__all__ = ["RECORD_COUNT", "main", "run_demo"]

RECORD_COUNT: Final = 6_000
_SEED: Final = 1
_BULK_SHARE: Final = 0.8
_SINGLE_COUNT: Final = 25
_LOOKUP_KEYS: Final = 10_000
_SETTLE_S: Final = 60
_FILE_FORMATS: Final = {"crm": "csv", "shop": "ndjson", "billing": "parquet"}


class _Loaded(NamedTuple):
    """What was loaded how: the records in order, and the seconds and counts of each way."""

    records: list[GeneratedRecord]
    ways: list[tuple[str, int, float]]


def run_demo(
    *,
    is_once: bool = False,
    port: int | None = None,
    data_dir: Path | None = None,
    record_count: int = RECORD_COUNT,
    seed: int = _SEED,
    console: Console | None = None,
) -> int:
    """Run the demonstration and return its exit status.

    Args:
        is_once: end after the summary instead of serving on.
        port: where to serve; 8360, or a free port if that is taken, when None.
        data_dir: where the store is made; a temporary folder, removed at the end, when None.
        record_count: how many records to make.
        seed: another seed is another population.
        console: where to print.

    Raises:
        DemoFailed: the service did not start, or did not answer as it should.
    """
    screen = console or Console()
    with ExitStack() as opened:
        opened.enter_context(_terminated_like_interrupted())
        if data_dir is None:
            data_dir = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sameas-demo-")))
        else:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            screen.print("[bold]Starting the service[/bold]: sameas serve")
            client = opened.enter_context(serve(data_dir, port=find_port(port)))
            _show(client, data_dir, list(generate_population(seed=seed, record_count=record_count)), screen)
            if not is_once:
                screen.print(
                    f"\nServing on; API at [bold]{client.address}/docs[/bold], Ctrl-C ends it.",
                    highlight=False,
                )
                while client.is_well("/healthz"):
                    time.sleep(2)
                raise DemoFailed(f"the service ended by itself; see {data_dir / 'serve.log'}.")
        except KeyboardInterrupt:
            screen.print("\nStopping the service.")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: `python -m service.demo.run [--once]`."""
    parser = argparse.ArgumentParser(
        prog="sameas demo", description="Show the main job on made-up customers."
    )
    parser.add_argument("--once", action="store_true", help="end after the summary")
    parser.add_argument("--port", type=int, help="port to serve on (8360, or a free one)")
    parser.add_argument("--data-dir", type=Path, help="where to make the store (a temporary folder)")
    parser.add_argument(
        "--records", type=int, default=RECORD_COUNT, help=f"how many records ({RECORD_COUNT:,})"
    )
    parser.add_argument("--seed", type=int, default=_SEED, help="another seed is another population")
    options = parser.parse_args(arguments)
    try:
        return run_demo(
            is_once=options.once,
            port=options.port,
            data_dir=options.data_dir,
            record_count=options.records,
            seed=options.seed,
        )
    except DemoFailed as failed:
        Console(stderr=True).print(f"[red]{failed.code}[/red]: {failed.detail}", highlight=False)
        return 1


def _show(client: ServiceClient, data_dir: Path, records: list[GeneratedRecord], screen: Console) -> None:
    for source, contract in CONTRACTS.items():
        client.call("PUT", f"/v1/sources/{source}", contract)
    loaded = _load(client, data_dir, records, screen)
    _wait_until_settled(client)
    cids = _look_up(client, records)
    _show_summary(loaded, cids, screen)
    pair = _find_pair(records, cids)
    _show_curl_lines(client, data_dir, records[pair[0]], cids[pair[0]], screen)
    _show_merge(client, screen)
    _show_why(client, records[pair[0]], records[pair[1]], screen)


def _load(client: ServiceClient, data_dir: Path, records: list[GeneratedRecord], screen: Console) -> _Loaded:
    bulk_count = int(len(records) * _BULK_SHARE)
    single_count = min(_SINGLE_COUNT, len(records) - bulk_count)
    stream_end = len(records) - single_count
    ways: list[tuple[str, int, float]] = []

    started = time.monotonic()
    files = write_records(data_dir / "files", records[:bulk_count], _FILE_FORMATS)
    for source in SOURCES:
        screen.print(f"Loading [bold]{files[source].name}[/bold]: sameas load {source} {files[source].name}")
        run_command("load", source, str(files[source]), data_dir=data_dir)
    ways.append(("in bulk, from files", bulk_count, time.monotonic() - started))

    started = time.monotonic()
    for source in SOURCES:
        live = [record for record in records[bulk_count:stream_end] if record.source == source]
        _check_answers(client.stream_records(source, map(_to_line, live)))
    ways.append(("live, as NDJSON", stream_end - bulk_count, time.monotonic() - started))

    started = time.monotonic()
    for record in records[stream_end:]:
        body = {"attributes": record.attributes, "effective_at": record.effective_at}
        client.call("PUT", record_path(record.source, record.source_key), body)
    ways.append(("live, one by one", single_count, time.monotonic() - started))
    return _Loaded(records, ways)


def _to_line(record: GeneratedRecord) -> dict[str, Any]:
    return {
        "key": record.source_key,
        "attributes": record.attributes,
        "effective_at": record.effective_at,
    }


def _check_answers(answers: Iterable[dict[str, Any]]) -> None:
    refused = Counter(answer["error"]["code"] for answer in answers if "error" in answer)
    if refused:
        raise DemoFailed(f"the service refused records of the demonstration: {dict(refused)}")


def _wait_until_settled(client: ServiceClient) -> None:
    deadline = time.monotonic() + _SETTLE_S
    while not client.is_well("/readyz"):
        if time.monotonic() > deadline:
            raise DemoFailed(f"the service did not come to rest within {_SETTLE_S} s.")
        time.sleep(0.2)


def _look_up(client: ServiceClient, records: list[GeneratedRecord]) -> list[str]:
    cids: list[str] = []
    waiting = iter(records)
    while batch := list(islice(waiting, _LOOKUP_KEYS)):
        keys = [{"source": record.source, "key": record.source_key} for record in batch]
        answer = client.call("POST", "/v1/lookup", {"keys": keys})
        cids += [row["cid"] for row in answer["cids"]]
    missing = sum(cid is None for cid in cids)
    if missing:
        raise DemoFailed(f"{missing} records that were loaded have no CID.")
    return cids


def _show_summary(loaded: _Loaded, cids: list[str], screen: Console) -> None:
    found = evaluate_partition(cids, [record.entity_id for record in loaded.records])
    ways = Table(title="Records in", title_justify="left")
    for name in ("how", "records", "seconds"):
        ways.add_column(name, justify="left" if name == "how" else "right")
    for way, count, seconds in loaded.ways:
        ways.add_row(way, f"{count:,}", f"{seconds:.1f}")
    screen.print(ways)
    by_source = Counter(record.source for record in loaded.records)
    stated = ", ".join(f"{source} {by_source[source]:,}" for source in SOURCES)
    screen.print(
        Panel(
            f"[bold]{found.record_count:,} records[/bold] ({stated}) became "
            f"[bold]{found.cluster_count:,} customers[/bold]; in truth they are {found.customer_count:,}."
        )
    )
    screen.print(_agreement_table(found))


def _agreement_table(found: Evaluation) -> Table:
    table = Table(title="Against the truth", title_justify="left")
    for name in ("", "precision", "recall", "F1"):
        table.add_column(name, justify="right" if name else "left")
    rows: tuple[tuple[str, Agreement], ...] = (("pairwise", found.pairwise), ("B-cubed", found.b_cubed))
    for name, agreement in rows:
        table.add_row(name, f"{agreement.precision:.4f}", f"{agreement.recall:.4f}", f"{agreement.f1:.4f}")
    return table


def _find_pair(records: list[GeneratedRecord], cids: list[str]) -> tuple[int, int]:
    """Return two records of two sources that share a CID: the first such pair that spells a name unlike."""
    first_of: dict[str, int] = {}
    fallback: tuple[int, int] | None = None
    for position, cid in enumerate(cids):
        earlier = first_of.setdefault(cid, position)
        if records[earlier].source == records[position].source:
            continue
        names = {records[at].attributes.get("family_name") for at in (earlier, position)}
        if len(names) == 2 and None not in names:
            return earlier, position
        fallback = fallback or (earlier, position)
    if fallback is None:
        raise DemoFailed("no two records of different sources became one customer.")
    return fallback


def _show_curl_lines(
    client: ServiceClient, data_dir: Path, record: GeneratedRecord, cid: str, screen: Console
) -> None:
    # The key is read where the line is run, so that it gets into no screen, history or recording.
    key_file = shlex.quote(str((data_dir / "admin.key").resolve()))
    curl = f'curl -s -H "Authorization: Bearer $(cat {key_file})"'
    screen.print("\n[bold]Look a customer up by its source key, and by its CID:[/bold]")
    for path in (f"{record_path(record.source, record.source_key)}/cid", f"/v1/cids/{cid}"):
        screen.print(f"{curl} {client.address}{path}", soft_wrap=True, highlight=False, markup=False)
        answer = orjson.dumps(client.call("GET", path)).decode()
        screen.print(f"  {answer}", soft_wrap=True, markup=False)


def _show_merge(client: ServiceClient, screen: Console) -> None:
    screen.print("\n[bold]A merge as it happens:[/bold]")
    before: list[str] = []
    for source, key, attributes in BEFORE:
        answer = client.call("PUT", record_path(source, key), {"attributes": attributes})
        before.append(answer["cid"])
        _say(screen, f"  {source} {key}: {answer['outcome']} as {answer['cid']}")
    source, key, attributes = AFTER
    answer = client.call("PUT", record_path(source, key), {"attributes": attributes})
    outcome = f"[bold]{answer['outcome']}[/bold] as {answer['cid']}"
    _say(screen, f"  {source} {key}, which names both: {outcome}")
    for cid in before:
        view = client.call("GET", f"/v1/cids/{cid}")
        then = f" -> {', '.join(view['successors'])}" if view["successors"] else ""
        _say(screen, f"  {cid} is now {view['status']}{then}")


def _show_why(client: ServiceClient, left: GeneratedRecord, right: GeneratedRecord, screen: Console) -> None:
    named = {
        side: {"source": record.source, "key": record.source_key}
        for side, record in (("left", left), ("right", right))
    }
    answer = client.call("POST", "/v1/explain", named)
    table = Table(
        title=f"Why are {left.source} {left.source_key} and {right.source} {right.source_key} one customer?",
        title_justify="left",
    )
    for name in ("comparison", "level", "bits"):
        table.add_column(name, justify="right" if name == "bits" else "left")
    for part in answer["comparisons"]:
        if part["level"] != "absent":
            table.add_row(part["name"], part["level"], f"{part['bits'] + part['frequency_bits']:+.1f}")
    table.add_row("prior", "any two records", f"{answer['prior']:+.1f}")
    if answer["dependence"]:
        table.add_row("dependence", "values that come together", f"{answer['dependence']:+.1f}")
    screen.print()
    screen.print(table)
    _say(screen, f"Together {answer['weight']:+.1f} bits: {answer['why']}")


def _say(screen: Console, line: str) -> None:
    """Print a line as it is: not wrapped, so that it can be copied, and without colours of its own."""
    screen.print(line, soft_wrap=True, highlight=False)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """While entered, a termination signal ends the demonstration as Ctrl-C does, in good order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


if __name__ == "__main__":
    raise SystemExit(main())
