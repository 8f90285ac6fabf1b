"""A snapshot withdraws what it lacks, a repeated file changes nothing, and versions hold throughout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from identity.bulk.load import load_records
from identity.bulk.preparing import RowError
from identity.bulk.request import LoadReport, LoadRequest
from identity.errors import SourceRetired, SourceUnknown, WithdrawalsRefused
from identity.model import KeyStatus, RecordRef
from identity.service import Identity
from service.clock import CidSource
from streams.statements import FileStatements
from tests.promises.world import Clock, make_identity

HEADER = "key,email,birth_place,version,effective_at,withdrawn"
_clock = Clock()


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    identity = make_identity(None, tmp_path, clock=_clock)
    yield identity
    identity.close()


class Files:
    """Writes files and loads them; `errors` are the rows refused last."""

    def __init__(self, identity: Identity, folder: Path) -> None:
        self.identity = identity
        self.folder = folder
        self.errors: list[RowError] = []
        self.count = 0

    def load(self, rows: Sequence[str], *, source: str = "crm", **options: object) -> LoadReport:
        self.count += 1
        self.errors = []
        path = self.folder / f"{self.count}.csv"
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        load_id = f"load-{self.count}"
        request = LoadRequest(
            source,
            FileStatements(str(path), "test", _clock(), load_id),
            load_id,
            "test",
            on_error=self.errors.append,
            **options,  # type: ignore[arg-type]
        )
        return load_records(self.identity, request, clock=_clock, new_cid=CidSource())

    def status(self, key: str) -> KeyStatus:
        return self.identity.look_up([RecordRef("crm", key)]).rows[0][1]


@pytest.fixture
def files(identity: Identity, tmp_path: Path) -> Files:
    return Files(identity, tmp_path)


def people(*numbers: int, version: str = "") -> list[str]:
    return [f"{number},mail{number}@web.de,,{version},," for number in numbers]


def count(identity: Identity, table: str) -> int:
    with identity.store.read() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_the_same_file_again_says_nothing(identity: Identity, files: Files) -> None:
    first = files.load(people(*range(30)))
    events, versions = count(identity, "event"), count(identity, "record_version")

    second = files.load(people(*range(30)), snapshot=True)

    assert first.outcomes == {"issued": 30}
    assert second.outcomes == {"unchanged": 30}
    assert (count(identity, "event"), count(identity, "record_version")) == (events, versions)


def test_a_snapshot_withdraws_what_it_lacks(files: Files) -> None:
    files.load(people(*range(40)))

    report = files.load(people(*range(1, 40)), snapshot=True)

    assert report.outcomes == {"unchanged": 39, "withdrawn": 1}
    assert [files.status(key) for key in ("0", "1")] == [KeyStatus.WITHDRAWN, KeyStatus.LIVE]


def test_a_snapshot_that_lacks_too_much_is_refused_before_anything_is_stored(files: Files) -> None:
    files.load(people(*range(40)))

    with pytest.raises(WithdrawalsRefused, match=r"lacks 3 of 40 live records of source crm, more than 5%"):
        files.load(people(*range(3, 50)), snapshot=True)

    assert files.status("45") is KeyStatus.UNKNOWN
    assert files.status("0") is KeyStatus.LIVE
    report = files.load(people(*range(3, 50)), snapshot=True, withdraw_max=0.1)
    assert report.outcomes == {"unchanged": 37, "issued": 10, "withdrawn": 3}


def test_other_sources_are_none_of_a_snapshots_business(identity: Identity, files: Files) -> None:
    files.load(people(*range(40)))
    files.load(people(*range(40)), source="one")

    files.load(people(*range(1, 40)), source="one", snapshot=True)

    assert files.status("0") is KeyStatus.LIVE


def test_a_record_that_reappears_with_its_old_version_is_live_again(files: Files) -> None:
    files.load(people(*range(40), version="7"))
    before = files.identity.look_up([RecordRef("crm", "0")]).rows[0][0]
    files.load(people(*range(1, 40), version="7"), snapshot=True)
    assert files.status("0") is KeyStatus.WITHDRAWN

    report = files.load(people(*range(40), version="7"), snapshot=True)

    assert report.outcomes == {"unchanged": 39, "linked": 1}
    assert files.identity.look_up([RecordRef("crm", "0")]).rows[0] == (before, KeyStatus.LIVE)


def test_a_refused_row_keeps_its_record(files: Files) -> None:
    files.load(people(*range(40)))

    report = files.load([*people(*range(1, 40)), "0,mail0@web.de,,x,,"], snapshot=True)

    assert report.rejected == 1
    assert files.status("0") is KeyStatus.LIVE


def test_nothing_is_withdrawn_where_a_row_has_no_readable_key(files: Files) -> None:
    files.load(people(*range(40)))

    report = files.load([*people(*range(1, 40)), ',"open quote'], snapshot=True)

    assert (report.rejected, report.withdrawals_withheld) == (1, 1)
    assert [(row, code) for row, code, _ in files.errors] == [(41, "row_malformed")]
    assert files.status("0") is KeyStatus.LIVE


def test_a_greater_time_of_effect_is_remembered_though_nothing_else_changed(files: Files) -> None:
    files.load(["1,a@web.de,,,2023-01-01,"])
    files.load(["1,a@web.de,,,2023-03-01,"])

    report = files.load(["1,b@web.de,,,2023-02-01,"])

    assert report.outcomes == {"stale": 1}


def test_rows_of_one_key_are_taken_in_file_order(files: Files) -> None:
    report = files.load(
        ["1,a@web.de,,,,", "1,b@web.de,,,,", "1,,,,,true", "2,c@web.de,,,,"], bulk_records_min=1
    )

    assert report.outcomes == {"issued": 2, "updated": 1, "withdrawn": 1}
    assert [files.status(key) for key in ("1", "2")] == [KeyStatus.WITHDRAWN, KeyStatus.LIVE]


def test_a_source_that_is_unknown_or_retired_takes_no_file(identity: Identity, files: Files) -> None:
    identity.retire_source("one", author="test")

    with pytest.raises(SourceUnknown):
        files.load(people(1), source="erp")
    with pytest.raises(SourceRetired):
        files.load(people(1), source="one")


def test_an_empty_file_is_an_empty_load(files: Files) -> None:
    assert files.load([]).rows == 0
