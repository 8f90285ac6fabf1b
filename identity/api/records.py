"""Routes by which a source states its records: one, many as a stream, withdrawn, or born with a CID.

Invariant: what a source states is read by `identity.statement` in a resolver process; these routes only
pass it on, so that all ways in give the same command.
Elsewhere: the stream's flow (`service.record_stream`), the processes (`service.resolvers`).
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import caller_of
from identity.api.describe import parameter, route
from identity.api.doors import Doors, Order, OrderAnswer
from identity.api.errors import KeyInPath, ParameterInvalid
from identity.api.read_body import body_of, check_media_type, number_parameter, path_text
from identity.api.shapes import (
    CustomerAnswer,
    CustomerBody,
    LineAnswer,
    RecordBody,
    RecordLine,
    StatedAnswer,
)
from identity.contract import SourceContract

__all__ = ["add_record_routes", "check_key_in_path"]

NDJSON: Final = "application/x-ndjson"
_NDJSON_TYPES: Final = (NDJSON, "application/ndjson", "application/jsonl", "application/json-lines")
# Clients that post a file name no better type; the lines are checked one by one anyway.
_NDJSON_ALSO: Final = ("application/json", "application/octet-stream", "text/plain")
_RECORD: Final = "/v1/sources/{source}/records/{key}"
_VERSION_MAX: Final = 2**63 - 1
_IDEMPOTENCY_KEY_MAX: Final = 255
_CONFLICT: Final = {
    409: "This version is already recorded with other content, or the source is retired",
    422: "The statement breaks a rule",
}


def check_key_in_path(contract: SourceContract) -> None:
    """Raise KeyInPath if keys of this source may not stand in a path."""
    if contract.key_personal:
        raise KeyInPath(
            f"keys of source {contract.name} are personal data and may not stand in a path; "
            "use POST /v1/sources/{source}/records or POST /v1/lookup"
        )


def add_record_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes that state records to `router`."""

    async def put_record(request: Request) -> Response:
        """State one record: resolve it and answer with its CID."""
        source, key = path_text(request, "source"), path_text(request, "key")
        caller = caller_of(request)
        caller.check_sources((source,))
        dry_run = _flag(request, "dry_run")
        arguments = {"source": source, "key": key, "author": caller.author, "dry_run": dry_run}
        order = Order("state", arguments, await body_of(request), lane=(source, key))
        return _answer(await doors.write(order))

    async def withdraw_record(request: Request) -> Response:
        """State that the source no longer has this record."""
        source, key = path_text(request, "source"), path_text(request, "key")
        caller = caller_of(request)
        caller.check_sources((source,))
        arguments = {
            "source": source,
            "key": key,
            "author": caller.author,
            "version": number_parameter(request, "version", least=0, most=_VERSION_MAX),
            "effective_at": request.query_params.get("effective_at"),
        }
        return _answer(await doors.write(Order("withdraw", arguments, lane=(source, key))))

    async def post_records(request: Request) -> Response:
        """State many records, a line each; each line is answered as soon as it is committed."""
        source = path_text(request, "source")
        caller = caller_of(request)
        caller.check_sources((source,))
        check_media_type(request, *_NDJSON_TYPES, *_NDJSON_ALSO)
        contract = await doors.contract_of(source)
        return doors.stream_lines(request, contract, author=caller.author)

    async def post_customer(request: Request) -> Response:
        """Create a customer without a key of one's own: the CID becomes the key (approach 4)."""
        source = path_text(request, "source")
        caller = caller_of(request)
        caller.check_sources((source,))
        idempotency_key = request.headers.get("idempotency-key", "")
        if not 0 < len(idempotency_key) <= _IDEMPOTENCY_KEY_MAX or not idempotency_key.isprintable():
            raise ParameterInvalid(
                "the header Idempotency-Key is 1 to 255 characters, the same when the request is sent again"
            )
        arguments = {"source": source, "author": caller.author, "idempotency_key": idempotency_key}
        return _answer(
            await doors.write(Order("create", arguments, await body_of(request), lane=(source, "")))
        )

    router.add_api_route(
        endpoint=put_record,
        methods=["PUT"],
        tags=["records"],
        **route(
            _RECORD,
            scope="write",
            body=RecordBody,
            answer=StatedAnswer,
            also={201: "Stated for the first time", **_CONFLICT},
            parameters=[parameter("dry_run", "answer without storing anything", example="true")],
        ),
    )
    router.add_api_route(
        endpoint=withdraw_record,
        methods=["DELETE"],
        tags=["records"],
        **route(
            _RECORD,
            scope="write",
            answer=StatedAnswer,
            also={404: "The source never stated this record", **_CONFLICT},
            parameters=[
                parameter("version", "version number of the withdrawal", example="4"),
                parameter("effective_at", "RFC 3339 time from which it holds"),
            ],
        ),
    )
    router.add_api_route(
        endpoint=post_records,
        methods=["POST"],
        tags=["records"],
        **route(
            "/v1/sources/{source}/records",
            scope="write",
            body=RecordLine,
            answer=LineAnswer,
            media_types=[NDJSON],
            answer_types=[NDJSON],
            limit="stream",
            also={404: "No such source"},
        ),
    )
    router.add_api_route(
        endpoint=post_customer,
        methods=["POST"],
        tags=["records"],
        **route(
            "/v1/sources/{source}/customers",
            scope="write",
            body=CustomerBody,
            answer=CustomerAnswer,
            status=201,
            also={
                409: "The source already has a record of this customer, or the idempotency key another body"
            },
            parameters=[
                parameter("Idempotency-Key", "the same when the request is sent again", place="header")
                | {"required": True}
            ],
        ),
    )


def _answer(answer: OrderAnswer) -> Response:
    return Response(answer.body, status_code=answer.status, media_type="application/json")


def _flag(request: Request, name: str) -> bool:
    stated = request.query_params.get(name, "false")
    if stated not in {"true", "false"}:
        raise ParameterInvalid(f"{name} is true or false")
    return stated == "true"
