"""`sameas worker` and `sameas rejects`, as their users run them."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from matching.errors import SameasError
from service.cli import app
from service.errors import SettingsInvalid
from streams.errors import PartitionUnknown, RejectBehind, RejectClosed, RejectUnknown, RejectUnmendable
from tests.identity.stores import Place
from tests.service.server import COMMAND, environment
from tests.services.kafka import create_topics
from tests.streams.stream import Stream, Told, plain, wait_until

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Run:
    """What a worker has left behind, and what it said."""

    stream: Stream
    output: bytes
    log: bytes
    exit_code: int

    @property
    def topic(self) -> str:
        return self.stream.topics.records("crm")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMEAS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def run_once(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Let a worker take five messages: two records, three rejects."""
    directory = tmp_path_factory.mktemp("worker") / "data"
    stream = Stream(kafka_bootstrap, f"t{secrets.token_hex(6)}", Place(None, directory))
    create_topics(stream.bootstrap, [stream.topics.records("crm")], partitions=1)
    stream.send(
        [
            plain("1", {"email": "ann@web.de"}),
            plain("2", {"email": {}}),
            plain("2", {"email": {"secret": "x"}}),
            plain("3", {"email": "ann@web.de"}),
            Told(b"4", b"{"),
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMEAS_DATA_DIR", str(directory))
        sameas("source", "put", "crm", "--domain", "sales")
        with worker(directory, stream) as program:
            wait_until(lambda: consumed() == 5)
            program.send_signal(signal.SIGTERM)
            output, log = program.communicate(timeout=60)
    return Run(stream, output, log, program.returncode)


@pytest.fixture
def taken(run_once: Run, data_dir: Path) -> Run:
    """The worker's run, on a copy of its store."""
    shutil.copytree(run_once.stream.place.directory, data_dir)
    return run_once


def sameas(*arguments: str, code: int = 0, body: str | None = None) -> str:
    done = CliRunner().invoke(app, arguments, input=body)
    if isinstance(done.exception, SameasError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


@contextmanager
def worker(data_dir: Path, stream: Stream) -> Iterator[subprocess.Popen[bytes]]:
    settings = {"SAMEAS_KAFKA_BOOTSTRAP": stream.bootstrap, "SAMEAS_TOPIC_PREFIX": stream.prefix}
    program = subprocess.Popen(
        [*COMMAND, "worker"],
        env=environment(data_dir, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def consumed() -> int:
    return sum(one["consumed"] for one in orjson.loads(sameas("worker", "status", "--json")))


def test_a_worker_takes_messages_and_ends_on_sigterm_and_its_log_holds_no_personal_data(
    run_once: Run,
) -> None:
    assert run_once.exit_code == 0, run_once.log
    assert run_once.output.decode().startswith(f"sameas worker takes {run_once.stream.prefix}.records.* from")
    assert b"partitions_assigned" in run_once.log
    assert b"secret" not in run_once.log


def test_the_status_adds_up(taken: Run) -> None:
    [state] = orjson.loads(sameas("worker", "status", "--json"))
    table = sameas("worker", "status")

    assert (state["topic"], state["partition"], state["next_offset"]) == (taken.topic, 0, 5)
    fates = ("applied", "held", "waiting", "duplicate", "stale", "rejected", "ignored")
    assert {fate: state[fate] for fate in fates if state[fate]} == {"applied": 2, "rejected": 3}
    assert state["consumed"] == sum(state[fate] for fate in fates)
    assert taken.topic in table


def test_rejects_are_listed_without_what_was_stated_and_shown_with_it(taken: Run) -> None:
    listed = sameas("rejects", "list")
    documents = orjson.loads(sameas("rejects", "list", "--json", "--key", "crm/2"))
    shown = orjson.loads(sameas("rejects", "show", str(documents[1]["id"])))

    assert listed.count("attributes_invalid") == 2
    assert "secret" not in listed
    assert [one["origin"]["offset"] for one in documents] == [1, 2]
    assert (shown["key"], shown["message"]) == ("2", {"attributes": {"email": {"secret": "x"}}})


def test_rejects_are_mended_replayed_in_order_and_discarded(taken: Run, tmp_path: Path) -> None:
    first, second, third = [str(one["id"]) for one in orjson.loads(sameas("rejects", "list", "--json"))]
    body = tmp_path / "body.json"
    body.write_bytes(orjson.dumps({"attributes": {"email": "ben@web.de"}}))

    with pytest.raises(RejectBehind):
        sameas("rejects", "replay", second, "--file", str(body))
    again = sameas("rejects", "replay", "--all", code=1)
    mended = sameas("rejects", "replay", first, "--file", str(body))
    discarded = sameas("rejects", "discard", second, third, "--yes")

    assert again.count("refused again, attributes_invalid") == 1
    assert "reject_behind" in again
    assert mended == f"{first}: applied\n"
    assert discarded == "2 discarded\n"
    assert "live" in sameas("lookup", "crm/2")
    assert orjson.loads(sameas("rejects", "list", "--json")) == []
    closed = orjson.loads(sameas("rejects", "list", "--json", "--state", "all"))
    assert [one["state"] for one in closed] == ["replayed", "discarded", "discarded"]
    assert "message" not in orjson.loads(sameas("rejects", "show", first))
    with pytest.raises(RejectClosed):
        sameas("rejects", "discard", first, "--yes")


def test_a_mended_body_is_read_from_standard_input_and_has_to_be_an_object(taken: Run) -> None:
    reject = str(orjson.loads(sameas("rejects", "list", "--json"))[0]["id"])

    for text in ("{", "[]"):
        with pytest.raises(RejectUnmendable):
            sameas("rejects", "replay", reject, "--file", "-", body=text)
    done = sameas("rejects", "replay", reject, "--file", "-", body='{"attributes": {"email": "x@web.de"}}')

    assert done == f"{reject}: applied\n"


def test_a_topic_is_taken_again_from_its_beginning_and_nothing_changes(data_dir: Path, taken: Run) -> None:
    before = sameas("lookup", "crm/1", "crm/3"), sameas("rejects", "list", "--json")

    assert sameas("worker", "reposition", taken.topic, "--earliest").endswith("1 partition repositioned\n")
    with worker(data_dir, taken.stream):
        wait_until(lambda: consumed() == 10)

    [state] = orjson.loads(sameas("worker", "status", "--json"))
    assert (state["applied"], state["duplicate"], state["rejected"], state["next_offset"]) == (2, 2, 6, 5)
    assert (sameas("lookup", "crm/1", "crm/3"), sameas("rejects", "list", "--json")) == before


def test_what_is_not_there_is_said_so(data_dir: Path) -> None:
    with pytest.raises(PartitionUnknown):
        sameas("worker", "reposition", "sameas.records.crm", "--offset", "5")
    with pytest.raises(RejectUnknown):
        sameas("rejects", "show", "1")
    with pytest.raises(SettingsInvalid):
        sameas("worker")
    for wrong in (("worker", "reposition", "t"), ("rejects", "replay"), ("rejects", "discard")):
        sameas(*wrong, code=2)
    sameas("rejects", "list", "--state", "gone", code=2)
    sameas("rejects", "replay", "--all", "--file", "-", code=2)
    assert orjson.loads(sameas("worker", "status", "--json")) == []
