"""The example of approach 3 shows what it says, on real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.write_back.story import Servers, play
from tests.services.kafka import Connectors


@pytest.mark.slow
def test_rows_of_a_crm_get_their_cids_without_asking_and_its_product_is_joined_on_them(
    servers: Servers, connectors: Connectors, kafka_prefix: str, tmp_path: Path
) -> None:
    play(servers, tmp_path, topic_prefix=kafka_prefix, posted=connectors.adopt)
