"""Webhooks end to end: registered over HTTP, sent by `sameas webhooks`, counted and logged without a value."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Reader

from deploy.local.children import find_free_port
from identity.errors import StoreBusy
from service.settings import Settings
from service.telemetry import configure_logging
from service.webhook_running import LoggedWebhooks, WebhookProgram
from streams.webhook_post import PostAnswer
from tests.promises.world import Clock
from tests.service.server import COMMAND, ServedService, environment, serve
from tests.streams.receiver import Receipt, Receiver, receiver_at

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiver_at(tmp_path) as running:
        yield running


@pytest.fixture
def service(tmp_path: Path, receiver: Receiver) -> Iterator[ServedService]:
    with serve(tmp_path / "data", **allowed(receiver)) as running:
        running.ask("PUT", "/v1/sources/crm", json={"domain": "sales"})
        yield running


def allowed(receiver: Receiver) -> dict[str, str]:
    return {
        "SAMEAS_WEBHOOK_HOSTS_ALLOWED": "localhost",
        "SAMEAS_WEBHOOK_AUTHORITIES": str(receiver.authorities),
    }


def sameas(data_dir: Path, *arguments: str, status: int = 0, changes: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, **(changes or {})),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_a_change_reaches_the_receiver_with_a_signature_that_verifies(
    service: ServedService, receiver: Receiver
) -> None:
    made = service.ask("POST", "/v1/webhooks", json={"url": receiver.url, "sources": ["crm"]})
    hook = made.json()
    assert made.status_code == 201
    arrived, port = threading.Event(), find_free_port()

    def answer(receipt: Receipt) -> int:
        arrived.set()
        return 204

    receiver.answer = answer
    service.ask("PUT", "/v1/sources/crm/records/canary7", json={"attributes": {"full_name": "Ada Byron"}})
    with subprocess.Popen(
        [*COMMAND, "webhooks", f"--metrics-port={port}"],
        env=environment(service.data_dir, **allowed(receiver)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert arrived.wait(30)
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        finally:
            running.send_signal(signal.SIGTERM)
            said = running.communicate(timeout=30)

    [receipt] = receiver.receipts
    told = Reader(hook["secret"]).verify(receipt.body, receipt.headers)
    assert running.returncode == 0
    assert (told["type"], told["data"]["key"]) == ("crosswalk.issued", "canary7")
    assert "sameas_webhook_disabled 0.0" in metrics
    assert "canary7" not in "".join(said) + metrics
    shown = service.ask("GET", f"/v1/webhooks/{hook['id']}").json()
    assert shown["cursor"] == told["data"]["id"]
    assert "secret" not in shown


def test_it_is_listed_tested_given_a_new_secret_resumed_and_removed(
    service: ServedService, receiver: Receiver
) -> None:
    hook = service.ask("POST", "/v1/webhooks", json={"url": receiver.url}).json()
    path = f"/v1/webhooks/{hook['id']}"

    tested = service.ask("POST", f"{path}/test").json()
    new = service.ask("POST", f"{path}/secret").json()["secret"]
    again = service.ask("POST", f"{path}/test").json()

    assert tested == again == {"status": 204, "fault": None, "is_taken": True}
    for secret, receipt in ((hook["secret"], 0), (new, 1), (hook["secret"], 1)):
        body = receiver.receipts[receipt].body
        assert Reader(secret).verify(body, receiver.receipts[receipt].headers)["type"] == "sameas.test"
    assert [one["id"] for one in service.ask("GET", "/v1/webhooks").json()["webhooks"]] == [hook["id"]]
    assert service.ask("POST", f"{path}/resume").json()["state"] == "active"
    assert service.ask("DELETE", path).status_code == 204
    assert service.ask("GET", path).json()["code"] == "unknown_webhook"


def test_an_address_inside_is_refused_when_it_is_sent_to(service: ServedService) -> None:
    hook = service.ask("POST", "/v1/webhooks", json={"url": "https://169.254.169.254/latest"}).json()

    tested = service.ask("POST", f"/v1/webhooks/{hook['id']}/test").json()
    plain = service.ask("POST", "/v1/webhooks", json={"url": "http://example.com/"})

    assert tested == {"status": None, "fault": "address_refused", "is_taken": False}
    assert (plain.status_code, plain.json()["code"]) == (422, "webhook_invalid")


def test_the_command_line_does_the_same(tmp_path: Path, receiver: Receiver) -> None:
    data_dir = tmp_path / "cli"
    sameas(data_dir, "source", "put", "crm", "--domain", "sales")
    made = sameas(data_dir, "webhook", "add", receiver.url, "--source", "crm", "--from", "start")
    secret, webhook_id = made.split()

    [row] = json.loads(sameas(data_dir, "webhook", "list", "--json"))
    assert (row["id"], row["sources"], row["state"]) == (webhook_id, ["crm"], "active")
    assert webhook_id in sameas(data_dir, "webhook", "list")
    assert "status 204" in sameas(data_dir, "webhook", "test", webhook_id, changes=allowed(receiver))
    assert "address_refused" in sameas(data_dir, "webhook", "test", webhook_id, status=1)
    assert Reader(secret).verify(receiver.receipts[0].body, receiver.receipts[0].headers)
    assert sameas(data_dir, "webhook", "rotate-secret", webhook_id).startswith("whsec_")
    assert "resumed" in sameas(data_dir, "webhook", "resume", webhook_id)
    assert "removed" in sameas(data_dir, "webhook", "remove", webhook_id)
    assert "unknown_webhook" in sameas(data_dir, "webhook", "remove", webhook_id, status=1)


def test_a_program_that_is_stopped_before_it_runs_ends_at_once(tmp_path: Path) -> None:
    program = WebhookProgram(Settings(data_dir=tmp_path / "data"))

    program.stop()
    program.run()


def test_what_repeats_is_logged_once_a_minute_and_every_time_counted() -> None:
    log, clock = io.StringIO(), Clock()
    configure_logging("info", log)
    notes = LoggedWebhooks(clock)

    for _ in range(3):
        notes.tried("wh_1", PostAnswer(500))
        notes.tried("wh_1", PostAnswer(0, "timeout"))
        notes.failed(StoreBusy("busy"))
        notes.broke("wh_1", ValueError("canary7"))
    notes.tried("wh_1", PostAnswer(204))
    notes.disabled("wh_1")

    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    value = notes.registry.get_sample_value
    assert events == ["webhook_not_taken", "webhooks_try_again", "webhook_fault", "webhook_disabled"]
    assert "canary7" not in log.getvalue()
    assert value("sameas_webhook_tries_total", {"result": "refused"}) == 3
    assert value("sameas_webhook_tries_total", {"result": "unreachable"}) == 3
    assert value("sameas_webhook_tries_total", {"result": "taken"}) == 1
    assert value("sameas_webhook_faults_total") == 3
    assert value("sameas_webhook_store_failures_total", {"code": "store_busy"}) == 3
