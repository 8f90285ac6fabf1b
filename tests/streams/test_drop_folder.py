"""A dropped file is taken when it is complete, and stands in exactly one place whatever happens."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.drop_folder import DropFolder
from streams.errors import FolderInUse, FolderUnusable


def open_folder(path: Path, *, needs_marker: bool = False) -> DropFolder:
    numbers = itertools.count(1)
    return DropFolder(
        path,
        stable_s=10,
        needs_marker=needs_marker,
        new_ticket=lambda: f"20260101T000000.{next(numbers):06}Z-abcdef",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DropFolder]:
    with open_folder(tmp_path) as folder:
        yield folder


def names_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_file_that_still_grows_is_not_taken_until_it_has_stayed_the_same(
    folder: DropFolder, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id\n1\n")

    assert folder.claim(0) is None
    file.write_text("id\n1\n2\n")
    assert folder.claim(9) is None
    assert folder.claim(18) is None
    claimed = folder.claim(19)

    assert claimed is not None
    assert claimed.path.read_text() == "id\n1\n2\n"
    assert claimed.name.endswith("-a.csv")
    assert not file.exists()


def test_a_file_seen_for_the_first_time_is_never_taken_however_old_it_is(
    folder: DropFolder, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("x")
    os.utime(tmp_path / "a.csv", (1, 1))

    assert folder.claim(1_000) is None
    assert folder.claim(1_010) is not None


def test_a_marker_completes_its_file_at_once_and_not_the_next_one_of_that_name(
    folder: DropFolder, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("first")
    (tmp_path / "a.csv.done").touch()

    claimed = folder.claim(0)
    (tmp_path / "a.csv").write_text("seco")

    assert claimed is not None
    assert folder.claim(1) is None
    assert names_in(tmp_path / "taking") == [claimed.name]


def test_a_marker_that_comes_after_its_file_was_taken_does_not_complete_the_next_one(
    folder: DropFolder, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("first")
    folder.claim(0)
    assert folder.claim(10) is not None

    (tmp_path / "a.csv.done").touch()
    assert folder.claim(11) is None
    (tmp_path / "a.csv").write_text("seco")

    assert folder.claim(12) is None
    assert not (tmp_path / "a.csv.done").exists()


def test_where_markers_are_needed_nothing_is_taken_without(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    with open_folder(tmp_path, needs_marker=True) as folder:
        assert [folder.claim(now_s) for now_s in (0, 100, 200)] == [None] * 3
        (tmp_path / "a.csv.done").touch()
        assert folder.claim(300) is not None


def test_files_being_written_links_and_folders_are_left_alone(folder: DropFolder, tmp_path: Path) -> None:
    for name in (".a.csv", "a.csv.tmp", "a.csv.part", "a.csv.filepart", "a.csv~"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.csv").symlink_to(tmp_path / ".a.csv")
    (tmp_path / "deeper").mkdir()

    assert [folder.claim(now_s) for now_s in (0, 100)] == [None, None]
    (tmp_path / "a.csv.tmp").rename(tmp_path / "a.csv")
    assert folder.claim(200) is None
    assert folder.claim(210) is not None


def test_the_oldest_file_comes_first_and_one_name_is_as_many_drops_as_files(
    folder: DropFolder, tmp_path: Path
) -> None:
    for name, at in (("b.csv", 1), ("a.csv", 2)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (at, at))
    folder.claim(0)

    claims = [folder.claim(10), folder.claim(10)]
    (tmp_path / "b.csv").write_text("again")
    folder.claim(20)
    claims.append(folder.claim(30))

    found = [one for one in claims if one is not None]
    assert [one.path.read_text() for one in found] == ["b.csv", "a.csv", "again"]
    assert len({one.name for one in found}) == 3


def test_what_is_finished_is_moved_with_its_reason_if_it_failed(folder: DropFolder, tmp_path: Path) -> None:
    drops = []
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
        (tmp_path / f"{name}.done").touch()
        drops.append(folder.claim(0))
    first, second = drops
    assert first is not None
    assert second is not None

    folder.finish(first)
    folder.finish(second, failure={"code": "file_unreadable", "detail": "cut off"})

    assert names_in(tmp_path / "done") == [first.name]
    assert names_in(tmp_path / "failed") == [second.name, f"{second.name}.reason.json"]
    assert names_in(tmp_path / "taking") == []
    assert folder.list_claimed() == []


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_claim_that_a_crash_cut_off_is_completed(is_moved: bool, tmp_path: Path) -> None:
    ticket = "20260101T000000.000000Z-abcdef"
    with open_folder(tmp_path):
        pass
    (tmp_path / "taking" / f"{ticket}-a.csv.done").touch()
    (tmp_path / "taking" / f"{ticket}-a.csv" if is_moved else tmp_path / "a.csv").write_text("x")

    with open_folder(tmp_path) as folder:
        [drop] = folder.list_claimed()

    assert (drop.name, drop.path.read_text()) == (f"{ticket}-a.csv", "x")
    assert names_in(tmp_path / "taking") == [drop.name]


def test_one_process_at_a_time_works_on_a_folder(tmp_path: Path) -> None:
    with open_folder(tmp_path), pytest.raises(FolderInUse):
        open_folder(tmp_path).__enter__()
    with open_folder(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="nowhere"):
        open_folder(tmp_path / "nowhere").__enter__()


@pytest.mark.parametrize(
    ("name", "claimed_as"),
    [
        (b"kunden_m\xe4rz.csv", "kunden_m\\xe4rz.csv"),
        (b"x" * 240 + b".ndjson", "x" * 193 + ".ndjson"),
        ("ü".encode() * 120 + b".csv", "ü" * 98 + ".csv"),
    ],
    ids=["no UTF-8", "long", "long, of two bytes each"],
)
def test_a_name_that_cannot_be_kept_as_it_is_becomes_one_that_can(
    folder: DropFolder, tmp_path: Path, name: bytes, claimed_as: str
) -> None:
    (Path(os.fsdecode(bytes(tmp_path) + b"/" + name))).write_text("x")
    folder.claim(0)

    claimed = folder.claim(10)

    assert claimed is not None
    assert claimed.name.encode().decode().endswith(f"-{claimed_as}")
    folder.finish(claimed, failure={"code": "x", "detail": ""})
    assert len(names_in(tmp_path / "failed")) == 2


def test_a_claim_of_such_a_name_cut_off_after_its_marker_is_completed(tmp_path: Path) -> None:
    (Path(os.fsdecode(bytes(tmp_path) + b"/m\xe4rz.csv"))).write_text("x")
    with open_folder(tmp_path) as folder:
        (tmp_path / "taking" / "20260101T000000.000001Z-abcdef-m\\xe4rz.csv.done").touch()

        [drop] = folder.list_claimed()

    assert drop.path.read_text() == "x"


def test_a_directory_called_like_a_marker_is_left_alone(folder: DropFolder, tmp_path: Path) -> None:
    (tmp_path / "x.done").mkdir()

    assert folder.claim(0) is None
    assert (tmp_path / "x.done").is_dir()


def test_a_folder_that_goes_while_it_is_watched_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "drops"
    path.mkdir()
    with open_folder(path) as folder:
        path.rename(tmp_path / "elsewhere")

        with pytest.raises(FolderUnusable, match="drops"):
            folder.claim(0)
        with pytest.raises(FolderUnusable, match="drops"):
            folder.list_claimed()
