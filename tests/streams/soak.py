"""The long storm, by command: how much, how often and with which seed; figures go to a page.

    python -m tests.streams.soak                                    # 100,000 messages, every failpoint ten times
    python -m tests.streams.soak --messages 20000 --kills 2 --seed 7 --write docs/reliability.md

Connections of workers and relays go through proxies that cut some of them half-open. Ends with 1 when an anomaly was
found; a run that found one is written down as well.
Elsewhere: what happens (`tests.streams.storm`), what is looked for (`tests.streams.anomalies`), the short form in every
run of the tests (`tests/streams/test_storm.py`).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from benchmarks.machine import describe_machine, read_commit, read_date
from deploy.local.kafka import run_private_broker
from deploy.local.postgres import run_private_postgres_server
from tests.streams.anomalies import find_anomalies
from tests.streams.cutting_proxy import CuttingProxy
from tests.streams.storm import Happening, Storm, StormPlan, StormReport

__all__ = ["describe_run", "main", "write_run"]

COLUMNS = (
    "date",
    "commit",
    "messages",
    "seed",
    "minutes",
    "kills (SIGKILL)",
    "of each failpoint",
    "joins and leaves",
    "broker / PostgreSQL killed",
    "connections cut",
    "events",
    "told again",
    "anomalies",
)
_MARK = "<!-- runs: python -m tests.streams.soak --write -->"
_CLIENT_S = 8.0
_SERVER_S = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 when something was lost, doubled or out of order."""
    parser = argparse.ArgumentParser(prog="python -m tests.streams.soak", description="Run the long storm.")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10, help="how often each failpoint kills its process")
    parser.add_argument("--restarts", type=int, default=4, help="of the broker, and as many of PostgreSQL")
    parser.add_argument("--cuts", type=int, default=20, help="how often connections are cut half-open")
    parser.add_argument("--rebalance", type=float, default=4.0, help="seconds between two joins and leaves")
    parser.add_argument("--rate", type=float, default=150.0, help="messages sent a second, at most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--write", type=Path, metavar="PAGE", help="add a row to the table of this page")
    options = parser.parse_args(arguments)
    plan = StormPlan(
        message_count=options.messages,
        seed=options.seed,
        key_count=max(100, options.messages // 7),
        rate=options.rate,
        kills_each=options.kills,
        rebalance_s=options.rebalance,
    )
    commit = read_commit()  # of what runs: the tree may change meanwhile
    print(f"{plan}, commit {commit}, on {describe_machine()}", flush=True)
    report, cut_count = run(plan, restarts=options.restarts, cuts=options.cuts)
    anomalies = find_anomalies(report.history)
    if report.found_customers != report.expected_customers:
        anomalies["customers"] = ["the customers are not those that the statements make"]
    for name, found in anomalies.items():
        print(f"{name}: {'; '.join(found)}", file=sys.stderr)
    row = describe_run(report, commit=commit, cut_count=cut_count, anomaly_count=len(anomalies))
    print("\n".join(f"{name}: {text}" for name, text in zip(COLUMNS, row, strict=True)), flush=True)
    if options.write is not None:
        page: Path = options.write
        page.write_text(write_run(page.read_text(encoding="utf-8"), row), encoding="utf-8")
    return 1 if anomalies else 0


def run(plan: StormPlan, *, restarts: int, cuts: int) -> tuple[StormReport, int]:
    """Run a storm with servers of its own; return what it left, and how many connections were cut."""
    chance = random.Random(plan.seed + 1)
    cut_count = 0
    with ExitStack() as opened:
        kafka_proxy, postgres_proxy = (opened.enter_context(CuttingProxy()) for _ in range(2))
        through_proxy = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{kafka_proxy.port}"}
        broker = opened.enter_context(run_private_broker(settings=through_proxy))
        postgres = opened.enter_context(run_private_postgres_server())
        kafka_proxy.upstream_port = int(broker.bootstrap.rpartition(":")[2])
        postgres_proxy.upstream_port = postgres.port
        directory = opened.enter_context(tempfile.TemporaryDirectory(prefix="sameas-soak-"))

        def restart(server: _Server) -> Callable[[], None]:
            def kill_and_start() -> None:
                server.kill()
                server.start()

            return kill_and_start

        def cut() -> None:
            nonlocal cut_count
            for proxy in (kafka_proxy, postgres_proxy):
                cut_count += proxy.cut(share=0.5, chance=chance, client_s=_CLIENT_S, server_s=_SERVER_S)

        happenings = [
            *_spread("broker restarts", restarts, restart(broker), at=0.3),
            *_spread("PostgreSQL restarts", restarts, restart(postgres), at=0.7),
            *_spread("cuts", cuts, cut, at=0.5),
        ]
        url = urlsplit(postgres.url)
        storm = Storm(
            plan,
            url._replace(netloc=url.netloc.replace(str(postgres.port), str(postgres_proxy.port))).geturl(),
            f"127.0.0.1:{kafka_proxy.port}",
            Path(directory),
            "soak",
            happenings=happenings,
            quiet_url=postgres.url,
        )
        storm.on_progress = _Progress(plan.message_count)
        report = storm.run()
    return report, cut_count


def describe_run(report: StormReport, *, commit: str, cut_count: int, anomaly_count: int) -> tuple[str, ...]:
    """Return the row of a run."""
    kills, plan, happened = report.kills, report.plan, report.happened
    least, most = min(kills.values(), default=0), max(kills.values(), default=0)
    return (
        read_date(),
        commit,
        f"{plan.message_count:,}",
        str(plan.seed),
        f"{report.seconds / 60:.1f}",
        str(kills.total()),
        str(least) if least == most else f"{least}-{most}",
        str(happened["rebalances"]),
        f"{happened['broker restarts']} / {happened['PostgreSQL restarts']}",
        str(cut_count),
        f"{report.event_count:,}",
        f"{report.repeated_count:,}",
        str(anomaly_count),
    )


def write_run(page: str, row: Sequence[str]) -> str:
    """Return the page with the row at the end of its table of runs.

    Raises:
        ValueError: the page has no table of runs.
    """
    before, mark, after = page.partition(_MARK)
    if not mark:
        raise ValueError(f"the page has no line {_MARK}")
    table, blank, rest = after.lstrip("\n").partition("\n\n")
    if not table.startswith("|"):
        head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
        table, blank, rest = head, "\n" if not after.strip() else "\n\n", after.lstrip("\n")
    return f"{before}{mark}\n\n{table.rstrip()}\n| {' | '.join(row)} |{blank or chr(10)}{rest}"


class _Server(Protocol):
    def kill(self) -> None: ...

    def start(self) -> None: ...


class _Progress:
    """Says once in a while how far a run is."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._said_at = 0.0

    def __call__(self, consumed: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_at >= 15:
            self._said_at = now_s
            print(f"{consumed:,} of {self._total:,} messages taken", file=sys.stderr, flush=True)


def _spread(name: str, number: int, do: Callable[[], None], *, at: float) -> list[Happening]:
    """Return so many happenings, evenly over the first nine tenths of the messages."""
    return [Happening(name, 0.9 * (place + at) / number, do) for place in range(number)]


if __name__ == "__main__":
    raise SystemExit(main())
