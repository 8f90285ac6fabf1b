"""Talk to a running service as any client would: JSON and NDJSON over HTTP, with an API key.

Invariant: an answer that is no success is an error; a stream's lines are sent while they are made.
Elsewhere: the routes (`identity.api`), starting the service (`service.demo.server`).
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import orjson

from service.demo.errors import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ServiceClient", "record_path"]

_TIMEOUT_S: Final = 120
_PROBE_S: Final = 5
_CHUNK_LINES: Final = 200


def record_path(source: str, key: str) -> str:
    """Return the path of a record; its key is one percent-encoded segment."""
    return f"/v1/sources/{source}/records/{quote(key, safe='')}"


class ServiceClient:
    """One connection for each call; enough for a demonstration."""

    def __init__(self, address: str, *, api_key: str) -> None:
        self.address = address.rstrip("/")
        self._place = urlsplit(self.address).netloc
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the answer's JSON; DemoFailed with the problem's code and detail when it is refused."""
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = orjson.dumps(body)
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self._place, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            answer = response.read()
        except OSError as reason:
            raise DemoFailed(f"{method} {path}: the service does not answer.") from reason
        finally:
            connection.close()
        if response.status >= 400:
            raise DemoFailed(f"{method} {path} was answered {response.status}: {_problem(answer)}")
        return orjson.loads(answer) if answer else None

    def is_well(self, path: str) -> bool:
        """Return True when a GET of the path is answered 200; a refused connection is False."""
        connection = http.client.HTTPConnection(self._place, timeout=_PROBE_S)
        try:
            connection.request("GET", path, headers=self._headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stream_records(self, source: str, statements: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Send statements as NDJSON and yield the answer to each, in order."""
        connection = http.client.HTTPConnection(self._place, timeout=_TIMEOUT_S)
        path = f"/v1/sources/{source}/records"
        headers = {**self._headers, "Content-Type": "application/x-ndjson"}
        try:
            connection.request("POST", path, _chunks(statements), headers, encode_chunked=True)
            response = connection.getresponse()
            if response.status >= 400:
                raise DemoFailed(f"POST {path} was answered {response.status}: {_problem(response.read())}")
            for line in response:
                yield orjson.loads(line)
        except (OSError, http.client.HTTPException) as reason:
            raise DemoFailed(f"POST {path}: the stream broke off.") from reason
        finally:
            connection.close()


def _chunks(statements: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for statement in statements:
        lines.append(orjson.dumps(statement) + b"\n")
        if len(lines) == _CHUNK_LINES:
            yield b"".join(lines)
            lines.clear()
    if lines:
        yield b"".join(lines)


def _problem(answer: bytes) -> str:
    try:
        problem = orjson.loads(answer)
        return f"{problem.get('code')}: {problem.get('detail')}"
    except (orjson.JSONDecodeError, AttributeError):
        return "no problem document"
