"""Routes of stewards: find customers, explain two records, judge them, withdraw a judgement.

Invariant: search and explain store nothing and log who asked; a bound caller judges and compares records
of its own sources only.
Elsewhere: what a judgement does (`identity.judge`), scoring (`matching.score`).
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.caller import caller_of
from identity.api.describe import route
from identity.api.doors import Doors, Order
from identity.api.read_body import path_text, read_shape
from identity.api.render import json_response, ref_documents
from identity.api.shapes import (
    ExplainAnswer,
    ExplainBody,
    JudgementAnswer,
    JudgementBody,
    SearchAnswer,
    SearchBody,
)
from identity.model import RecordRef
from identity.statement import parse_instant

__all__ = ["add_steward_routes"]

# Judgements share one lane: two that contradict each other are admitted in the order they came.
_LANE = ("", "judgements")


def add_steward_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes of stewards to `router`."""

    async def search(request: Request) -> Response:
        """Find customers by attributes before creating one; stores nothing."""
        body = await read_shape(request, SearchBody)
        sources = caller_of(request).sources
        hits = await doors.read(
            lambda identity: identity.search(body.attributes, limit=body.limit, sources=sources)
        )
        candidates = [
            {
                "cid": hit.cid,
                "probability": hit.probability,
                "weight": hit.weight,
                "records": ref_documents(hit.records),
            }
            for hit in hits
        ]
        return json_response({"candidates": candidates})

    async def explain(request: Request) -> Response:
        """Explain why two records are together, or apart."""
        body = await read_shape(request, ExplainBody)
        left, right = (RecordRef(ref.source, ref.key) for ref in (body.left, body.right))
        caller_of(request).check_sources((left.source, right.source))
        known_at = parse_instant(body.known_at, "known_at")
        return json_response(
            await doors.read(lambda identity: identity.explain(left, right, known_at=known_at))
        )

    async def judge(request: Request) -> Response:
        """Judge records: the same customer, or not."""
        body = await read_shape(request, JudgementBody)
        caller = caller_of(request)
        caller.check_sources({ref.source for ref in (*body.left, *body.right)})
        arguments = body.model_dump() | {"author": caller.author}
        answer = await doors.write(Order("judge", arguments, lane=_LANE, repeatable=False))
        return Response(answer.body, status_code=answer.status, media_type="application/json")

    async def withdraw_judgement(request: Request) -> Response:
        """Withdraw a judgement: the partition is then what holds without it."""
        arguments = {"id": path_text(request, "id"), "author": caller_of(request).author}
        await doors.write(Order("withdraw_judgement", arguments, lane=_LANE, repeatable=False))
        return Response(status_code=204)

    router.add_api_route(
        endpoint=search,
        methods=["POST"],
        tags=["stewards"],
        **route("/v1/search", scope="read", body=SearchBody, answer=SearchAnswer, personal=True),
    )
    router.add_api_route(
        endpoint=explain,
        methods=["POST"],
        tags=["stewards"],
        **route(
            "/v1/explain",
            scope="read",
            body=ExplainBody,
            answer=ExplainAnswer,
            personal=True,
            also={404: "No such record"},
        ),
    )
    router.add_api_route(
        endpoint=judge,
        methods=["POST"],
        tags=["stewards"],
        **route(
            "/v1/judgements",
            scope="steward",
            body=JudgementBody,
            answer=JudgementAnswer,
            also={409: "It contradicts judgements in force"},
        ),
    )
    router.add_api_route(
        endpoint=withdraw_judgement,
        methods=["DELETE"],
        tags=["stewards"],
        **route(
            "/v1/judgements/{id}",
            scope="steward",
            status=204,
            also={204: "Withdrawn", 404: "No judgement in force has this id"},
        ),
    )
