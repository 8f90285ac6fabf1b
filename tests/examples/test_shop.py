"""The example of approach 4 shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.shop.story import play


@pytest.mark.slow
def test_a_shop_creates_customers_under_their_cids_through_retries_a_crash_and_doubles(
    tmp_path: Path,
) -> None:
    play(tmp_path)
