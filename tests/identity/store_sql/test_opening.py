"""How connections of a store are opened."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from sqlalchemy import text

from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import open_store, store_url


@pytest.mark.service
@pytest.mark.parametrize(("query", "idle_s"), [("", 20), ("?keepalives_idle=7", 7)])
def test_both_ends_of_a_connection_notice_within_a_minute_that_the_other_is_gone(
    query: str, idle_s: int, postgres_url: str, tmp_path: Path
) -> None:
    url = store_url(postgres_url + query, tmp_path)
    migrate_store(url)
    store = open_store(url)
    try:
        with store.engine.connect() as connection:
            at_server = connection.scalar(text("SHOW tcp_keepalives_idle"))
            driver = connection.connection.driver_connection
            assert driver is not None
            with socket.socket(fileno=driver.fileno()) as client:
                options = (socket.SO_KEEPALIVE, socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)
                levels = (socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_TCP)
                at_client = [client.getsockopt(*one) for one in zip(levels, options, strict=True)]
                client.detach()
    finally:
        store.close()

    assert at_server == "20"
    assert at_client == [1, idle_s, 35_000]
