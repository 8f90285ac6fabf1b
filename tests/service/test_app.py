"""The application as a whole: every route against no API key and each scope."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from identity.api.describe import SCOPE
from service.app import create_app
from service.bootstrap import open_settled_store
from service.clock import SystemClock
from service.keys import SCOPES, ApiKeys, granted_scopes
from service.settings import load_settings

ANY_KEY = {"/readyz", "/docs", "/openapi.json"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, dict[str, str]]]:
    settings = load_settings({}, data_dir=tmp_path_factory.mktemp("app"))
    store = open_settled_store(settings)
    keys = ApiKeys(store.engine, SystemClock().now)
    texts = {scope: keys.create(scope, scopes=(scope,), author="test")[1] for scope in SCOPES}
    yield create_app(settings, store), texts
    store.close()


def routes_of(app: FastAPI) -> list[tuple[str, str, str]]:
    return [
        (method, route.path, (route.openapi_extra or {})[SCOPE])
        for route in app.router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]


async def ask(app: FastAPI, method: str, template: str, key: str | None) -> httpx.Response:
    # A path that exists nowhere: whoever is let in is answered by the route itself, whatever it answers.
    path = re.sub(r"{\w+}", "none", template)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        headers = {} if key is None else {"x-api-key": key}
        return await client.request(method, path, headers=headers)


def test_every_route_needs_an_api_key_but_healthz(opened: tuple[FastAPI, dict[str, str]]) -> None:
    app, _ = opened

    async def scene() -> list[str]:
        return [
            template
            for method, template, _ in routes_of(app)
            if (await ask(app, method, template, None)).status_code != 401
        ]

    assert asyncio.run(scene()) == ["/healthz"]
    assert len(routes_of(app)) >= 21


def test_every_route_refuses_each_key_without_its_scope(opened: tuple[FastAPI, dict[str, str]]) -> None:
    app, texts = opened

    async def scene() -> list[tuple[str, str, str]]:
        wrong = []
        for method, template, needed in routes_of(app):
            for scope, text in texts.items():
                if needed in granted_scopes((scope,)) or needed in {"any", "public"}:
                    continue
                answer = await ask(app, method, template, text)
                if (answer.status_code, answer.json()["code"]) != (403, "scope_missing"):
                    wrong.append((method, template, scope))
        return wrong

    assert asyncio.run(scene()) == []


def test_writing_routes_need_more_than_read(opened: tuple[FastAPI, dict[str, str]]) -> None:
    app, _ = opened
    reading_posts = {"/v1/lookup", "/v1/cids/resolve", "/v1/search", "/v1/explain"}
    readers_own = "/v1/subscribers/{name}"

    for method, template, needed in routes_of(app):
        if needed == "any":
            assert template in ANY_KEY
        elif needed == "read":
            is_own = template.startswith(readers_own)
            assert method == "GET" or template in reading_posts or is_own
        else:
            assert needed in {"write", "steward", "admin", "public"}


def test_the_openapi_document_names_the_scope_and_shapes_of_every_route(
    opened: tuple[FastAPI, dict[str, str]],
) -> None:
    app, _ = opened

    document = app.openapi()

    operations = [one for path in document["paths"].values() for one in path.values()]
    assert all(SCOPE in one and one["description"] for one in operations)
    put = document["paths"]["/v1/sources/{source}/records/{key}"]["put"]
    assert put["requestBody"]["content"]["application/json"]["schema"]["required"] == ["attributes"]
    assert [one["name"] for one in put["parameters"]] == ["source", "key", "dry_run"]
    assert "StatedAnswer" in document["components"]["schemas"]
    assert "$defs" not in str(document)


def test_every_route_is_on_the_page_of_routes(opened: tuple[FastAPI, dict[str, str]]) -> None:
    app, _ = opened
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")

    assert [f"{m} {t}" for m, t, _ in routes_of(app) if f"`{m} {t}`" not in page] == []
