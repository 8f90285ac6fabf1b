"""The demonstration from start to end, as a user sees it."""

from __future__ import annotations

import io
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from service.demo.run import main, run_demo

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_demonstration_shows_everything_and_ends(tmp_path: Path) -> None:
    screen = Console(file=io.StringIO(), width=200)

    status = run_demo(is_once=True, data_dir=tmp_path / "data", record_count=1_500, console=screen)

    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert status == 0
    assert re.search(r"1,500 records .* became 1,[0-2]\d\d customers; in truth they are 1,1\d\d", shown)
    precision, recall = map(float, re.findall(r"pairwise\s+│\s+([\d.]+)\s+│\s+([\d.]+)", shown)[0])
    assert precision > 0.8
    assert recall > 0.8
    assert "B-demo-3, which names both: merged as" in shown
    assert re.search(r"is now merged -> [0-9a-f-]{36}", shown)
    assert re.search(r"Together [+-][\d.]+ bits", shown)


@pytest.mark.slow
def test_its_curl_lines_work_as_printed_and_a_signal_ends_it_in_good_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.demo.run", "--records", "300", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if line.startswith("Serving on"):
                break
        curls = [line for line in lines if line.startswith("curl ")]
        answers = [
            subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
            for line in curls
        ]
        demo.send_signal(signal.SIGTERM)
        status = demo.wait(60)

    assert status == 0
    assert len(answers) == 2
    cid = shlex.split(curls[1])[-1].rpartition("/")[2]
    assert all(cid in answer for answer in answers)


def test_a_demonstration_that_cannot_start_says_why_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("service.demo.server._COMMAND", (sys.executable, "-c", "raise SystemExit('broken')"))

    assert main(["--once", "--data-dir", str(tmp_path)]) == 1
    assert "demo_failed" in capsys.readouterr().err
