"""The servers of the examples that need some."""

from __future__ import annotations

import pytest

from examples.write_back.story import Servers


@pytest.fixture
def servers(
    postgres_url: str, logical_postgres_url: str, kafka_bootstrap: str, kafka_connect_url: str
) -> Servers:
    return Servers(logical_postgres_url, postgres_url, kafka_bootstrap, kafka_connect_url)
