"""Posting a connector to a real Kafka Connect, and what is said when that fails."""

from __future__ import annotations

import pytest

from deploy.local.children import find_free_port
from streams.connect import Connector
from streams.connect_rest import put_connector
from streams.errors import ConnectorInvalid, ConnectorRefused, ConnectUnreachable

HEARTLESS = {"connector.class": "io.debezium.connector.postgresql.PostgresConnector"}


@pytest.mark.slow
def test_a_configuration_that_is_not_taken_is_told_with_its_reason_and_without_the_password(
    kafka_connect_url: str, kafka_prefix: str
) -> None:
    config = {
        **HEARTLESS,
        "database.hostname": "127.0.0.1",
        "database.user": "nobody",
        "database.password": "canary",
        "database.dbname": "crm",
        "topic.prefix": "illegal prefix canary",
    }

    with pytest.raises(ConnectorRefused, match=r"topic\.prefix") as caught:
        put_connector(kafka_connect_url, Connector(kafka_prefix, config))

    assert "canary" not in caught.value.detail


@pytest.mark.slow
def test_a_class_that_connect_does_not_have_is_refused(kafka_connect_url: str, kafka_prefix: str) -> None:
    with pytest.raises(ConnectorRefused, match=r"no\.such\.Connector"):
        put_connector(kafka_connect_url, Connector(kafka_prefix, {"connector.class": "no.such.Connector"}))


def test_where_nothing_answers_the_address_is_told_without_its_password() -> None:
    port = find_free_port()

    with pytest.raises(ConnectUnreachable, match=f"http://127.0.0.1:{port}") as caught:
        put_connector(f"http://user:canary@127.0.0.1:{port}", Connector("x", HEARTLESS))

    assert "canary" not in caught.value.detail


@pytest.mark.parametrize("url", ["", "connect:8083", "ftp://connect:8083", "http://"])
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ConnectorInvalid):
        put_connector(url, Connector("x", HEARTLESS))
