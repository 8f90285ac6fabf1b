"""Routes that start from a CID: what it stands for, its history, its golden record, where it is now.

Invariant: a CID once issued is never answered with 404. A bound caller sees of a CID its status and
successors (they are opaque), and of records, events and values only those of its own sources.
Elsewhere: the reads (`identity.look_up`), survivorship (`identity.survive`).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.arrow import ARROW, ROWS_MAX, accepts_arrow, read_columns, resolved_stream
from identity.api.caller import caller_of
from identity.api.describe import route
from identity.api.doors import Doors
from identity.api.errors import BodyInvalid, BodyTooLarge
from identity.api.read_body import (
    check_media_type,
    decode_object,
    instant_parameter,
    media_type_of,
    path_text,
)
from identity.api.render import event_document, json_response, ref_documents, resolved_rows
from identity.api.shapes import CidAnswer, CidsBody, CidsResolved, GoldenAnswer, HistoryAnswer
from identity.errors import CidUnknown
from identity.statement import parse_instant

if TYPE_CHECKING:
    from identity.service import Identity

__all__ = ["add_cid_routes"]

_CID: Final = "/v1/cids/{cid}"
_NEVER: Final = {404: "Never issued here"}


def add_cid_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes that start from a CID to `router`."""

    async def resolve_cids(request: Request) -> Response:
        """Follow up to 10,000 CIDs to the live ones that stand for their customers."""
        check_media_type(request, "application/json", ARROW)
        body, wants_arrow = await request.body(), accepts_arrow(request)
        is_arrow = media_type_of(request) == ARROW
        time_of_query = instant_parameter(request, "known_at") if is_arrow else None

        def answer(identity: Identity) -> Response:
            if is_arrow:
                cids = [str(text) for text in read_columns(body, required=("cid",))["cid"]]
                known_at = time_of_query
            else:
                stated = decode_object(body)
                cids = _cids_of(stated)
                known_at = parse_instant(stated.get("known_at"), "known_at")
            rows, horizon = identity.resolve_cids(cids, known_at=known_at)
            return (
                resolved_stream(rows, horizon) if wants_arrow else json_response(resolved_rows(rows, horizon))
            )

        return await doors.read(answer)

    async def get_cid(request: Request) -> Response:
        """Read what a CID stands for now."""
        cid, caller = _cid_of(request), caller_of(request)
        view = await doors.read(lambda identity: identity.get_cid(cid))
        return json_response(
            {
                "cid": view.cid,
                "status": view.status.value,
                "successors": view.successors,
                "records": ref_documents(ref for ref in view.records if caller.sees(ref.source)),
            }
        )

    async def get_history(request: Request) -> Response:
        """Read every event that named a CID."""
        cid, caller = _cid_of(request), caller_of(request)
        events = await doors.read(lambda identity: identity.cid_events(cid))
        return json_response(
            {"events": [event_document(event) for event in events if caller.sees(event.source)]}
        )

    async def get_golden(request: Request) -> Response:
        """Read the surviving attributes of a customer, each with the record it came from."""
        cid, caller = _cid_of(request), caller_of(request)
        live, attributes = await doors.read(lambda identity: identity.golden(cid, sources=caller.sources))
        return json_response({"cid": live, "attributes": attributes})

    router.add_api_route(
        endpoint=resolve_cids,
        methods=["POST"],
        tags=["cids"],
        **route(
            "/v1/cids/resolve",
            scope="read",
            body=CidsBody,
            answer=CidsResolved,
            media_types=["application/json", ARROW],
            answer_types=[ARROW],
            limit="list",
            also={413: "More than 10,000 CIDs"},
        ),
    )
    router.add_api_route(
        endpoint=get_cid,
        methods=["GET"],
        tags=["cids"],
        **route(_CID, scope="read", answer=CidAnswer, also=_NEVER),
    )
    router.add_api_route(
        endpoint=get_history,
        methods=["GET"],
        tags=["cids"],
        **route(f"{_CID}/history", scope="read", answer=HistoryAnswer, also=_NEVER),
    )
    router.add_api_route(
        endpoint=get_golden,
        methods=["GET"],
        tags=["cids"],
        **route(f"{_CID}/golden", scope="read", answer=GoldenAnswer, also=_NEVER, personal=True),
    )


def _cid_of(request: Request) -> str:
    stated = path_text(request, "cid")
    try:
        return str(uuid.UUID(stated))
    except ValueError:
        raise CidUnknown("a CID is a UUID; this is none, so it was never issued here") from None


def _cids_of(stated: dict[str, object]) -> list[str]:
    cids = stated.get("cids")
    if not stated.keys() <= {"cids", "known_at"} or not isinstance(cids, list):
        raise BodyInvalid("the body has the members cids (a list) and known_at only")
    if len(cids) > ROWS_MAX:
        raise BodyTooLarge(f"a request names at most {ROWS_MAX} CIDs")
    for index, cid in enumerate(cids):
        if type(cid) is not str:
            raise BodyInvalid(f"cids.{index} is a text")
    return cids
