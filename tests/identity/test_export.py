"""Exports show one state of the store, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from identity import export
from identity.errors import ExportUnwritable
from identity.export import export_cids, export_crosswalk, export_history
from identity.model import Cid, Instant, RecordAnswer, RecordRef, Verdict
from identity.service import Identity
from tests.promises.world import State, World

ANN, BEN = {"email": ("ann",)}, {"email": ("ben",)}


@pytest.fixture
def world(identity: Identity) -> World:
    return World(identity)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.parquet"


def tell(
    world: World, key: str, statement: Mapping[str, tuple[str, ...]] | None, **more: Any
) -> RecordAnswer:
    answer = world.tell(State(("crm", key), dict(statement) if statement is not None else None, **more))[0]
    assert isinstance(answer, RecordAnswer)
    return answer


def rows(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def when(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant // 1_000_000, UTC).replace(microsecond=instant % 1_000_000)


def test_the_crosswalk_holds_every_live_key_in_byte_order(world: World, out: Path) -> None:
    told = {key: tell(world, key, {"email": (f"mail{at}",)}) for at, key in enumerate(("b", "B", "a", "é"))}
    tell(world, "gone", ANN)
    tell(world, "gone", None)

    assert export_crosswalk(world.identity.store, out, cursor=world.identity.feed_end()) == 4

    assert rows(out) == [
        ("crm", key, told[key].cid, when(told[key].known_at), 1) for key in ("B", "a", "b", "é")
    ]
    assert pq.read_schema(out).names == ["source", "key", "cid", "system_from", "version"]


def test_history_has_both_clocks_and_no_end_where_there_is_none(world: World, out: Path) -> None:
    first = tell(world, "1", ANN, effective_at=1_600_000_000_000_000)
    last = tell(world, "1", None, effective_at=1_650_000_000_000_000)

    assert export_history(world.identity.store, out) == 3

    began, ended, known = when(1_600_000_000_000_000), when(1_650_000_000_000_000), when(last.known_at)
    assert sorted(rows(out), key=str) == sorted(
        [
            ("crm", "1", first.cid, "live", began, None, when(first.known_at), known),
            ("crm", "1", first.cid, "live", began, ended, known, None),
            ("crm", "1", first.cid, "withdrawn", ended, None, known, None),
        ],
        key=str,
    )


def test_every_cid_is_followed_to_what_it_stands_for_now(world: World, out: Path) -> None:
    one, two = (tell(world, key, statement).cid for key, statement in (("1", ANN), ("2", BEN)))
    refs = RecordRef("crm", "1"), RecordRef("crm", "2")
    judgement = world.identity.judge(Verdict.SAME, refs[:1], refs[1:], reason="r", author="s")

    merged = export_and_map(world, out)
    world.identity.withdraw_judgement(judgement, author="s")
    parted = export_and_map(world, out)
    tell(world, "1", None)
    withdrawn = export_and_map(world, out)
    tell(world, "1", ANN)
    revived = export_and_map(world, out)

    assert merged == {one: ("live", [one], True), two: ("merged", [one], False)}
    assert parted == {one: ("live", [one], True), two: ("live", [two], True)}
    assert withdrawn == {one: ("withdrawn", [None], False), two: ("live", [two], True)}
    assert revived == parted


def test_a_split_cid_has_a_row_for_each_successor(world: World, out: Path) -> None:
    gone = tell(world, "1", ANN).cid
    tell(world, "2", ANN)
    parts = {tell(world, key, BEN).cid for key in "34"} | {
        tell(world, key, {"email": ("cora",)}).cid for key in "56"
    }

    world.tell(State(("crm", "1"), BEN), State(("crm", "2"), {"email": ("cora",)}))

    found = export_and_map(world, out)
    assert found.pop(gone or Cid(""))[0] == "split"
    assert {cid: one[1] for cid, one in found.items()} == {cid: [cid] for cid in parts}
    assert {row[2] for row in rows(out) if row[0] == gone} == parts


def export_and_map(world: World, out: Path) -> dict[Cid, tuple[str, list[Cid | None], bool]]:
    """Return status, what it stands for, and whether it has no end, by CID."""
    export_cids(world.identity.store, out)
    found: dict[Cid, tuple[str, list[Cid | None], bool]] = {}
    for cid, status, current, system_from, system_to in rows(out):
        assert system_to is None or system_from < system_to
        found.setdefault(cid, (status, [], system_to is None))[1].append(current)
    return found


def test_a_file_is_written_batch_by_batch(world: World, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_BATCH", 2)
    for number in range(7):
        tell(world, str(number), {"email": (f"mail{number}",)})

    assert export_crosswalk(world.identity.store, out, cursor=world.identity.feed_end()) == 7

    assert pq.read_metadata(out).num_row_groups == 4
    assert [row[1] for row in rows(out)] == list("0123456")
    assert export_cids(world.identity.store, out) == 7


def test_an_empty_store_gives_an_empty_file(world: World, out: Path) -> None:
    assert export_crosswalk(world.identity.store, out, cursor=world.identity.feed_end()) == 0
    assert export_history(world.identity.store, out) == 0
    assert export_cids(world.identity.store, out) == 0

    assert rows(out) == []


def test_what_is_interrupted_leaves_the_file_that_was_there(
    world: World, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(world, "1", ANN)
    export_crosswalk(world.identity.store, out, cursor=world.identity.feed_end())
    before = out.read_bytes()

    def broken(*_arguments: object) -> Iterator[tuple[Any, ...]]:
        yield "crm", "1", "cid", 0
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "_stream", broken)
    with pytest.raises(KeyboardInterrupt):
        export_crosswalk(world.identity.store, out, cursor=world.identity.feed_end())

    assert out.read_bytes() == before
    assert list(out.parent.glob("out*")) == [out]


def test_a_place_that_cannot_be_written_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(ExportUnwritable):
        export_crosswalk(world.identity.store, tmp_path / "no such folder" / "out.parquet", cursor="0.0")
