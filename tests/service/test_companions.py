"""`sameas serve --with worker,relay`: one process to start, and records come in and CIDs go out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.process_tree import list_tree
from service.companions.companion import Companion
from service.errors import CompanionLost, SettingsInvalid
from service.resolvers.frames import pack_frame, read_frame
from service.serve import run_service
from service.settings import Settings, load_settings
from tests.service.server import COMMAND, ServedService, environment, serve
from tests.services.kafka import await_true, read_topic
from tests.streams.stream import Stream, Told, plain

pytestmark = pytest.mark.slow

FATES = ("applied", "held", "waiting", "duplicate", "stale", "rejected", "ignored")


@pytest.fixture
def served(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> Iterator[ServedService]:
    settings = {
        "SAMEAS_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "SAMEAS_TOPIC_PREFIX": kafka_prefix,
        "SAMEAS_TOPIC_PARTITIONS": "2",
        "SAMEAS_SERVE_WITH": "worker,relay",
    }
    with serve(tmp_path / "data", **settings) as service:
        yield service


def metrics_of(service: ServedService) -> dict[tuple[str, tuple[str, ...]], float]:
    text = service.ask("GET", "/metrics").text
    return {
        (sample.name, tuple(text for _, text in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def companions_of(service: ServedService) -> list[int]:
    def is_companion(pid: int) -> bool:
        return b"service.companions.child" in Path(f"/proc/{pid}/cmdline").read_bytes()

    return [pid for pid in list_tree(service.pid) if is_companion(pid)]


def test_records_come_in_and_cids_go_out_beside_the_service_which_counts_them(
    served: ServedService, kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    stream: Any = Stream(kafka_bootstrap, kafka_prefix, None)  # type: ignore[arg-type]
    served.ask("PUT", "/v1/sources/crm", json={"domain": "sales"})
    stream.create(partitions=2)
    stream.send(
        [plain(f"canary{number}", {"email": f"u{number % 7}@canary.de"}) for number in range(20)]
        + [Told(b"canary20", b"{")]
    )

    await_true(
        lambda: metrics_of(served).get(("sameas_worker_consumed_total", ("crm",))) == 21, "21 are counted"
    )
    await_true(lambda: metrics_of(served)["sameas_relay_untold_seconds", ()] == 0, "all is told")
    read_topic(kafka_bootstrap, f"{kafka_prefix}.crosswalk", until=lambda rows: len(rows) == 20)

    shown = metrics_of(served)
    fates = {fate: shown["sameas_worker_messages_total", (fate, "crm")] for fate in FATES}
    assert shown["sameas_worker_consumed_total", ("crm",)] == sum(fates.values())
    assert (fates["applied"], fates["rejected"]) == (20, 1)
    assert shown["sameas_companion_running", ("worker",)] == 1
    assert shown["sameas_relay_leading", ()] == 1
    topic = stream.topics.records("crm")
    await_true(
        lambda: all(
            metrics_of(served).get(("sameas_worker_lag_messages", (str(number), topic))) == 0
            for number in range(2)
        ),
        "no partition lags",
    )
    ready = served.ask("GET", "/readyz").json()
    assert ready["companions"] == {"worker": "running", "relay": "running"}
    assert "canary" not in served.log() + served.ask("GET", "/metrics").text


def test_a_companion_that_dies_is_started_again_while_requests_go_on(served: ServedService) -> None:
    for pid in companions_of(served):
        os.kill(pid, signal.SIGKILL)

    def are_restarted() -> bool:
        assert served.ask("GET", "/readyz").status_code == 200
        shown = metrics_of(served)
        return all(
            shown.get(("sameas_companion_restarts_total", (name,))) == 1
            and shown["sameas_companion_running", (name,)] == 1
            for name in ("worker", "relay")
        )

    await_true(are_restarted, "both run again")
    assert served.log().count('"companion_ended"') == 2


def test_companions_end_with_the_service_and_in_order(
    tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    settings = {"SAMEAS_KAFKA_BOOTSTRAP": kafka_bootstrap, "SAMEAS_TOPIC_PREFIX": kafka_prefix}
    with serve(tmp_path / "data", SAMEAS_SERVE_WITH="worker,relay", **settings) as service:
        await_true(lambda: '"relay_leads"' in service.log(), "the relay leads")
        pids = companions_of(service)
        os.kill(service.pid, signal.SIGTERM)
        await_true(lambda: '"relay_leads_no_more"' in service.log(), "the relay was told to end")

    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert "companion_ended" not in service.log()


@pytest.mark.parametrize("name", ["worker", "relay"])
def test_a_companion_without_kafkas_address_is_refused_before_anything_is_opened(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsInvalid, match="SAMEAS_KAFKA_BOOTSTRAP"):
        run_service(Settings(data_dir=tmp_path / "data", serve_with=(name,)), tell=print)

    assert not (tmp_path / "data").exists()


def test_what_cannot_run_beside_the_service_is_refused_by_its_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--with", "worker,wroker"],
        env=environment(tmp_path / "data", SAMEAS_KAFKA_BOOTSTRAP="127.0.0.1:1"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "'wroker' cannot run beside the service" in done.stderr
    assert not (tmp_path / "data").exists()


def test_names_stand_between_commas_and_count_once() -> None:
    assert load_settings({"SAMEAS_SERVE_WITH": "relay, worker,relay"}).serve_with == ("relay", "worker")


def test_a_companion_whose_store_cannot_be_opened_says_so_at_the_first_start() -> None:
    program = ("-c", "raise SystemExit(1)")

    with pytest.raises(CompanionLost, match="worker"):
        asyncio.run(Companion("worker", {}, program=program).start())


def test_one_that_keeps_failing_is_shown_with_what_it_met_and_started_again_after_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.companions.companion._PAUSE_S_MIN", 0.01)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    failing = (
        "import sys; from service.resolvers.frames import pack_frame as pack; out = sys.stdout.buffer; "
        "out.write(pack({'ready': True}) + pack({'error': {'code': 'messages_lost', 'detail': ''}}))"
    )

    async def run() -> str | None:
        ended = asyncio.Event()
        companion = Companion(
            "worker",
            {},
            program=("-c", failing),
            count_restart=lambda: ended.set() if len(pauses) >= 3 else None,
        )
        await companion.start()
        await ended.wait()
        await companion.close()
        return companion.last_failure

    monkeypatch.setattr("service.companions.companion.asyncio.sleep", note)

    assert asyncio.run(run()) == "messages_lost"
    assert pauses[:3] == [0.01, 0.02, 0.04]


@pytest.mark.parametrize("is_asked", [False, True], ids=["idle", "with a question open"])
def test_a_companion_ends_when_whoever_started_it_is_killed(tmp_path: Path, is_asked: bool) -> None:
    settings = {"data_dir": str(tmp_path / "data")}
    child = subprocess.Popen(
        [sys.executable, "-m", "service.companions.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(pack_frame({"companion": "webhooks", "settings": settings}))
    child.stdin.flush()
    ready = read_frame(child.stdout)
    assert ready is not None
    assert ready.head == {"ready": True}

    # What the system does with the pipes of a parent that is killed.
    child.stdout.close()
    if is_asked:
        child.stdin.write(pack_frame({"metrics": True}))
    child.stdin.close()

    try:
        child.wait(30)
    finally:
        child.kill()
        child.wait()
