"""The queue that outgrows memory on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import SpoolFull
from service.spool import Spool


def drain(spool: Spool, bytes_max: int = 7) -> bytes:
    pieces = []
    while piece := spool.take(bytes_max):
        pieces.append(piece)
    return b"".join(pieces)


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=10, disk_bytes_max=1_000)
    pieces = [bytes([65 + number]) * 6 for number in range(8)]

    for piece in pieces:
        spool.append(piece)

    assert len(spool) == 48
    assert spool.disk_bytes == 42
    assert drain(spool) == b"".join(pieces)
    spool.close()


def test_memory_is_used_again_after_the_disk_is_drained(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=10, disk_bytes_max=1_000)
    spool.append(b"x" * 20)
    assert spool.disk_bytes == 20

    assert drain(spool) == b"x" * 20
    spool.append(b"y" * 5)

    assert spool.disk_bytes == 0
    assert drain(spool) == b"y" * 5
    spool.close()


def test_the_file_has_no_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=0, disk_bytes_max=1_000)
    spool.append(b"x" * 20)

    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_a_full_spool_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=0, disk_bytes_max=10)
    spool.append(b"x" * 10)

    with pytest.raises(SpoolFull):
        spool.append(b"y")
    spool.close()


def test_a_disk_that_takes_nothing_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "missing", memory_bytes=0, disk_bytes_max=10)

    with pytest.raises(SpoolFull):
        spool.append(b"y")


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=12), st.integers(1, 20)), max_size=40))
def test_any_mix_of_appends_and_takes_keeps_order(steps: list[bytes | int]) -> None:
    spool = Spool(Path("/tmp"), memory_bytes=16, disk_bytes_max=10_000)
    put, got = b"", b""

    for step in steps:
        if isinstance(step, bytes):
            spool.append(step)
            put += step
        else:
            got += spool.take(step)
    got += drain(spool)

    assert got == put
    assert len(spool) == 0
    spool.close()
