"""Routes of source contracts.

Invariant: only an admin changes a contract, because a contract says whose word counts as a judgement.
Elsewhere: the rules of contracts (`identity.contract`); retiring a source (`sameas source retire`).
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import caller_of
from identity.api.describe import route
from identity.api.doors import Doors, Order
from identity.api.read_body import path_text, read_object
from identity.api.render import contract_document, json_response
from identity.api.shapes import ContractAnswer, ContractBody, ContractsAnswer

__all__ = ["add_source_routes"]

_SOURCE = "/v1/sources/{source}"


def add_source_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes of source contracts to `router`."""

    async def put_source(request: Request) -> Response:
        """Register a source, or give it the next version of its contract."""
        source = path_text(request, "source")
        document = await read_object(request)
        author = caller_of(request).author
        order = Order(
            "put_source", {"name": source, "document": document, "author": author}, lane=(source, "")
        )
        answer = await doors.write(order)
        return Response(answer.body, status_code=answer.status, media_type="application/json")

    async def get_source(request: Request) -> Response:
        """Read the contract in force of one source."""
        source = path_text(request, "source")
        caller_of(request).check_sources((source,))
        contract = await doors.read(lambda identity: identity.get_source(source))
        return json_response(contract_document(contract))

    async def list_sources(request: Request) -> Response:
        """List the contracts in force of the sources that the caller may see."""
        caller = caller_of(request)
        contracts = await doors.read(lambda identity: identity.list_sources())
        shown = [contract_document(contract) for contract in contracts if caller.sees(contract.name)]
        return json_response({"sources": shown})

    router.add_api_route(
        endpoint=put_source,
        methods=["PUT"],
        tags=["sources"],
        **route(
            _SOURCE,
            scope="admin",
            body=ContractBody,
            answer=ContractAnswer,
            also={201: "Registered", 409: "The new contract would break keys already stored"},
        ),
    )
    router.add_api_route(
        endpoint=get_source,
        methods=["GET"],
        tags=["sources"],
        **route(_SOURCE, scope="read", answer=ContractAnswer, also={404: "No such source"}),
    )
    router.add_api_route(
        endpoint=list_sources,
        methods=["GET"],
        tags=["sources"],
        **route("/v1/sources", scope="read", answer=ContractsAnswer),
    )
