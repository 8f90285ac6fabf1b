"""Dropped files become records and rejects, once, also when a load is interrupted; on both stores."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from identity.bulk.request import LoadReport
from identity.errors import WithdrawalsRefused
from identity.model import Cid, KeyStatus, RecordRef
from identity.service import Identity
from streams.drop_load import DropLoader
from streams.errors import FileUnreadable, TooManyRefused
from streams.fate import Fate
from streams.refused import RejectBook, RejectFilter
from streams.replay import Replayer
from tests.identity.stores import find_cid
from tests.promises.audit import assert_sound
from tests.promises.world import Clock

CONTRACT: dict[str, object] = {
    "domain": "sales",
    "key": "id",
    "mapping": {"email": "mail"},
}


class Interrupted(Exception):
    pass


def loader(
    identity: Identity,
    contract: Mapping[str, object] = CONTRACT,
    *,
    snapshot: bool = False,
    on_progress: Callable[[], None] = lambda: None,
) -> DropLoader:
    identity.put_source("erp", contract, author="test")
    numbers, ids = itertools.count(10**12), itertools.count(1)

    def new_cid(now: int) -> Cid:
        import uuid

        return Cid(str(uuid.UUID(int=((now // 1000) << 80) | (7 << 76) | (2 << 62) | next(numbers))))

    return DropLoader(
        identity,
        "erp",
        snapshot=snapshot,
        withdraw_max=0.5,
        clock=Clock(),
        new_cid=new_cid,
        new_load_id=lambda: f"load-{next(ids)}",
        on_progress=on_progress,
    )


def drop(directory: Path, text: str, name: str = "a.csv") -> Path:
    file = directory / name
    file.write_text(text)
    return file


def open_rejects(identity: Identity) -> list[tuple[str, str, int, str]]:
    found = RejectBook(identity.store).list_rejects(RejectFilter())
    return [(one.origin, one.origin_name, one.origin_place, one.code) for one in found]


def version_count(identity: Identity) -> int:
    return len(identity.changes(None, limit=1_000)[0])


def load(one: DropLoader, file: Path, *, is_again: bool = False) -> LoadReport:
    return one.load(file, f"t-{file.name}", is_again=is_again)


def test_refused_rows_stand_among_the_rejects_with_file_and_line_and_can_be_replayed(
    identity: Identity, tmp_path: Path
) -> None:
    text = 'id,mail,since\n1,ann@web.de,\n,nokey@web.de,\n3,c@web.de,x\n4,d@web.de,,2,\n5,"x\n'
    one = loader(identity, {**CONTRACT, "mapping": {"email": "mail", "effective_at": "since"}})

    report = load(one, drop(tmp_path, text))

    assert (report.rows, report.rejected) == (5, 4)
    assert open_rejects(identity) == [
        ("file", "t-a.csv", 3, "key_missing"),
        ("file", "t-a.csv", 4, "statement_invalid"),
        ("file", "t-a.csv", 5, "row_malformed"),
        ("file", "t-a.csv", 6, "row_malformed"),
    ]
    identity.put_source("erp", {"domain": "sales", "key": "id", "mapping": {"email": "mail"}}, author="test")
    replayer = Replayer(identity, author="test", clock=Clock())
    done = [replayer.replay(reject) for reject in RejectBook(identity.store).list_rejects(RejectFilter())]
    assert [one.fate for one in done] == [None, Fate.APPLIED, None, None]
    assert [one.refusal.code for one in done if one.refusal] == [
        "key_missing",
        "row_malformed",
        "row_malformed",
    ]
    assert find_cid(identity, "3", "erp") != find_cid(identity, "1", "erp")
    mended = replayer.replay(
        RejectBook(identity.store).list_rejects(RejectFilter())[1],
        body={"key": "4", "attributes": {"email": "ann@web.de"}},
    )
    assert mended.fate is Fate.APPLIED
    assert find_cid(identity, "4", "erp") == find_cid(identity, "1", "erp")
    assert_sound(identity)


def test_a_file_that_is_loaded_twice_changes_nothing_and_its_rejects_are_the_same(
    identity: Identity, tmp_path: Path
) -> None:
    one, file = loader(identity), drop(tmp_path, "id,mail\n1,ann@web.de\n,x@web.de\n")
    load(one, file)
    before = version_count(identity), open_rejects(identity)

    load(one, file, is_again=True)

    assert (version_count(identity), open_rejects(identity)) == before


def test_the_same_line_of_another_drop_is_another_reject(identity: Identity, tmp_path: Path) -> None:
    one, file = loader(identity), drop(tmp_path, "id,mail\n,x@web.de\n")

    one.load(file, "t1-a.csv", is_again=False)
    one.load(file, "t2-a.csv", is_again=False)

    assert [name for _, name, _, _ in open_rejects(identity)] == ["t1-a.csv", "t2-a.csv"]


def test_what_was_stated_since_an_interrupted_load_is_not_undone_by_going_on_with_it(
    identity: Identity, tmp_path: Path
) -> None:
    """Neither statement has a version or a time: only arrival tells, and the file's came first."""
    file = drop(tmp_path, "id,mail\n1,old@web.de\n2,two@web.de\n1,ann@web.de\n3,three@web.de\n")
    one = loader(identity)
    load(one, file)
    between = drop(tmp_path, "id,mail\n1,new@web.de\n", "b.csv")
    load(one, between)
    told = version_count(identity)

    report = load(one, file, is_again=True)

    assert report.rows == 0
    assert version_count(identity) == told
    load(one, drop(tmp_path, "id,mail\n7,new@web.de\n", "c.csv"))
    assert find_cid(identity, "1", "erp") == find_cid(identity, "7", "erp")


def test_a_load_that_ends_in_the_middle_is_gone_on_with(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("identity.bulk.load._POSTGRES_BATCH", 2)
    monkeypatch.setattr("identity.bulk.load._SQLITE_BATCH", 2)
    file = drop(tmp_path, "id,mail\n" + "".join(f"{n},u{n}@web.de\n" for n in range(10)))
    calls = itertools.count(1)

    def stop() -> None:
        if next(calls) == 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        load(loader(identity, on_progress=stop), file)
    stored = version_count(identity)
    report = load(loader(identity), file, is_again=True)

    assert 0 < stored < 10
    assert report.rows == 10 - stored
    assert version_count(identity) == 10


def test_a_snapshot_withdraws_what_it_lacks_also_when_it_is_loaded_again(
    identity: Identity, tmp_path: Path
) -> None:
    load(loader(identity), drop(tmp_path, "id,mail\n1,a@web.de\n2,b@web.de\n", "a.csv"))
    one, file = loader(identity, snapshot=True), drop(tmp_path, "id,mail\n1,a@web.de\n3,c@web.de\n", "b.csv")

    load(one, file)
    load(one, file, is_again=True)

    found = identity.look_up([RecordRef("erp", key) for key in "123"]).rows
    assert [status for _, status in found] == [KeyStatus.LIVE, KeyStatus.WITHDRAWN, KeyStatus.LIVE]
    with pytest.raises(WithdrawalsRefused):
        load(one, drop(tmp_path, "id,mail\n9,z@web.de\n", "c.csv"))


def test_each_format_is_read_by_the_contract(identity: Identity, tmp_path: Path) -> None:
    one = loader(identity)
    pq.write_table(pa.table({"id": [1, None], "mail": ["ann@web.de", "x"]}), tmp_path / "a.parquet")
    drop(tmp_path, '{"id": 2, "mail": "ann@web.de"}\n{"id": {}, "mail": "x"}\nno\n', "a.ndjson")
    drop(tmp_path, "id;mail\n3;ann@web.de\n", "a.csv")

    for name in ("a.parquet", "a.ndjson", "a.csv"):
        load(one, tmp_path / name)

    assert len({find_cid(identity, key, "erp") for key in "123"}) == 1
    assert [(name, line) for _, name, line, _ in open_rejects(identity)] == [
        ("t-a.parquet", 2),
        ("t-a.ndjson", 2),
        ("t-a.ndjson", 3),
    ]


def test_a_file_that_cannot_be_read_is_one_reject(identity: Identity, tmp_path: Path) -> None:
    one, file = loader(identity), drop(tmp_path, "")

    with pytest.raises(FileUnreadable) as refused:
        load(one, file)
    for _ in range(2):
        one.refuse("t-a.csv", refused.value)

    assert open_rejects(identity) == [("file", "t-a.csv", 0, "file_unreadable")]


def test_a_file_of_nothing_but_refused_rows_is_given_up(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.drop_load._REFUSED_MAX", 3)

    with pytest.raises(TooManyRefused):
        load(loader(identity), drop(tmp_path, "id,mail\n1,a@web.de\n" + ",x\n" * 4))

    assert version_count(identity) == 0
