"""Routes of operation, on an application whose resolver processes do not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from service.app import create_app
from service.bootstrap import open_settled_store
from service.settings import load_settings
from tests.service.asgi import call

KEY = "operator-" + "k" * 40


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    from service.admin_key import ensure_admin_key
    from service.clock import SystemClock
    from service.keys import ApiKeys

    settings = load_settings({}, data_dir=tmp_path)
    store = open_settled_store(settings)
    ensure_admin_key(ApiKeys(store.engine, SystemClock().now), tmp_path, preset=KEY)
    yield create_app(settings, store)
    store.close()


def test_alive_is_not_yet_ready(app: FastAPI) -> None:
    alive = call(app, "GET", "/healthz")
    ready = call(app, "GET", "/readyz", headers={"x-api-key": KEY})

    assert alive.json() == {"status": "alive"}
    assert (ready.status_code, ready.json()["code"]) == (503, "resolver_lost")
    assert ready.headers["retry-after"] == "1"


def test_the_page_of_routes_holds_the_document_itself(app: FastAPI) -> None:
    page = call(app, "GET", "/docs", headers={"x-api-key": KEY}).text
    metrics = call(app, "GET", "/metrics", headers={"x-api-key": KEY}).text

    assert "/v1/lookup" in page
    assert "sameas_unsettled 0.0" in metrics
