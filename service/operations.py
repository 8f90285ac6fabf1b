"""Routes of operation: is it alive, is it ready, how is it doing, what are its routes.

Invariant: only `/healthz` is open to all, and it says nothing but that the process answers.
Elsewhere: the metrics themselves (`service.telemetry`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from identity.api.describe import route
from identity.api.render import json_response
from identity.errors import Unavailable
from service.clock import SystemClock
from service.companions import Companions
from service.doors import ServiceDoors
from service.errors import ResolverLost
from service.guard import ANY, PUBLIC
from service.problems import problem_response
from service.telemetry import Metrics
from streams.coverage import CoverageBook

__all__ = ["add_operation_routes"]


def add_operation_routes(
    router: APIRouter, app: FastAPI, *, doors: ServiceDoors, companions: Companions, metrics: Metrics
) -> None:
    """Add the routes of operation to `router`."""

    async def healthz(_request: Request) -> Response:
        """Tell that the process answers; needs no API key."""
        return json_response({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        """Tell whether the store answers, is migrated and settled, and whether records can be resolved."""
        try:
            unsettled = await doors.read(lambda identity: identity.unsettled())
        except Unavailable as exc:
            return problem_response(exc)
        metrics.unsettled.set(unsettled)
        pool = doors.resolvers
        if pool.ready_count < pool.process_count:
            return problem_response(ResolverLost("a resolver process is being started again"))
        ready = {"status": "ready", "unsettled": unsettled, "resolvers": pool.ready_count}
        # Requests do not need them, so one that is started again is shown and no reason to send requests elsewhere.
        if states := companions.list_states():
            ready["companions"] = states
        return json_response(ready)

    async def get_metrics(_request: Request) -> Response:
        """Read the metrics in the text format of Prometheus."""
        metrics.waiting.set(doors.resolvers.waiting_records)
        metrics.unsettled.set(await doors.read(lambda identity: identity.unsettled()))
        metrics.set_report(await doors.read(lambda identity: identity.report_numbers()))
        metrics.set_deliveries(
            await doors.read(lambda identity: CoverageBook(identity).list_gauges(now=SystemClock().now()))
        )
        for name, state in companions.list_states().items():
            metrics.set_companion(name, is_running=state == "running")
        beside = await companions.read_metrics()
        return Response(generate_latest(metrics.registry) + beside, media_type=CONTENT_TYPE_LATEST)

    async def openapi(_request: Request) -> Response:
        """Read the OpenAPI document of all routes."""
        return json_response(app.openapi())

    async def docs(_request: Request) -> Response:
        """Read the routes as a page."""
        # The document stands in the page: a browser would ask for it without the API key.
        return get_swagger_ui_html(
            openapi_url="/openapi.json", title=app.title, swagger_ui_parameters={"spec": app.openapi()}
        )

    def add(path: str, endpoint: Callable[[Request], Awaitable[Response]], scope: str) -> None:
        described = route(path, scope=scope)
        router.add_api_route(endpoint=endpoint, methods=["GET"], tags=["operation"], **described)

    add("/healthz", healthz, PUBLIC)
    add("/readyz", readyz, ANY)
    add("/metrics", get_metrics, "read")
    add("/openapi.json", openapi, ANY)
    add("/docs", docs, ANY)
