"""Following changes over real sockets: subscribers, server-sent events, a snapshot and what comes after it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.server import ServedService, serve

pytestmark = pytest.mark.slow

STREAM = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedService]:
    with serve(tmp_path_factory.mktemp("feed") / "data") as running:
        for source in ("crm", "erp"):
            assert running.ask("PUT", f"/v1/sources/{source}", json={"domain": "sales"}).status_code == 201
        yield running


def put(service: ServedService, key: str, source: str = "crm") -> str:
    answer = service.ask(
        "PUT", f"/v1/sources/{source}/records/{key}", json={"attributes": {"full_name": f"Person {key}"}}
    )
    cid: str = answer.json()["cid"]
    return cid


def api_key(service: ServedService, name: str, *scopes: str, sources: tuple[str, ...] | None = None) -> str:
    import sqlalchemy as sa

    from service.clock import SystemClock
    from service.keys import ApiKeys

    engine = sa.create_engine(f"sqlite:///{service.data_dir / 'sameas.db'}")
    try:
        return ApiKeys(engine, SystemClock().now).create(name, scopes=scopes, sources=sources, author="t")[1]
    finally:
        engine.dispose()


def end_of_feed(service: ServedService) -> str:
    answer = service.ask("GET", "/v1/changes?limit=10000")
    cursor: str = answer.json()["cursor"]
    return cursor


def messages(answer: httpx.Response, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the next messages of a stream of events: (id, event)."""
    found: list[tuple[str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            found.append((fields["id"], json.loads(fields["data"])))
            fields = {}
            if len(found) == count:
                return found
    raise AssertionError("the stream ended early")


def test_each_event_of_a_stream_carries_its_cursor_and_a_client_goes_on_behind_it(
    service: ServedService,
) -> None:
    begin = end_of_feed(service)
    for key in ("s1", "s2", "s3"):
        put(service, key)

    with service.client.stream("GET", "/v1/changes", params={"after": begin}, headers=STREAM) as answer:
        first = messages(answer, 2)
    again = {**STREAM, "last-event-id": first[0][0]}
    with service.client.stream("GET", "/v1/changes", params={"after": begin}, headers=again) as answer:
        second = messages(answer, 2)

    page = service.ask("GET", "/v1/changes", params={"after": begin}).json()
    assert [event for _, event in first] == page["events"][:2]
    assert [one for one, _ in first] == [event["id"] for event in page["events"][:2]]
    assert [event for _, event in second] == page["events"][1:]


def test_what_is_written_while_a_stream_is_open_comes_over_it(service: ServedService) -> None:
    begin = end_of_feed(service)
    with service.client.stream("GET", "/v1/changes", params={"after": begin}, headers=STREAM) as answer:
        timer = threading.Timer(0.3, lambda: put(service, "late"))
        timer.start()
        [(_, event)] = messages(answer, 1)
        timer.join()

    assert (event["type"], event["key"]) == ("issued", "late")


def test_a_bound_reader_gets_its_own_events_behind_pages_of_others(service: ServedService) -> None:
    begin = end_of_feed(service)
    bound = api_key(service, "erp reader", "read", sources=("erp",))
    for number in range(5):
        put(service, f"hidden{number}")
    put(service, "shown", "erp")

    with service.client.stream(
        "GET",
        "/v1/changes",
        params={"after": begin, "limit": "1"},
        headers={**STREAM, "x-api-key": bound},
    ) as answer:
        [(_, event)] = messages(answer, 1)
    polled = service.ask("GET", "/v1/changes", params={"after": begin, "limit": "1", "wait": "30"}, key=bound)

    assert event["key"] == "shown"
    assert [one["key"] for one in polled.json()["events"]] == ["shown"]


def test_a_subscriber_reads_on_from_what_it_acknowledged(service: ServedService) -> None:
    key = api_key(service, "warehouse", "read")
    made = service.ask("PUT", "/v1/subscribers/load", json={"at": "now"}, key=key)
    for name in ("w1", "w2"):
        put(service, name)

    read = service.ask("GET", "/v1/changes?subscriber=load&limit=1", key=key).json()
    unacknowledged = service.ask("GET", "/v1/changes?subscriber=load&limit=1", key=key).json()
    moved = service.ask("POST", "/v1/subscribers/load/ack", json={"cursor": read["cursor"]}, key=key)
    rest = service.ask("GET", "/v1/changes?subscriber=load", key=key).json()

    assert (made.status_code, made.json()["name"]) == (201, "load")
    assert unacknowledged == read
    assert moved.json()["cursor"] == read["cursor"]
    assert [event["key"] for event in read["events"] + rest["events"]] == ["w1", "w2"]
    assert service.ask("GET", "/v1/subscribers/load", key=key).json() == moved.json()
    assert service.ask("PUT", "/v1/subscribers/load", json={"at": "start"}, key=key).status_code == 200


def test_a_key_of_the_same_name_goes_on_and_no_other_sees_it(service: ServedService) -> None:
    old, new = (api_key(service, "rotating", "read") for _ in range(2))
    other = api_key(service, "somebody else", "read")
    service.ask("PUT", "/v1/subscribers/mine", json={}, key=old)

    assert service.ask("GET", "/v1/subscribers/mine", key=new).status_code == 200
    missing = service.ask("GET", "/v1/changes?subscriber=mine", key=other)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_subscriber")
    assert service.ask("GET", "/v1/subscribers", key=other).json() == {"subscribers": []}
    named = service.ask("GET", "/v1/subscribers").json()["subscribers"]
    assert ("rotating", "mine") in [(one["owner"], one["name"]) for one in named]
    assert service.ask("DELETE", "/v1/subscribers/mine?owner=rotating", key=other).status_code == 404
    assert service.ask("DELETE", "/v1/subscribers/mine?owner=rotating").status_code == 204
    assert service.ask("GET", "/v1/subscribers/mine", key=old).status_code == 404


def test_a_place_that_somebody_moved_is_a_conflict(service: ServedService) -> None:
    service.ask("PUT", "/v1/subscribers/shared", json={"at": "start"})
    put(service, "c1")
    cursor = end_of_feed(service)
    path = "/v1/subscribers/shared/ack"
    assert service.ask("POST", path, json={"cursor": cursor, "was": "0.0"}).status_code == 200

    late = service.ask("POST", path, json={"cursor": "0.0"})

    assert (late.status_code, late.json()["code"]) == (409, "cursor_moved")
    both = service.ask("GET", f"/v1/changes?subscriber=shared&after={cursor}")
    assert (both.status_code, both.json()["code"]) == (422, "parameter_invalid")


def test_a_snapshot_says_from_where_to_follow(service: ServedService) -> None:
    cid = put(service, "snap")
    answer = service.ask("GET", "/v1/crosswalk")
    put(service, "after")

    lines = [json.loads(line) for line in answer.text.splitlines()]
    after = service.ask("GET", "/v1/changes", params={"after": answer.headers["sameas-cursor"]}).json()

    [row] = [line for line in lines if line["key"] == "snap"]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert row == {
        "source": "crm",
        "key": "snap",
        "cid": cid,
        "status": "live",
        "version": 1,
        "known_at": row["known_at"],
    }
    assert [event["key"] for event in after["events"]] == ["after"]


def test_a_snapshot_shows_a_bound_reader_its_own_sources_only(service: ServedService) -> None:
    put(service, "theirs")
    put(service, "ours", "erp")
    bound = api_key(service, "erp reader", "read", sources=("erp",))

    everything = service.ask("GET", "/v1/crosswalk", key=bound).text.splitlines()
    refused = service.ask("GET", "/v1/crosswalk?source=crm", key=bound)
    one = service.ask("GET", "/v1/crosswalk?source=erp").text.splitlines()

    assert everything == one
    assert {json.loads(line)["source"] for line in everything} == {"erp"}
    assert (refused.status_code, refused.json()["code"]) == (403, "source_forbidden")
    assert service.ask("GET", "/v1/crosswalk?source=none").status_code == 404


def test_an_open_stream_ends_cleanly_when_the_service_does(tmp_path: Path) -> None:
    with (
        serve(tmp_path / "data") as ending,
        ending.client.stream("GET", "/v1/changes", headers=STREAM) as answer,
    ):
        assert answer.status_code == 200
        os.kill(ending.pid, signal.SIGTERM)

        rest = list(answer.iter_bytes())

    assert b"".join(rest) == b""
