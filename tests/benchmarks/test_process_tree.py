"""Tests of `benchmarks.process_tree`."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.process_tree import PeakMemory, list_tree, read_resident_bytes

__all__: list[str] = []


def test_a_child_is_part_of_the_tree_and_its_memory_of_the_peak() -> None:
    program = "import sys; block = bytearray(64 << 20); print('ready', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()

    tree = list_tree(os.getpid())
    with PeakMemory(child.pid) as memory:
        pass
    child.communicate()

    assert child.pid in tree
    assert memory.peak_bytes > 64 << 20


def test_a_process_that_is_gone_holds_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert read_resident_bytes(child.pid) == 0
