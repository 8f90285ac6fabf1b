"""Coverage over real sockets: what a product asks before it publishes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.model import Cid, RecordRef
from service.bootstrap import bootstrap_identity
from service.clock import SystemClock
from service.keys import ApiKeys
from service.settings import Settings
from streams.delivery import Acknowledgement, Evidence
from streams.ledger import DeliveryLedger
from tests.service.server import ServedService, serve
from tests.services.kafka import await_true

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedService]:
    with serve(tmp_path_factory.mktemp("coverage") / "data") as running:
        for source in ("crm", "erp", "shop"):
            contract = {"domain": "sales", "approach": 3, "coverage_min": 1}
            assert running.ask("PUT", f"/v1/sources/{source}", json=contract).status_code == 201
        yield running


def put(service: ServedService, source: str, key: str, version: int) -> str:
    answer = service.ask(
        "PUT",
        f"/v1/sources/{source}/records/{key}",
        json={"attributes": {"full_name": f"Person {key}"}, "version": version},
    )
    cid: str = answer.json()["cid"]
    return cid


def acknowledge(service: ServedService, source: str, key: str, cid: str) -> None:
    identity = bootstrap_identity(Settings(data_dir=service.data_dir))
    try:
        told = Acknowledgement(RecordRef(source, key), Cid(cid), Evidence.WEBHOOK, SystemClock().now())
        assert DeliveryLedger(identity).acknowledge([told]) == 1
    finally:
        identity.close()


def api_key(
    service: ServedService, *, serves: str | None = None, sources: tuple[str, ...] | None = None
) -> str:
    engine = sa.create_engine(f"sqlite:///{service.data_dir / 'sameas.db'}")
    try:
        keys = ApiKeys(engine, SystemClock().now)
        return keys.create("test", scopes=("read",), author="t", serves=serves, sources=sources)[1]
    finally:
        engine.dispose()


def test_a_position_is_answered_once_all_up_to_it_is_acknowledged(service: ServedService) -> None:
    cid = put(service, "crm", "1", 10)
    early = service.ask("GET", "/v1/sources/crm/coverage?wait_for=10&wait=0")
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(service.ask("GET", "/v1/sources/crm/coverage?wait_for=10&wait=60"))
    )
    waiting.start()

    acknowledge(service, "crm", "1", cid)
    waiting.join(60)

    assert (early.status_code, early.json()["code"], early.json()["retryable"]) == (
        503,
        "position_not_reached",
        True,
    )
    [reached] = answers
    assert reached.status_code == 200
    found = reached.json()
    assert (found["records"], found["share"], found["evidence"], found["met"]) == (1, 1.0, "webhook", True)
    assert found["watermark"]["version"] == 10
    assert found["approach"] == {"declared": 3, "observed": 3}


def test_a_bound_key_sees_the_coverage_of_its_own_sources_only(service: ServedService) -> None:
    key = api_key(service, sources=("erp",))

    assert service.ask("GET", "/v1/sources/erp/coverage", key=key).status_code == 200
    assert service.ask("GET", "/v1/sources/crm/coverage", key=key).status_code == 403
    assert service.ask("GET", "/v1/sources/none/coverage").status_code == 404


@pytest.mark.parametrize("query", ["wait_for=x", "wait_for=", "wait=61"])
def test_a_question_that_means_nothing_is_refused(service: ServedService, query: str) -> None:
    assert service.ask("GET", f"/v1/sources/erp/coverage?{query}").status_code == 422


def test_metrics_show_deliveries_of_each_source(service: ServedService) -> None:
    put(service, "shop", "1", 1)

    await_true(
        lambda: 'sameas_delivery_records{source="shop"} 1.0' in service.ask("GET", "/metrics").text,
        "the ledger follows by itself",
    )
    assert 'sameas_delivery_covered{source="shop"} 0.0' in service.ask("GET", "/metrics").text


def test_who_looks_keys_up_is_known_after_the_service_ends(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as running:
        assert running.ask("PUT", "/v1/sources/crm", json={"domain": "sales"}).status_code == 201
        put(running, "crm", "1", 1)
        key = api_key(running, serves="product:churn")
        running.ask("GET", "/v1/sources/crm/records/1/cid", key=key)
        asked = [{"source": "crm", "key": str(n)} for n in range(5)]
        assert running.ask("POST", "/v1/lookup", json={"keys": asked}, key=key).status_code == 200

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'sameas.db'}")
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT source, serves, key_count FROM look_up_day").all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("crm", "product:churn", 6)]
