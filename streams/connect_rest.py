"""Post a connector to Kafka Connect's REST interface.

Invariant: posting the same connector twice leaves one; a password of its configuration never reaches a message.
Elsewhere: configurations (`streams.connect`).
"""

from __future__ import annotations

import http.client
from base64 import b64encode
from urllib.parse import quote, unquote, urlsplit

import orjson

from streams.connect import Connector
from streams.errors import ConnectorInvalid, ConnectorRefused, ConnectUnreachable

__all__ = ["put_connector"]

ANSWER_S_MAX = 60.0
"""Connect tries the database while it checks a configuration."""


def put_connector(url: str, connector: Connector) -> bool:
    """Create the connector, or change it to this configuration; return whether it is new.

    Raises:
        ConnectorInvalid: the URL is not one of HTTP.
        ConnectUnreachable: nothing answers there, or it cannot now (a rebalance).
        ConnectorRefused: Connect does not take the configuration; says why.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConnectorInvalid("the URL of Kafka Connect is http://host:8083 or https://host:8083.")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    where = f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    headers = {"Content-Type": "application/json"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_S_MAX)
    try:
        path = f"{parts.path.rstrip('/')}/connectors/{quote(connector.name, safe='')}/config"
        connection.request("PUT", path, orjson.dumps(dict(connector.config)), headers)
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise ConnectUnreachable(
            f"Kafka Connect does not answer at {where} ({type(exc).__name__}); see that it runs."
        ) from exc
    finally:
        connection.close()
    if status in (200, 201):
        return status == 201
    said = _mask(_reason(body), connector)
    if status in (409, 503):
        raise ConnectUnreachable(f"Kafka Connect at {where} cannot now ({status}): {said}. Try again.")
    raise ConnectorRefused(f"Kafka Connect at {where} does not take {connector.name} ({status}): {said}")


def _reason(body: bytes) -> str:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "no reason given"
    return str(told.get("message", "no reason given")) if isinstance(told, dict) else "no reason given"


def _mask(text: str, connector: Connector) -> str:
    for name, value in connector.config.items():
        if name.endswith("password") and value:
            text = text.replace(value, "***")
    return text
