"""Send records through the NDJSON route and take the answers, as a client program would.

Elsewhere: single requests (`benchmarks.http_client`).
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from benchmarks.population import StreamedRecord
from benchmarks.stage import Address
from service.demo.population import SOURCES

__all__ = ["Streamed", "stream_records"]

_CHUNK_LINES = 200
_TIMEOUT_S = 600


@dataclass(slots=True)
class Streamed:
    """What came back: how many records in how many seconds, and the outcomes."""

    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.outcomes.total() / self.seconds


def stream_records(address: Address, records: Sequence[StreamedRecord], *, at_once: bool = False) -> Streamed:
    """Send the records of each source as one stream, the sources one after the other or `at_once`.

    Raises:
        RuntimeError: a record was refused, or an answer is missing.
    """
    lines = {source: [one.line() for one in records if one.source == source] for source in SOURCES}
    result = Streamed()
    failures: list[BaseException] = []
    lock = threading.Lock()

    def send(source: str) -> None:
        try:
            outcomes = _send(address, source, lines[source])
        except (OSError, RuntimeError, http.client.HTTPException) as exc:
            failures.append(exc)
            return
        with lock:
            result.outcomes.update(outcomes)

    started = time.perf_counter()
    if at_once:
        threads = [threading.Thread(target=send, args=(source,)) for source in SOURCES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for source in SOURCES:
            send(source)
    result.seconds = time.perf_counter() - started
    if failures:
        raise failures[0]
    if result.outcomes.total() != len(records):
        raise RuntimeError(f"{len(records)} records were sent, {result.outcomes.total()} answered")
    return result


def _send(address: Address, source: str, lines: Sequence[bytes]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    if not lines:
        return outcomes
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request(
            "POST",
            f"/v1/sources/{source}/records",
            _chunks(lines),
            {"Authorization": f"Bearer {address.api_key}", "Content-Type": "application/x-ndjson"},
            encode_chunked=True,
        )
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    for line in content.splitlines():
        answer = orjson.loads(line)
        if response.status != 200 or "outcome" not in answer:
            raise RuntimeError(f"a record was refused: {answer}")
        outcomes[answer["outcome"]] += 1
    return outcomes


def _chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    for at in range(0, len(lines), _CHUNK_LINES):
        yield b"".join(lines[at : at + _CHUNK_LINES])
