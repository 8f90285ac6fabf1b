"""Errors as problem details."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import identity.api.errors
import identity.errors
import identity.statement
import matching.errors
import service.errors
import streams.errors
from identity.errors import StoreBusy, VersionConflict
from matching.errors import Category, SameasError
from service.errors import Unauthenticated
from service.problems import (
    STATUS_OF_CATEGORY,
    add_problem_handlers,
    problem_document,
    problem_of,
    problem_response,
    status_of,
)
from tests.service.asgi import call

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def all_errors() -> list[type[SameasError]]:
    assert all(
        (
            identity.api.errors,
            identity.errors,
            identity.statement,
            matching.errors,
            service.errors,
            streams.errors,
        )
    )
    found: list[type[SameasError]] = []
    waiting = [SameasError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    return found


def test_every_category_has_a_status() -> None:
    assert set(STATUS_OF_CATEGORY) == set(Category)


def test_a_problem_says_code_status_and_whether_to_try_again() -> None:
    problem = problem_document(VersionConflict("version 3 of record:crm/71 holds other content"))

    assert problem == {
        "type": "urn:sameas:problem:version_conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "version 3 of record:crm/71 holds other content",
        "code": "version_conflict",
        "retryable": False,
    }


def test_what_a_retry_can_help_says_when() -> None:
    answer = problem_response(StoreBusy("busy"))

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert orjson.loads(answer.body)["retryable"] is True


def test_401_names_the_way_to_authenticate() -> None:
    assert problem_response(Unauthenticated("no key")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: str(kind.__name__))
def test_every_error_has_a_status_and_stands_on_the_page_of_errors(kind: type[SameasError]) -> None:
    error = kind.__new__(kind)

    assert 400 <= status_of(error) <= 503
    assert f"`{kind.code}`" in PAGE.read_text(encoding="utf-8")


def test_one_code_means_one_category() -> None:
    categories: dict[str, set[Category]] = {}
    for kind in all_errors():
        categories.setdefault(kind.code, set()).add(kind.category)

    assert [code for code, found in categories.items() if len(found) > 1] == []


def test_a_foreign_exception_is_a_fault_without_its_message() -> None:
    problem = problem_document(problem_of(ValueError("canary-value")))

    assert problem["status"] == 500
    assert "canary" not in str(problem)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "unknown_route"),
        (405, "method_not_allowed"),
        (400, "malformed"),
        (413, "too_large"),
        (415, "unsupported_media_type"),
        (500, "fault"),
    ],
)
def test_the_frameworks_own_answers_become_problems(status: int, code: str) -> None:
    problem = problem_document(problem_of(HTTPException(status, "canary-detail")))

    assert (problem["status"], problem["code"]) == (status, code)
    assert "canary" not in str(problem)


def test_a_validation_error_tells_kinds_and_no_inputs() -> None:
    failure = {"type": "int_parsing", "loc": ("body", "canary-loc"), "msg": "canary", "input": "canary"}

    problem = problem_document(problem_of(RequestValidationError([failure])))

    assert (problem["status"], problem["code"]) == (422, "body_invalid")
    assert "canary" not in str(problem)


def test_an_application_with_the_handlers_answers_problems() -> None:
    app = FastAPI()
    add_problem_handlers(app)

    @app.get("/busy")
    async def busy() -> None:
        raise StoreBusy("the store is busy")

    assert call(app, "GET", "/busy").json()["code"] == "store_busy"
    assert call(app, "GET", "/canary-path").json()["code"] == "unknown_route"
    assert call(app, "POST", "/busy").json()["code"] == "method_not_allowed"
    assert call(app, "POST", "/busy").headers["allow"] == "GET"
