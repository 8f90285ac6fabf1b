"""`sameas watch` takes real files from a real folder, once each, also when it is killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from identity.bulk import load as bulk_load
from identity.bulk.request import LoadReport
from identity.errors import StoreFull, StoreUnreachable
from identity.model import RecordAnswer, RecordCommand, RecordRef
from identity.service import Identity
from matching.errors import SameasError
from matching.standardise import clean_attributes
from service.watching import WatchPlan, WatchProgram
from streams.drop_folder import DropFolder
from streams.drop_load import DropLoader
from streams.refused import RejectBook, RejectFilter
from tests.promises.audit import assert_sound
from tests.promises.world import make_identity
from tests.service.server import COMMAND, environment
from tests.services.kafka import await_true

pytestmark = pytest.mark.slow

SPOTS = ("in the load", "before the rejects", "before the move", "after the move")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drops").mkdir()
    return tmp_path / "drops"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def sameas(data_dir: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(data_dir), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def watching(data_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command until the block ends, then stop it by SIGTERM."""
    program = subprocess.Popen(
        [*COMMAND, "watch", *arguments],
        env=environment(data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("sameas watches")
        yield program
        program.terminate()
        _, log = program.communicate(timeout=60)
        assert program.returncode == 0, log
        assert "canary" not in log
    finally:
        program.kill()
        program.communicate()


def names_in(folder: Path, kind: str) -> list[str]:
    # The watcher makes its folders when it starts.
    return sorted(entry.name.split("-", 2)[2] for entry in (folder / kind).glob("*"))


def test_files_of_every_kind_are_taken_and_put_aside(tmp_path: Path, folder: Path) -> None:
    data_dir = tmp_path / "data"
    sameas(data_dir, "source", "put", "erp", "--domain", "sales", "--key", "id")
    (folder / "first.csv").write_text("id,email\ncanary1,ann@web.de\n,canary@web.de\n")
    (folder / "broken.parquet").write_bytes(b"PAR1canary")
    (folder / "half.csv.part").write_text("id,em")

    with watching(data_dir, "erp", str(folder), "--every=0.1", "--stable=0.2"):
        await_true(lambda: names_in(folder, "done") == ["first.csv"], "the file is done")
        await_true(lambda: "broken.parquet" in names_in(folder, "failed"), "the broken file is put aside")
        # Renamed into place: a file that is written here for longer than it has to stay the same is taken half.
        (folder / "first.csv.tmp").write_text("id,email\ncanary2,ann@web.de\n")
        (folder / "first.csv.tmp").rename(folder / "first.csv")
        (folder / "first.csv.done").touch()
        await_true(lambda: len(names_in(folder, "done")) == 2, "another file of that name is another drop")
        (folder / "half.csv.part").write_text("id,email\ncanary3,ann@web.de\n")
        (folder / "half.csv.part").rename(folder / "half.csv")
        await_true(lambda: len(names_in(folder, "done")) == 3, "what is renamed into place is taken")

    found = orjson.loads(sameas(data_dir, "lookup", *(f"erp/canary{number}" for number in "123"), "--json"))
    assert len({one["cid"] for one in found["cids"]}) == 1
    rejects = orjson.loads(sameas(data_dir, "rejects", "list", "--json"))
    assert {(one["origin"]["name"].split("-", 2)[2], one["origin"]["offset"]) for one in rejects} == {
        ("first.csv", 3),
        ("broken.parquet", 0),
    }
    assert all("canary" not in one["detail"] for one in rejects)
    assert list((folder / "taking").iterdir()) == []


def ref(source: str, key: str) -> RecordRef:
    return RecordRef(source, key)


def command(source: str, key: str, email: str) -> RecordCommand:
    return RecordCommand(RecordRef(source, key), clean_attributes({"email": email}), author="test")


def run_until_done(program: WatchProgram, folder: Path, count: int) -> None:
    """Run a watcher in a thread until so many files are done, then stop it."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(program.run)
        try:
            await_true(lambda: ended.done() or len(list(folder.glob("done/*"))) == count, "all is done")
        finally:
            program.stop()
        ended.result()


def watch_until_killed(url: str | None, directory: Path, folder: Path, spot: str) -> None:
    """Watch in this process, and kill it at the spot."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    patch = pytest.MonkeyPatch()
    if spot == "in the load":
        patch.setattr(bulk_load, "_POSTGRES_BATCH", 3)
        patch.setattr(bulk_load, "_SQLITE_BATCH", 3)
        resolve, calls = Identity.resolve, iter(range(9))

        def resolve_and_die(self: Identity, commands: object) -> object:
            answers = resolve(self, commands)  # type: ignore[arg-type]
            if next(calls) == 1:
                die()
            return answers

        patch.setattr(Identity, "resolve", resolve_and_die)
    elif spot == "before the rejects":
        patch.setattr(RejectBook, "add", lambda *_, **__: die())
    elif spot == "before the move":
        patch.setattr(DropFolder, "finish", lambda *_, **__: die())
    else:
        finish = DropFolder.finish

        def finish_and_die(self: DropFolder, drop: object) -> None:
            finish(self, drop)  # type: ignore[arg-type]
            die()

        patch.setattr(DropFolder, "finish", finish_and_die)
    identity = make_identity(url, directory, first_cid=10**12)
    WatchProgram(identity, WatchPlan("erp", folder, every_s=0.05, stable_s=0.05)).run()


@pytest.mark.parametrize("spot", SPOTS)
def test_a_watcher_that_is_killed_anywhere_takes_each_row_once_and_undoes_nothing(
    spot: str, url: str | None, tmp_path: Path, folder: Path
) -> None:
    identity = make_identity(url, tmp_path)
    identity.put_source("erp", {"domain": "sales", "key": "id"}, author="test")
    rows = "".join(f"{number},u{number}@web.de\n" for number in range(10))
    (folder / "a.csv").write_text(f"id,email\n{rows},nokey@web.de\n")
    (folder / "a.csv.done").touch()

    process = multiprocessing.get_context("spawn").Process(
        target=watch_until_killed, args=(url, tmp_path, folder, spot)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    # Neither statement has a version: the file's came first, and must not come again.
    identity.resolve([command("erp", "0", "later@web.de")])
    again = WatchProgram(
        make_identity(url, tmp_path, first_cid=2 * 10**12), WatchPlan("erp", folder, every_s=0.05)
    )
    (folder / "b.csv").write_text("id,email\n10,later@web.de\n")
    (folder / "b.csv.done").touch()
    run_until_done(again, folder, 2)

    with identity.store.read() as connection:
        versions = connection.execute(
            text("SELECT r.key, count(*) FROM record_version v JOIN record r ON r.rid = v.rid GROUP BY r.key")
        ).all()
    assert dict(versions) == {"0": 2, **{str(number): 1 for number in range(1, 11)}}
    [reject] = RejectBook(identity.store).list_rejects(RejectFilter())
    assert reject.origin_place == 12
    [(first, _), (last, _)] = identity.look_up([ref("erp", "0"), ref("erp", "10")]).rows
    assert first == last
    assert names_in(folder, "done") == ["a.csv", "b.csv"]
    assert_sound(identity)
    identity.close()


def test_a_stop_within_a_file_leaves_it_claimed_and_the_next_start_goes_on(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_load, "_SQLITE_BATCH", 2)
    identity = make_identity(None, tmp_path)
    identity.put_source("erp", {"domain": "sales", "key": "id"}, author="test")
    (folder / "a.csv").write_text("id,email\n" + "".join(f"{n},u{n}@web.de\n" for n in range(10)))
    (folder / "a.csv.done").touch()
    plan = WatchPlan("erp", folder, every_s=0.05)
    first = WatchProgram(make_identity(None, tmp_path, first_cid=10**12), plan)
    resolve = Identity.resolve

    def resolve_and_stop(
        self: Identity, commands: Sequence[RecordCommand]
    ) -> list[RecordAnswer | SameasError]:
        first.stop()
        return resolve(self, commands)

    with monkeypatch.context() as patch:
        patch.setattr(Identity, "resolve", resolve_and_stop)
        first.run()
    assert names_in(folder, "taking") == ["a.csv"]
    assert len(identity.changes(None, limit=100)[0]) == 2

    run_until_done(WatchProgram(make_identity(None, tmp_path, first_cid=2 * 10**12), plan), folder, 1)

    assert len(identity.changes(None, limit=100)[0]) == 10
    identity.close()


def test_a_store_that_is_away_is_waited_for_and_the_file_is_not_put_aside(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.watching._PAUSE_S_MIN", 0.01)
    identity = make_identity(None, tmp_path)
    identity.put_source("erp", {"domain": "sales", "key": "id"}, author="test")
    (folder / "a.csv").write_text("id,email\n1,ann@web.de\n")
    (folder / "a.csv.done").touch()
    failures = [StoreUnreachable("away"), StoreFull("full")]
    load = DropLoader.load

    def fail_first(self: DropLoader, path: Path, name: str, *, is_again: bool) -> LoadReport:
        if failures:
            raise failures.pop(0)
        return load(self, path, name, is_again=is_again)

    monkeypatch.setattr(DropLoader, "load", fail_first)
    program = WatchProgram(identity, WatchPlan("erp", folder, every_s=0.05))
    run_until_done(program, folder, 1)

    assert names_in(folder, "failed") == []
    value = program.registry.get_sample_value
    assert value("sameas_watch_files_total", {"result": "done"}) == 1
    assert value("sameas_watch_retries_total", {"code": "store_full"}) == 1
