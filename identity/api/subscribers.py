"""The routes of subscribers: named, durable places in the feed of changes.

Invariant: a caller reaches the subscribers of its own owner only; an admin sees all, and may remove any.
Elsewhere: how places move (`identity.subscribers`), reading from one (`identity.api.changes`).
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import Caller, caller_of
from identity.api.describe import parameter, route
from identity.api.doors import Doors, Order
from identity.api.read_body import path_text, read_shape
from identity.api.render import json_response, subscriber_document
from identity.api.subscriber_shapes import (
    SubscriberAcknowledgement,
    SubscriberAnswer,
    SubscriberBody,
    SubscribersAnswer,
)

__all__ = ["add_subscriber_routes"]

_SUBSCRIBER = "/v1/subscribers/{name}"


def add_subscriber_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes of subscribers to `router`."""

    async def put_subscriber(request: Request) -> Response:
        """Make a subscriber; one that is there stays where it is."""
        owner, name = caller_of(request).owner, path_text(request, "name")
        body = await read_shape(request, SubscriberBody)
        order = {"owner": owner, "name": name, "begin_at": body.at}
        return await answered(Order("put_subscriber", order, lane=(owner, name)))

    async def get_subscriber(request: Request) -> Response:
        """Read how far a subscriber has come."""
        owner, name = caller_of(request).owner, path_text(request, "name")
        found = await doors.read(lambda identity: identity.subscribers.get(owner, name))
        return json_response(subscriber_document(found))

    async def list_subscribers(request: Request) -> Response:
        """List the caller's subscribers; an admin's list has all."""
        caller = caller_of(request)
        owner = None if "admin" in caller.scopes else caller.owner
        found = await doors.read(lambda identity: identity.subscribers.list_of(owner))
        return json_response({"subscribers": [subscriber_document(one) for one in found]})

    async def acknowledge(request: Request) -> Response:
        """Move a subscriber on: everything up to the cursor is dealt with."""
        owner, name = caller_of(request).owner, path_text(request, "name")
        body = await read_shape(request, SubscriberAcknowledgement)
        order = {"owner": owner, "name": name, "cursor": body.cursor, "was": body.was}
        return await answered(Order("acknowledge", order, lane=(owner, name)))

    async def remove_subscriber(request: Request) -> Response:
        """Forget a subscriber."""
        owner, name = _owner_named(request, caller_of(request)), path_text(request, "name")
        return await answered(
            Order("remove_subscriber", {"owner": owner, "name": name}, lane=(owner, name), repeatable=False)
        )

    async def answered(order: Order) -> Response:
        answer = await doors.write(order)
        return Response(answer.body, status_code=answer.status, media_type="application/json")

    router.add_api_route(
        endpoint=put_subscriber,
        methods=["PUT"],
        tags=["changes"],
        **route(_SUBSCRIBER, scope="read", body=SubscriberBody, answer=SubscriberAnswer, also={201: "Made"}),
    )
    router.add_api_route(
        endpoint=get_subscriber,
        methods=["GET"],
        tags=["changes"],
        **route(_SUBSCRIBER, scope="read", answer=SubscriberAnswer, also={404: "No such subscriber"}),
    )
    router.add_api_route(
        endpoint=list_subscribers,
        methods=["GET"],
        tags=["changes"],
        **route("/v1/subscribers", scope="read", answer=SubscribersAnswer),
    )
    router.add_api_route(
        endpoint=acknowledge,
        methods=["POST"],
        tags=["changes"],
        **route(
            _SUBSCRIBER + "/ack",
            scope="read",
            body=SubscriberAcknowledgement,
            answer=SubscriberAnswer,
            also={404: "No such subscriber", 409: "Somebody has moved it"},
        ),
    )
    router.add_api_route(
        endpoint=remove_subscriber,
        methods=["DELETE"],
        tags=["changes"],
        **route(
            _SUBSCRIBER,
            scope="read",
            status=204,
            also={404: "No such subscriber"},
            parameters=[parameter("owner", "whose it is, for an admin who removes another's")],
        ),
    )


def _owner_named(request: Request, caller: Caller) -> str:
    named = request.query_params.get("owner")
    return named if named is not None and "admin" in caller.scopes else caller.owner
