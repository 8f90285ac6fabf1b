"""The running service, over real sockets, on the embedded store."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pytest

from tests.service.server import ServedService, serve

pytestmark = pytest.mark.slow

ARROW = "application/vnd.apache.arrow.stream"
ADA = {"given_name": "Ada", "family_name": "Byron", "birth_date": "1980-05-04", "email": "ada.byron@mail.de"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedService]:
    with serve(tmp_path_factory.mktemp("serve") / "data", SAMEAS_LOG_LEVEL="debug") as running:
        for source in ("crm", "erp", "shop", "bulk"):
            assert running.ask("PUT", f"/v1/sources/{source}", json={"domain": "sales"}).status_code == 201
        running.ask("PUT", "/v1/sources/mail", json={"domain": "sales", "key_personal": True})
        yield running


def put(
    service: ServedService, source: str, key: str, attributes: dict[str, Any], **extra: Any
) -> dict[str, Any]:
    path = f"/v1/sources/{source}/records/{quote(key, safe='')}"
    answer = service.ask("PUT", path, json={"attributes": attributes, **extra})
    assert answer.status_code in {200, 201}, answer.text
    stated: dict[str, Any] = answer.json()
    return stated


def api_key(service: ServedService, *scopes: str, sources: tuple[str, ...] | None = None) -> str:
    import sqlalchemy as sa

    from service.clock import SystemClock
    from service.keys import ApiKeys

    engine = sa.create_engine(f"sqlite:///{service.data_dir / 'sameas.db'}")
    try:
        return ApiKeys(engine, SystemClock().now).create(
            "test", scopes=scopes, sources=sources, author="test"
        )[1]
    finally:
        engine.dispose()


def test_a_record_gets_a_cid_and_is_found_both_ways(service: ServedService) -> None:
    first = put(service, "crm", "ada", ADA)
    second = put(service, "erp", "4711", ADA)

    assert first["outcome"] == "issued"
    assert (second["outcome"], second["cid"]) == ("linked", first["cid"])
    found = service.ask("GET", "/v1/sources/crm/records/ada/cid").json()
    assert (found["cid"], found["status"], found["source"], found["key"]) == (
        first["cid"],
        "live",
        "crm",
        "ada",
    )
    assert found["horizon"].endswith("Z")
    view = service.ask("GET", f"/v1/cids/{first['cid']}").json()
    assert view["status"] == "live"
    assert {"source": "erp", "key": "4711"} in view["records"]


def test_the_first_statement_is_201_and_the_same_again_200_and_unchanged(service: ServedService) -> None:
    body = {"attributes": {"full_name": "Jo Twice", "email": "jo.twice@mail.de"}, "version": 1}

    first = service.ask("PUT", "/v1/sources/crm/records/twice", json=body)
    again = service.ask("PUT", "/v1/sources/crm/records/twice", json=body)
    other = service.ask(
        "PUT", "/v1/sources/crm/records/twice", json={**body, "attributes": {"full_name": "Jo Other"}}
    )

    assert (first.status_code, first.json()["outcome"]) == (201, "issued")
    assert (again.status_code, again.json()["outcome"]) == (200, "unchanged")
    assert (other.status_code, other.json()["code"]) == (409, "version_conflict")


def test_a_dry_run_answers_and_stores_nothing(service: ServedService) -> None:
    answer = service.ask(
        "PUT", "/v1/sources/crm/records/dry?dry_run=true", json={"attributes": {"full_name": "Dry Run"}}
    )

    assert answer.status_code in {200, 201}
    assert service.ask("GET", "/v1/sources/crm/records/dry/cid").json()["status"] == "unknown"


@pytest.mark.parametrize(
    "key", ["a/b", "x/cid", "100%", "%2F", "mit Leerzeichen", "\u20ac\u4e2d\U0001f600", "cid"]
)
def test_any_key_stands_in_one_segment(service: ServedService, key: str) -> None:
    cid = put(service, "shop", key, {"full_name": f"Person {len(key)} {key.encode().hex()}"})["cid"]

    found = service.ask("GET", f"/v1/sources/shop/records/{quote(key, safe='')}/cid").json()

    assert (found["key"], found["cid"]) == (key, cid)
    assert (
        service.ask("DELETE", f"/v1/sources/shop/records/{quote(key, safe='')}").json()["outcome"]
        == "withdrawn"
    )


def test_many_keys_are_looked_up_in_order_as_json_and_arrow(service: ServedService) -> None:
    cid = put(service, "crm", "many", {"full_name": "Many Lookups", "email": "many@mail.de"})["cid"]
    keys = [
        {"source": "crm", "key": "none"},
        {"source": "crm", "key": "many"},
        {"source": "crm", "key": "many"},
    ]
    sink = pa.BufferOutputStream()
    table = pa.RecordBatch.from_pylist(keys)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table)

    by_json = service.ask("POST", "/v1/lookup", json={"keys": keys}).json()
    by_arrow = service.ask(
        "POST",
        "/v1/lookup",
        content=sink.getvalue().to_pybytes(),
        headers={"content-type": ARROW, "accept": ARROW},
    )

    assert [row["cid"] for row in by_json["cids"]] == [None, cid, cid]
    assert [row["status"] for row in by_json["cids"]] == ["unknown", "live", "live"]
    rows = pa.ipc.open_stream(by_arrow.content).read_all()
    assert rows.to_pylist() == by_json["cids"]
    assert rows.schema.metadata[b"horizon"].endswith(b"Z")


def test_answers_name_source_and_key_whatever_the_kind_of_key_and_its_members_order(
    service: ServedService,
) -> None:
    made = put(service, "crm", "two-named", {"full_name": "Two Named"}, alternate_keys={"old": "o-1"})
    expected = {"source": "crm", "cid": made["cid"], "status": "live"}
    own, alternate = {"key": "two-named", "source": "crm"}, {"key_name": "old", "key": "o-1", "source": "crm"}

    def ask(*keys: dict[str, str], **times: str) -> object:
        return service.ask("POST", "/v1/lookup", json={"keys": keys, **times}).json()["cids"]

    assert ask(own) == ask(own, known_at=made["known_at"]) == [expected | {"key": "two-named"}]
    assert ask(alternate, own) == [expected | {"key": "o-1"}, expected | {"key": "two-named"}]
    assert ask(own | {"key_name": ""}) == [
        {"source": "crm", "key": "two-named", "cid": None, "status": "unknown"}
    ]


def test_cids_are_followed_in_bulk(service: ServedService) -> None:
    one = put(service, "crm", "f1", {"full_name": "Follow Meier", "birth_date": "1971-01-02"})["cid"]
    two = put(service, "crm", "f2", {"full_name": "Unlike Huber", "birth_date": "1950-07-08"})["cid"]
    judgement = {
        "verdict": "same",
        "left": [{"source": "crm", "key": "f1"}],
        "right": [{"source": "crm", "key": "f2"}],
        "reason": "one person",
    }
    made = service.ask("POST", "/v1/judgements", json=judgement)
    assert made.status_code == 200, made.text

    rows = service.ask("POST", "/v1/cids/resolve", json={"cids": [two, one, "no-cid"]}).json()["cids"]

    assert [row["current"] for row in rows] == [[one], [one], []]
    assert [row["status"] for row in rows] == ["merged", "live", "unknown"]
    golden = service.ask("GET", f"/v1/cids/{two}/golden").json()
    assert golden["cid"] == one
    history = service.ask("GET", f"/v1/cids/{one}/history").json()["events"]
    assert {event["type"] for event in history} >= {"issued", "merged"}
    assert service.ask("DELETE", f"/v1/judgements/{made.json()['id']}").status_code == 204
    assert service.ask("GET", f"/v1/cids/{two}").json()["status"] == "live"


def test_search_stores_nothing_and_explain_says_why(service: ServedService) -> None:
    cid = put(
        service,
        "crm",
        "s1",
        {"full_name": "Search Target", "birth_date": "1966-06-06", "email": "st@mail.de"},
    )
    put(
        service,
        "erp",
        "s2",
        {"full_name": "Search Target", "birth_date": "1966-06-06", "email": "st@mail.de"},
    )

    hits = service.ask(
        "POST", "/v1/search", json={"attributes": {"full_name": "Search Target", "email": "st@mail.de"}}
    )
    why = service.ask(
        "POST",
        "/v1/explain",
        json={"left": {"source": "crm", "key": "s1"}, "right": {"source": "erp", "key": "s2"}},
    )

    assert hits.json()["candidates"][0]["cid"] == cid["cid"]
    assert why.json()["comparisons"]


def test_a_customer_is_born_with_its_cid_as_key(service: ServedService) -> None:
    body = {"attributes": {"full_name": "Born Here", "birth_date": "1999-09-09", "email": "born@mail.de"}}
    path = "/v1/sources/shop/customers"

    made = service.ask("POST", path, json=body, headers={"idempotency-key": "b-1"})
    again = service.ask("POST", path, json=body, headers={"idempotency-key": "b-1"})
    other = service.ask("POST", path, json=body, headers={"idempotency-key": "b-2"})
    without = service.ask("POST", path, json=body)

    assert made.status_code == 201
    assert made.json()["key"] == made.json()["cid"]
    assert again.json()["cid"] == made.json()["cid"]
    assert (other.status_code, other.json()["code"]) == (409, "customer_exists")
    assert (without.status_code, without.json()["code"]) == (422, "parameter_invalid")


def test_changes_are_read_on_from_a_cursor_and_waited_for(service: ServedService) -> None:
    cursor = service.ask("GET", "/v1/changes?limit=10000").json()["cursor"]
    assert service.ask("GET", "/v1/changes", params={"after": cursor}).json() == {
        "events": [],
        "cursor": cursor,
    }
    timer = threading.Timer(0.3, lambda: put(service, "crm", "waited", {"full_name": "Waited For"}))
    timer.start()

    page = service.ask("GET", "/v1/changes", params={"after": cursor, "wait": "30"}).json()
    timer.join()

    assert [(event["type"], event["key"]) for event in page["events"]] == [("issued", "waited")]
    assert page["cursor"] != cursor


def test_changes_are_sent_as_events(service: ServedService) -> None:
    put(service, "crm", "sse", {"full_name": "Event Source"})

    with service.client.stream(
        "GET", "/v1/changes?limit=2", headers={"accept": "text/event-stream"}
    ) as answer:
        lines = answer.iter_lines()
        message = [next(lines) for _ in range(7)]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [line.partition(":")[0] for line in message] == ["event", "data", "id", "", "event", "data", "id"]
    after = message[6].removeprefix("id: ")
    page = service.ask("GET", "/v1/changes?limit=1", headers={"last-event-id": after}).json()
    assert page["events"][0]["seq"] > json.loads(message[5].removeprefix("data: "))["seq"]


def test_a_stream_answers_each_line_in_order_and_keeps_the_good_ones(service: ServedService) -> None:
    lines = b"\n".join(
        [
            b'{"key":"l1","attributes":{"full_name":"Line One"}}',
            b"",
            b"not json",
            b'{"key":7,"attributes":{}}',
            b'{"key":"' + b"k" * 513 + b'","attributes":{}}',
            b'{"key":"l2","attributes":{"full_name":"a\\u0000b"},"surprise":1}',
            b'{"key":"nul\\u0000","attributes":{}}',
            b'{"key":"long","attributes":{"full_name":"' + b"x" * 1_100_000 + b'"}}',
            b"\xff\xfe",
            b'{"key":"l1","withdrawn":true}',
            b'{"key":"l3","attributes":{"full_name":"Line Three"}}',
        ]
    )

    answers = service.lines("bulk", lines)

    codes = [answer.get("outcome") or answer["error"]["code"] for answer in answers]
    assert codes == [
        "issued",
        "malformed",
        "key_invalid",
        "key_invalid",
        "statement_invalid",
        "key_invalid",
        "too_large",
        "malformed",
        "withdrawn",
        "issued",
    ]
    assert [answer["key"] for answer in answers][-2:] == ["l1", "l3"]


def test_a_stream_is_answered_while_it_is_being_sent(service: ServedService) -> None:
    parts = urlsplit(service.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.putrequest("POST", "/v1/sources/bulk/records")
    for name, value in (("x-api-key", service.admin_key), ("transfer-encoding", "chunked")):
        connection.putheader(name, value)
    connection.putheader("content-type", "application/x-ndjson")
    connection.endheaders()
    assert connection.sock is not None
    reader = connection.sock.makefile("rb")

    def send(line: bytes) -> None:
        connection.send(b"%x\r\n%s\r\n" % (len(line), line))

    seen = []
    for number in range(3):
        send(b'{"key":"duplex%d","attributes":{"full_name":"Du Plex %d"}}\n' % (number, number))
        while not (line := reader.readline()).startswith(b'{"key":"duplex'):
            assert line
        seen.append(json.loads(line)["key"])
    send(b"")

    assert seen == ["duplex0", "duplex1", "duplex2"]
    connection.close()


def test_a_client_that_sends_50000_lines_before_it_reads_does_not_hang(service: ServedService) -> None:
    # Lines that are refused cost no resolving; what is tested is the flow of bytes.
    lines = b"".join(b'{"key":"s%d","nonsense":"%s"}\n' % (number, b"x" * 60) for number in range(50_000))

    answers = service.lines("bulk", lines)

    assert len(answers) == 50_000
    assert [answer["key"] for answer in answers[:3]] == ["s0", "s1", "s2"]
    assert answers[-1]["key"] == "s49999"


@pytest.mark.soak
def test_a_million_lines_sent_before_any_answer_is_read_need_constant_memory(service: ServedService) -> None:
    line_count = 1_000_000
    url = urlsplit(service.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=600)
    pieces = (
        b"".join(
            b'{"key":"m%d","nonsense":"%s"}\n' % (number, b"x" * 60)
            for number in range(start, start + 10_000)
        )
        for start in range(0, line_count, 10_000)
    )

    connection.request(
        "POST",
        "/v1/sources/bulk/records",
        body=pieces,
        headers={"x-api-key": service.admin_key, "content-type": "application/x-ndjson"},
        encode_chunked=True,
    )
    answer = connection.getresponse()
    answered = sum(piece.count(b"\n") for piece in iter(lambda: answer.read(1 << 20), b""))

    assert answered == line_count
    status = Path(f"/proc/{service.pid}/status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak_kib < 600 * 1024
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "arguments", "status", "code"),
    [
        (
            "PUT",
            "/v1/sources/crm/records/1",
            {"content": b"{", "headers": {"content-type": "application/json"}},
            400,
            "malformed",
        ),
        (
            "PUT",
            "/v1/sources/crm/records/1",
            {"content": b"{}", "headers": {"content-type": "text/csv"}},
            415,
            "unsupported_media_type",
        ),
        ("PUT", "/v1/sources/crm/records/1", {"json": []}, 422, "body_invalid"),
        ("PUT", "/v1/sources/crm/records/1", {"json": {"attributes": 1}}, 422, "statement_invalid"),
        (
            "PUT",
            "/v1/sources/crm/records/1",
            {"json": {"attributes": {}, "effective_at": "2026-01-01T00:00:00"}},
            422,
            "statement_invalid",
        ),
        (
            "PUT",
            "/v1/sources/crm/records/1",
            {"json": {"attributes": {}, "effective_at": "2099-01-01T00:00:00Z"}},
            422,
            "effective_in_future",
        ),
        (
            "PUT",
            "/v1/sources/crm/records/1",
            {"content": b"x" * (1 << 20) + b"y", "headers": {"content-type": "application/json"}},
            413,
            "too_large",
        ),
        ("PUT", "/v1/sources/none/records/1", {"json": {"attributes": {}}}, 404, "unknown_source"),
        ("PUT", "/v1/sources/crm/records/" + "k" * 513, {"json": {"attributes": {}}}, 422, "key_invalid"),
        ("PUT", "/v1/sources/crm/records/a%00b", {"json": {"attributes": {}}}, 422, "key_invalid"),
        ("PUT", "/v1/sources/mail/records/a", {"json": {"attributes": {}}}, 422, "key_in_path"),
        ("GET", "/v1/sources/mail/records/a/cid", {}, 422, "key_in_path"),
        ("DELETE", "/v1/sources/mail/records/a", {}, 422, "key_in_path"),
        ("DELETE", "/v1/sources/crm/records/never", {}, 404, "unknown_record"),
        ("DELETE", "/v1/sources/crm/records/1?version=x", {}, 422, "parameter_invalid"),
        ("GET", "/v1/sources/none/records/1/cid", {}, 404, "unknown_source"),
        ("GET", "/v1/sources/crm/records/a%00b/cid", {}, 422, "key_invalid"),
        ("GET", "/v1/sources/crm/records/1/cid?valid_at=2026-01-01", {}, 422, "parameter_invalid"),
        ("GET", "/v1/sources/crm/records/1/cid?known_at=2099-01-01T00:00:00Z", {}, 422, "known_at_in_future"),
        ("PUT", "/v1/sources/Bad Name", {"json": {"domain": "x"}}, 422, "contract_invalid"),
        (
            "POST",
            "/v1/lookup",
            {"json": {"keys": [{"source": "crm", "key": "1"}] * 10_001}},
            413,
            "too_large",
        ),
        ("POST", "/v1/lookup", {"json": {"keys": [{"source": "crm"}]}}, 422, "body_invalid"),
        ("POST", "/v1/lookup", {"json": {"keys": [{"source": "crm", "key": 1}]}}, 422, "body_invalid"),
        ("POST", "/v1/lookup", {"json": {"keys": [{"source": "crm", "other": "1"}]}}, 422, "body_invalid"),
        (
            "POST",
            "/v1/lookup",
            {"json": {"keys": ["crm/1", {"source": "crm", "key": "1"}]}},
            422,
            "body_invalid",
        ),
        (
            "POST",
            "/v1/lookup",
            {"json": {"keys": [{"source": "crm", "key": "1", "key_name": None}]}},
            422,
            "body_invalid",
        ),
        (
            "POST",
            "/v1/lookup",
            {"json": {"keys": [{"source": "crm", "key": "1", "other": "old"}]}},
            422,
            "body_invalid",
        ),
        (
            "POST",
            "/v1/lookup",
            {"content": b"no arrow", "headers": {"content-type": ARROW}},
            400,
            "malformed",
        ),
        ("GET", "/v1/cids/0199d2a4-6f3a-7c1e-9d27-5b8e3a1f0c42", {}, 404, "unknown_cid"),
        ("GET", "/v1/cids/none", {}, 404, "unknown_cid"),
        ("POST", "/v1/cids/resolve", {"json": {"cids": [1]}}, 422, "body_invalid"),
        ("POST", "/v1/search", {"json": {"attributes": {}, "limit": 1_000}}, 422, "body_invalid"),
        (
            "POST",
            "/v1/explain",
            {"json": {"left": {"source": "crm", "key": "no1"}, "right": {"source": "crm", "key": "no2"}}},
            404,
            "unknown_record",
        ),
        (
            "POST",
            "/v1/judgements",
            {"json": {"verdict": "maybe", "left": [], "right": []}},
            422,
            "body_invalid",
        ),
        ("DELETE", "/v1/judgements/j0", {}, 404, "unknown_judgement"),
        ("GET", "/v1/changes?limit=0", {}, 422, "parameter_invalid"),
        ("GET", "/v1/nothing", {}, 404, "unknown_route"),
        ("PATCH", "/v1/lookup", {}, 405, "method_not_allowed"),
    ],
)
def test_bad_input_is_a_problem_with_a_code(
    service: ServedService, method: str, path: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    answer = service.ask(method, path, **arguments)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_personal_key_is_served_where_it_is_not_in_a_path(service: ServedService) -> None:
    answers = service.lines("mail", b'{"key":"a@example.org","attributes":{"full_name":"Mail Key"}}')

    found = service.ask(
        "POST", "/v1/lookup", json={"keys": [{"source": "mail", "key": "a@example.org"}]}
    ).json()

    assert found["cids"][0]["cid"] == answers[0]["cid"]


def test_a_bound_key_sees_only_its_own_records(service: ServedService) -> None:
    both = {"full_name": "Bound Person", "birth_date": "1944-04-04", "email": "bound@mail.de"}
    cid = put(service, "crm", "b1", both)["cid"]
    assert put(service, "erp", "b2", {**both, "phone": "+49 30 5556677"})["cid"] == cid
    key = api_key(service, "read", "write", "steward", sources=("crm",))

    def refused(method: str, path: str, **arguments: Any) -> bool:
        answer = service.ask(method, path, key=key, **arguments)
        return (answer.status_code, answer.json()["code"]) == (403, "source_forbidden")

    refs = [{"source": "crm", "key": "b1"}, {"source": "erp", "key": "b2"}]
    assert refused("GET", "/v1/sources/erp/records/b2/cid")
    assert refused("GET", "/v1/sources/erp")
    assert refused("PUT", "/v1/sources/erp/records/b2", json={"attributes": both})
    assert refused("DELETE", "/v1/sources/erp/records/b2")
    assert refused("POST", "/v1/sources/erp/records", content=b"")
    assert refused("POST", "/v1/sources/erp/customers", json={"attributes": both})
    assert refused("POST", "/v1/lookup", json={"keys": refs})
    assert refused("POST", "/v1/explain", json={"left": refs[0], "right": refs[1]})
    assert refused(
        "POST", "/v1/judgements", json={"verdict": "same", "left": refs[:1], "right": refs[1:], "reason": "r"}
    )
    assert service.ask("GET", f"/v1/cids/{cid}", key=key).json()["records"] == refs[:1]
    golden = service.ask("GET", f"/v1/cids/{cid}/golden", key=key).json()["attributes"]
    assert "phone" not in golden
    assert "birth_date" in golden
    hits = service.ask("POST", "/v1/search", key=key, json={"attributes": both}).json()["candidates"]
    assert [ref["source"] for hit in hits for ref in hit["records"]].count("erp") == 0
    for path in (f"/v1/cids/{cid}/history", "/v1/changes?limit=10000"):
        events = service.ask("GET", path, key=key).json()["events"]
        assert {event["source"] for event in events} == {"crm"}
    assert [one["source"] for one in service.ask("GET", "/v1/sources", key=key).json()["sources"]] == ["crm"]


def test_a_dead_resolver_process_is_started_again_and_nothing_is_lost(service: ServedService) -> None:
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    answers: list[dict[str, Any]] = []
    lines = b"".join(
        b'{"key":"d%d","attributes":{"full_name":"Dead %d","birth_date":"1970-01-%02d"}}\n'
        % (n, n, n % 27 + 1)
        for n in range(600)
    )
    stream = threading.Thread(target=lambda: answers.extend(service.lines("bulk", lines)))
    stream.start()

    os.kill(int(children[0]), signal.SIGKILL)
    stream.join()

    assert len(answers) == 600
    assert [answer["key"] for answer in answers if "error" in answer] == []
    assert service.ask("GET", "/readyz").json()["status"] == "ready"
    assert "resolver_died" in service.log()


def test_the_operator_sees_readiness_metrics_and_routes(service: ServedService) -> None:
    assert service.client.get("/healthz", headers={"x-api-key": ""}).json() == {"status": "alive"}
    assert service.ask("GET", "/readyz").json()["resolvers"] == 1
    metrics = service.ask("GET", "/metrics").text
    assert "sameas_requests_total" in metrics
    assert 'sameas_resolve_total{what="records"}' in metrics
    document = service.ask("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "swagger" in service.ask("GET", "/docs").text.lower()


CANARIES = ("canarykey", "canaryname", "canarymail", "canaryquery", "canaryapi", "canarypath", "canarytype")


def test_p9_no_value_that_was_sent_shows_in_logs_metrics_or_errors(service: ServedService) -> None:
    person = {"given_name": "canaryname", "email": "canarymail@example.net", "canaryname": {"canaryname": 1}}
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", "/v1/sources/crm/records/canarykey", {"json": {"attributes": person}}),
        ("PUT", "/v1/sources/crm/records/canarykey", {"json": {"attributes": person, "canaryname": 1}}),
        (
            "PUT",
            "/v1/sources/crm/records/canarykey",
            {"json": {"attributes": {"birth_date": ["canaryname"]}}},
        ),
        ("PUT", "/v1/sources/crm/records/canarykey", {"json": {"attributes": {}, "version": "canaryname"}}),
        (
            "PUT",
            "/v1/sources/crm/records/canarykey",
            {"json": {"attributes": {}, "effective_at": "canaryname"}},
        ),
        (
            "PUT",
            "/v1/sources/crm/records/canarykey",
            {"json": {"attributes": {}, "same_as": {"canaryname": "canaryname"}}},
        ),
        (
            "PUT",
            "/v1/sources/crm/records/canarykey",
            {"content": b'{"canaryname', "headers": {"content-type": "application/json"}},
        ),
        (
            "PUT",
            "/v1/sources/crm/records/canarykey",
            {"content": b"{}", "headers": {"content-type": "canarytype/x"}},
        ),
        ("GET", "/v1/sources/crm/records/canarykey/cid?valid_at=canaryquery", {}),
        ("GET", "/v1/sources/crm/records/canarykey%00/cid", {}),
        ("GET", "/v1/canarypath?x=canaryquery", {}),
        ("GET", "/v1/cids/canarykey", {}),
        (
            "POST",
            "/v1/lookup",
            {"json": {"keys": [{"source": "crm", "key": "canarykey", "canaryname": "canaryname"}]}},
        ),
        ("POST", "/v1/lookup", {"json": {"keys": "canaryname"}}),
        ("POST", "/v1/search", {"json": {"attributes": person, "limit": "canaryname"}}),
        ("POST", "/v1/search", {"json": {"attributes": {"email": {"canaryname": 1}}, "canaryname": 1}}),
        (
            "POST",
            "/v1/explain",
            {"json": {"left": {"source": "crm", "key": "canarykey"}, "right": "canaryname"}},
        ),
        (
            "POST",
            "/v1/judgements",
            {"json": {"verdict": "canaryname", "left": [], "right": [], "reason": "canaryname"}},
        ),
        ("DELETE", "/v1/judgements/canarykey", {}),
        ("GET", "/v1/changes?after=canaryquery", {}),
        ("GET", "/v1/changes?limit=canaryquery", {}),
        ("GET", "/v1/cids/x", {"headers": {"x-api-key": "canaryapi"}}),
        ("CANARYPATH", "/v1/lookup", {}),
    ]

    shown = [
        answer.text
        for method, path, arguments in attempts
        if (answer := service.ask(method, path, **arguments)).is_error
    ]
    lines = (
        b'{"key":"canarykey","attributes":{"birth_date":["canaryname"]}}\n'
        b'{"canaryname\n{"key":"x","canaryname":1}\n'
    )
    shown += [answer["error"]["detail"] for answer in service.lines("crm", lines) if "error" in answer]
    shown += [service.ask("GET", "/metrics").text, service.log()]

    assert len(shown) > 20
    assert [(canary, text) for text in shown for canary in CANARIES if canary in text.lower()] == []
    assert '"route":"/v1/search"' in service.log()
