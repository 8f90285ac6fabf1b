"""What every example stands on: a promise that does not hold ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.rig import CommandFailed, Sameas, promise, run_story


def test_a_broken_promise_ends_the_example_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def story() -> None:
        promise("two rows have one CID", holds=True)
        promise("no row lacks its CID", holds=False, found=3)

    status = run_story(story)

    said = capsys.readouterr()
    assert status == 1
    assert said.out == "  ✓ two rows have one CID\n"
    assert said.err == "  ✗ no row lacks its CID; found: 3\n"


@pytest.mark.slow
def test_a_command_that_is_refused_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="source get crm ended with 1"):
        Sameas(tmp_path)("source", "get", "crm")
