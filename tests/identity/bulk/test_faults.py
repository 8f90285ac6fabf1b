"""What is wrong with a file, a row or the disk is said with its code; all else is kept, nothing is half-written."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, event, text

from identity.bulk.load import load_records
from identity.bulk.preparing import RowError
from identity.bulk.request import LoadReport, LoadRequest
from identity.errors import StoreFull
from identity.service import Identity
from matching.errors import SameasError
from service.clock import CidSource
from streams.statements import FileStatements
from tests.identity.bulk.loads import Loads, draw_states, settle
from tests.promises.audit import assert_sound
from tests.promises.world import Clock, World, make_identity, open_world

_clock = Clock()


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    identity = make_identity(None, tmp_path, clock=_clock)
    yield identity
    identity.close()


def load(identity: Identity, path: Path, errors: list[RowError], *, processes: int = 1) -> LoadReport:
    statements = FileStatements(str(path), "test", _clock(), path.name)
    request = LoadRequest("crm", statements, path.name, "test", processes=processes, on_error=errors.append)
    return load_records(identity, request, clock=_clock, new_cid=CidSource())


def count(identity: Identity, table: str) -> int:
    with identity.store.read() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_unreadable"),
        (b"id,email\n1,a@web.de\n", "column_missing"),
        (b"key,town\n1,bonn\n", "column_missing"),
        (b"key,em\xe9il\n1,a@web.de\n", "encoding_invalid"),
        (b"\xff\xfek\0e\0y\0", "encoding_invalid"),
        (b"key,email,email\n1,a@web.de,b\n", "header_invalid"),
        (b"PAR1 and no more", "file_unreadable"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    identity: Identity, tmp_path: Path, content: bytes, code: str
) -> None:
    path = tmp_path / ("file.parquet" if content.startswith(b"PAR1") else "file.csv")
    path.write_bytes(content)

    with pytest.raises(SameasError) as refused:
        load(identity, path, [])

    assert refused.value.code == code
    assert count(identity, "record") == 0
    assert count(identity, "record_load") == 0


def test_half_a_parquet_file_stores_nothing(identity: Identity, tmp_path: Path) -> None:
    whole, half, torn = (tmp_path / f"{name}.parquet" for name in ("whole", "half", "torn"))
    keys = [str(number) for number in range(5_000)]
    pq.write_table(
        pa.table({"key": keys, "email": [f"m{key}@web.de" for key in keys]}), whole, row_group_size=500
    )
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    torn.write_bytes(content[:20_000] + bytes(20_000) + content[40_000:])

    for path in (half, torn):
        with pytest.raises(SameasError) as refused:
            load(identity, path, [])
        assert refused.value.code == "file_unreadable"
    assert count(identity, "record") == 0


def test_one_bad_row_among_many_is_one_bad_row(identity: Identity, tmp_path: Path) -> None:
    rows = [f"{number},mail{number}@web.de,," for number in range(300)]
    rows[100] = ",nobody@web.de,,"
    rows[150] = "150,mail150@web.de,soon,"
    rows[200] = "200,mail200@web.de,,\udce9"
    rows[250] = "250,mail250@web.de"
    path = tmp_path / "people.csv"
    path.write_bytes(
        ("\ufeffkey,email,version,birth_place\n" + "\n".join(rows)).encode(errors="surrogateescape")
    )
    errors: list[RowError] = []

    report = load(identity, path, errors)

    assert [(row, code) for row, code, _ in errors] == [
        (102, "key_missing"),
        (152, "row_malformed"),
        (202, "encoding_invalid"),
        (252, "row_malformed"),
    ]
    assert (report.rows, report.rejected, report.outcomes) == (300, 4, {"issued": 296})
    assert not any("mail" in detail for _, _, detail in errors)


def test_a_full_disk_is_said_and_the_load_goes_on_when_there_is_room(tmp_path: Path) -> None:
    chance = random.Random(3)
    with pytest.MonkeyPatch.context() as patch, open_world(None, tmp_path) as world:
        loads = Loads(patch)
        states = draw_states(chance, "crm", 60)
        loads.load(world, "crm", states[:10])
        settle(world)
        pages = _pages(world)
        refusals, stored = 0, []
        for room in (2, 4, 8, 16, 32, 64):
            _limit_pages(world, pages + room)
            try:
                loads.load(world, "crm", states)
            except StoreFull:
                refusals += 1
            stored.append(count(world.identity, "record"))
        _limit_pages(world, 2**30)

        loads.load(world, "crm", states)
        settle(world)

        assert refusals > 2
        assert stored == sorted(stored)
        assert len(set(stored)) > 2
        world.check()
        assert_sound(world.identity)


def _pages(world: World) -> int:
    with world.identity.store.read() as connection:
        return int(connection.scalar(text("PRAGMA page_count")) or 0)


def _limit_pages(world: World, pages: int) -> None:
    engine: Engine = world.identity.store._writers
    engine.dispose()

    @event.listens_for(engine, "connect")
    def limit(connection: object, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]
