"""The example of approaches 1 and 2 shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.transition.story import play


@pytest.mark.slow
def test_looking_up_costs_one_a_record_night_and_consumer_or_one_a_record_and_night(tmp_path: Path) -> None:
    play(tmp_path, records=600)
