"""Build the HTTP application: routes, their guards, and the layers around them.

A request passes, outermost first:

1. `service.front`   notes, counts and logs it, and answers faults
2. `service.access`  finds out who asks, by API key
3. the router        finds the route by the percent-encoded path
4. `service.guard`   checks the route's scope, counts the body's bytes, notes the template
5. the route         (`identity.api`, `service.operations`)

Invariant: building opens nothing; the lifespan starts and ends what the routes need.
Elsewhere: running it (`service.serve`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import orjson
from fastapi import FastAPI

from identity.api.doors import Order
from identity.api.routes import add_identity_routes
from identity.store_sql.key_reader import make_key_reader
from identity.store_sql.opening import SqlStore
from matching.errors import SameasError
from service.access import Access
from service.bootstrap import build_identity, url_of
from service.clock import SystemClock
from service.companions import Companions
from service.doors import ServiceDoors
from service.following import keep_following
from service.front import Front
from service.guard import guard_routes
from service.keys import ApiKeys
from service.look_up_counts import LookUpCounts
from service.operations import add_operation_routes
from service.problems import add_problem_handlers
from service.resolvers.pool import ResolverPool
from service.settings import Settings
from service.telemetry import Metrics, log_event
from service.webhook_running import make_poster
from streams.coverage_routes import add_coverage_routes
from streams.webhook_routes import add_webhook_routes

__all__ = ["create_app", "service_version"]

_DESCRIPTION: Final = """Customer records in, one durable customer identifier (CID) out, looked up both ways.

Every route but `/healthz` needs an API key (`Authorization: Bearer ...` or `x-api-key`); the scope that a
route needs stands beside it as `x-sameas-scope`. Errors are RFC 9457 problem details with a stable `code`."""

_SETTLE_LIMIT: Final = 200
_SETTLE_SECONDS: Final = 1.0
_LOOK_UPS_SECONDS: Final = 60.0


def service_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("sameas")
    except PackageNotFoundError:
        return "0"


def create_app(settings: Settings, store: SqlStore) -> FastAPI:
    """Return the application over an open store; its lifespan starts the resolver processes."""
    metrics = Metrics()
    for_children = _for_children(settings)
    companions = Companions(
        settings.serve_with,
        for_children,
        count_restart=lambda name: metrics.companion_restarts.labels(name).inc(),
    )
    doors = ServiceDoors(
        settings,
        identity=build_identity(store),
        key_reader=make_key_reader(url_of(settings)),
        resolvers=ResolverPool(
            for_children,
            process_count=settings.resolver_count,
            batch_records_max=settings.batch_records_max,
            waiting_records_max=settings.waiting_records_max,
            coalesce_ms=settings.coalesce_ms,
            count_restart=metrics.resolver_restarts.inc,
            count_work=metrics.count_work,
        ),
        metrics=metrics,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            try:
                await doors.start()
                await companions.start()
            except SameasError as exc:
                # The server only logs that the start failed; who started it is told why.
                app.state.start_error = exc
                raise
            beside = [asyncio.create_task(one(doors)) for one in (_settle, keep_following, _keep_look_ups)]
            yield
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await _store_look_ups(doors)
        finally:
            # Together: a companion may take as long as its batch, and whoever stops us does not wait for ever.
            await asyncio.gather(companions.close(), doors.close())

    app = FastAPI(
        title="sameas",
        version=service_version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    add_identity_routes(app.router, doors)
    add_webhook_routes(app.router, doors, post=make_poster(settings), now=SystemClock().now)
    add_coverage_routes(app.router, doors, now=SystemClock().now)
    add_operation_routes(app.router, app, doors=doors, companions=companions, metrics=metrics)
    guard_routes(
        app, body_bytes_max=settings.body_bytes_max, list_body_bytes_max=settings.list_body_bytes_max
    )
    add_problem_handlers(app)
    app.add_middleware(Access, keys=ApiKeys(store.engine, SystemClock().now))
    app.add_middleware(Front, metrics=metrics)
    app.state.doors = doors
    app.state.start_error = None
    return app


async def _settle(doors: ServiceDoors) -> None:
    """Let a resolver process settle what other work left, while there is any."""
    order = Order("settle", {"limit": _SETTLE_LIMIT}, lane=("", "settle"))
    left = 0
    while left or await doors.pause(_SETTLE_SECONDS):
        try:
            left = orjson.loads((await doors.write(order)).body)["left"]
        except SameasError as exc:
            left = 0
            log_event(logging.WARNING, "not_settled", code=exc.code)


async def _keep_look_ups(doors: ServiceDoors) -> None:
    """Store once in a while who looked keys up."""
    while await doors.pause(_LOOK_UPS_SECONDS):
        await _store_look_ups(doors)


async def _store_look_ups(doors: ServiceDoors) -> None:
    """Store who looked keys up since the last time; what cannot be stored now is counted on."""
    counts, now = doors.look_ups.take(), SystemClock().now()
    try:
        await doors.read(lambda identity: LookUpCounts.store(identity.store, counts, now=now))
    except SameasError as exc:
        for (source, serves), count in counts.items():
            doors.look_ups.note(serves, source, count)
        log_event(logging.WARNING, "look_ups_not_stored", code=exc.code)


def _for_children(settings: Settings) -> dict[str, object]:
    """Return the settings as JSON values, secrets in clear: they go through a pipe, not by environment."""
    document = settings.model_dump(mode="json")
    for name in ("database_url", "store_key"):
        secret = getattr(settings, name)
        document[name] = None if secret is None else secret.get_secret_value()
    document["kafka_options"] = {
        name: value.get_secret_value() for name, value in settings.kafka_options.items()
    }
    document["admin_key"] = None
    document["data_dir"] = str(settings.data_dir.absolute())
    return document
