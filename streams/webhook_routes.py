"""The routes of webhooks: register, list, test, resume and remove them.

Invariant: admins only; a secret is in the answer that made it and in no other.
Elsewhere: what is kept (`streams.webhook_book`), sending (`sameas webhooks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import caller_of
from identity.api.describe import route
from identity.api.doors import Doors
from identity.api.read_body import path_text, read_shape
from identity.api.render import json_response
from identity.model import Instant
from identity.statement import format_instant
from streams.webhook_book import Webhook, WebhookBook
from streams.webhook_courier import send_test
from streams.webhook_post import Poster

__all__ = [
    "WebhookAnswer",
    "WebhookBody",
    "WebhookMade",
    "WebhookSecret",
    "WebhookTried",
    "WebhooksAnswer",
    "add_webhook_routes",
    "webhook_document",
]

_HOOK = "/v1/webhooks/{id}"


class WebhookBody(BaseModel):
    """Where changes are to be posted."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"url": "https://crm.example.com/cids", "sources": ["crm"]}]},
    )

    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    sources: Annotated[
        list[str] | None,
        Field(min_length=1, max_length=1_000, description="whose changes; those of all if left out"),
    ] = None
    begin: Annotated[
        str, Field(alias="from", min_length=1, max_length=200, description="now, start, or a cursor")
    ] = "now"


class WebhookAnswer(BaseModel):
    """A webhook as it stands."""

    id: str
    url: str
    sources: list[str] | None
    state: str
    reason: str | None
    failing_since: str | None
    next_at: str | None
    waiting: int
    cursor: str
    created_at: str
    created_by: str


class WebhooksAnswer(BaseModel):
    """All webhooks, oldest first."""

    webhooks: list[WebhookAnswer]


class WebhookMade(WebhookAnswer):
    """A new webhook with its secret."""

    secret: str


class WebhookSecret(BaseModel):
    """A secret, shown once."""

    secret: str


class WebhookTried(BaseModel):
    """What became of a test: an HTTP status, or why there is none."""

    status: int | None
    fault: str | None
    is_taken: bool


def webhook_document(hook: Webhook) -> dict[str, object]:
    """Return a webhook as the routes show it."""
    return {
        "id": hook.id,
        "url": hook.url,
        "sources": hook.sources,
        "state": hook.state.value,
        "reason": hook.reason,
        "failing_since": None if hook.failing_since is None else format_instant(hook.failing_since),
        "next_at": format_instant(hook.next_at) if hook.next_at else None,
        "waiting": hook.waiting_count,
        "cursor": hook.cursor,
        "created_at": format_instant(hook.created_at),
        "created_by": hook.created_by,
    }


def add_webhook_routes(router: APIRouter, doors: Doors, *, post: Poster, now: Callable[[], Instant]) -> None:
    """Add the routes of webhooks to `router`."""

    async def add_webhook(request: Request) -> Response:
        """Register a webhook; the secret is shown only here."""
        body = await read_shape(request, WebhookBody)
        author = caller_of(request).author
        hook, secret = await doors.read(
            lambda identity: WebhookBook(identity, now=now).add(
                body.url, sources=body.sources, begin_at=body.begin, author=author
            )
        )
        return json_response({**webhook_document(hook), "secret": secret}, status=201)

    async def list_webhooks(request: Request) -> Response:  # noqa: ARG001 - every endpoint takes its request
        """List all webhooks and how their receivers do."""
        hooks = await doors.read(lambda identity: WebhookBook(identity, now=now).list_all())
        return json_response({"webhooks": [webhook_document(one) for one in hooks]})

    async def get_webhook(request: Request) -> Response:
        """Read one webhook and how its receiver does."""
        name = path_text(request, "id")
        hook = await doors.read(lambda identity: WebhookBook(identity, now=now).get(name))
        return json_response(webhook_document(hook))

    async def remove_webhook(request: Request) -> Response:
        """Forget a webhook; nothing more is sent to it."""
        name = path_text(request, "id")
        await doors.read(lambda identity: WebhookBook(identity, now=now).remove(name))
        return Response(status_code=204)

    async def test_webhook(request: Request) -> Response:
        """Send a signed message that tells nothing, and say what came back."""
        name = path_text(request, "id")
        book = await doors.read(lambda identity: WebhookBook(identity, now=now))
        hook = await doors.read(lambda identity: book.get(name))
        answer = await send_test(hook, book=book, post=post, now=now())
        return json_response(
            {"status": answer.status or None, "fault": answer.fault or None, "is_taken": answer.is_taken}
        )

    async def rotate_secret(request: Request) -> Response:
        """Make a new secret; for a day messages are signed with the one before, too."""
        name = path_text(request, "id")
        secret = await doors.read(lambda identity: WebhookBook(identity, now=now).rotate_secret(name))
        return json_response({"secret": secret})

    async def resume_webhook(request: Request) -> Response:
        """Send again to a webhook that was disabled, from where it stands."""
        name = path_text(request, "id")
        hook = await doors.read(lambda identity: WebhookBook(identity, now=now).resume(name))
        return json_response(webhook_document(hook))

    unknown = {404: "No such webhook"}
    for method, path, endpoint, more in (
        ("POST", "/v1/webhooks", add_webhook, {"body": WebhookBody, "answer": WebhookMade, "status": 201}),
        ("GET", "/v1/webhooks", list_webhooks, {"answer": WebhooksAnswer}),
        ("GET", _HOOK, get_webhook, {"answer": WebhookAnswer, "also": unknown}),
        ("DELETE", _HOOK, remove_webhook, {"status": 204, "also": unknown}),
        ("POST", f"{_HOOK}/test", test_webhook, {"answer": WebhookTried, "also": unknown}),
        ("POST", f"{_HOOK}/secret", rotate_secret, {"answer": WebhookSecret, "also": unknown}),
        ("POST", f"{_HOOK}/resume", resume_webhook, {"answer": WebhookAnswer, "also": unknown}),
    ):
        described = route(path, scope="admin", **more)
        router.add_api_route(endpoint=endpoint, methods=[method], tags=["webhooks"], **described)
