"""Routes that go from keys to CIDs.

Invariant: an answer keeps the order of the question; no personal data is in it.
Elsewhere: the reads themselves (`identity.look_up`), the fast path of one key
(`identity.store_sql.key_reader`).
"""

from __future__ import annotations

from typing import Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.api.arrow import ARROW, ROWS_MAX, accepts_arrow, looked_up_stream, read_columns
from identity.api.caller import caller_of
from identity.api.describe import parameter, route
from identity.api.doors import Doors
from identity.api.errors import BodyInvalid, BodyTooLarge
from identity.api.read_body import (
    check_media_type,
    decode_object,
    instant_parameter,
    media_type_of,
    path_text,
)
from identity.api.records import check_key_in_path
from identity.api.render import json_response
from identity.api.shapes import KeyCidAnswer, LookupAnswer, LookupBody
from identity.contract import check_key
from identity.look_up import AlternateRef
from identity.model import Instant, KeyStatus, RecordRef
from identity.statement import format_instant, parse_instant

__all__ = ["TIMES", "add_lookup_routes"]

TIMES: Final = [
    parameter("valid_at", "RFC 3339: as it held in the source at this time", example="2026-01-01T00:00:00Z"),
    parameter("known_at", "RFC 3339: as it was known here at this time"),
]
_MEMBERS: Final = frozenset({"keys", "valid_at", "known_at"})
_REF_MEMBERS: Final = 2
_STATUS_TEXT: Final = {status: status.value for status in KeyStatus}

AnyRef = RecordRef | AlternateRef


def add_lookup_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes that look keys up to `router`."""

    async def get_cid_of_key(request: Request) -> Response:
        """Look one key up."""
        source, key = path_text(request, "source"), path_text(request, "key")
        caller_of(request).check_sources((source,))
        contract = await doors.contract_of(source)
        check_key_in_path(contract)
        ref = RecordRef(source, check_key(contract, key))
        if request.scope["query_string"]:
            valid_at, known_at = (instant_parameter(request, name) for name in ("valid_at", "known_at"))
            found = await doors.read(
                lambda identity: identity.look_up([ref], valid_at=valid_at, known_at=known_at)
            )
            (cid, status), horizon = found.rows[0], found.horizon
        else:
            cid, status, horizon = await doors.find_current(ref)
        return json_response(
            {
                "source": source,
                "key": key,
                "cid": cid,
                "status": status.value,
                "horizon": format_instant(horizon),
            }
        )

    async def look_up(request: Request) -> Response:
        """Look up at most 10,000 keys, as JSON or Arrow, in one store round trip."""
        check_media_type(request, "application/json", ARROW)
        body = await request.body()
        if media_type_of(request) == ARROW:
            refs, sources, keys = _refs_of_arrow(body)
            valid_at, known_at = _times_of_query(request)
        else:
            stated = decode_object(body)
            refs, sources, keys = _refs_of_json(stated)
            valid_at, known_at = (_time(stated, name) for name in ("valid_at", "known_at"))
        caller_of(request).check_sources(set(sources))
        found = await doors.read(
            lambda identity: identity.look_up(refs, valid_at=valid_at, known_at=known_at)
        )
        if accepts_arrow(request):
            return looked_up_stream(sources, keys, found.rows, horizon=found.horizon)
        rows = [
            {"source": source, "key": key, "cid": cid, "status": _STATUS_TEXT[status]}
            for source, key, (cid, status) in zip(sources, keys, found.rows, strict=True)
        ]
        return Response(
            orjson.dumps({"cids": rows, "horizon": format_instant(found.horizon)}),
            media_type="application/json",
        )

    router.add_api_route(
        endpoint=get_cid_of_key,
        methods=["GET"],
        tags=["lookup"],
        **route(
            "/v1/sources/{source}/records/{key}/cid",
            scope="read",
            answer=KeyCidAnswer,
            parameters=TIMES,
            also={404: "No such source"},
        ),
    )
    router.add_api_route(
        endpoint=look_up,
        methods=["POST"],
        tags=["lookup"],
        **route(
            "/v1/lookup",
            scope="read",
            body=LookupBody,
            answer=LookupAnswer,
            media_types=["application/json", ARROW],
            answer_types=[ARROW],
            limit="list",
            also={413: "More than 10,000 keys"},
        ),
    )


def _refs_of_json(stated: dict[str, object]) -> tuple[list[AnyRef], list[str], list[str]]:
    """Read the keys by hand: 10,000 of them through a validating library cost more than the lookup."""
    if not stated.keys() <= _MEMBERS:
        raise BodyInvalid("the body has the members keys, valid_at and known_at only")
    asked = stated.get("keys")
    if not isinstance(asked, list):
        raise BodyInvalid("keys is a list")
    if len(asked) > ROWS_MAX:
        raise BodyTooLarge(f"a request names at most {ROWS_MAX} keys")
    refs: list[AnyRef] = []
    sources: list[str] = []
    keys: list[str] = []
    for index, member in enumerate(asked):
        if type(member) is not dict:
            raise BodyInvalid(f"keys.{index} is an object of texts")
        source, key = member.get("source"), member.get("key")
        if type(source) is not str or type(key) is not str:
            raise BodyInvalid(f"keys.{index} has source, key and at most key_name, each a text")
        if len(member) == _REF_MEMBERS:
            ref: AnyRef = RecordRef(source, key)
        elif len(member) == _REF_MEMBERS + 1 and type(name := member.get("key_name")) is str:
            ref = AlternateRef(source, name, key)
        else:
            raise BodyInvalid(f"keys.{index} has source, key and at most key_name, each a text")
        refs.append(ref)
        sources.append(source)
        keys.append(key)
    return refs, sources, keys


def _refs_of_arrow(body: bytes) -> tuple[list[AnyRef], list[str], list[str]]:
    columns = read_columns(body, required=("source", "key"), optional=("key_name",))
    sources, keys = [str(text) for text in columns["source"]], [str(text) for text in columns["key"]]
    names = columns.get("key_name") or [None] * len(keys)
    refs: list[AnyRef] = [
        RecordRef(source, key) if name is None else AlternateRef(source, name, key)
        for source, key, name in zip(sources, keys, names, strict=True)
    ]
    return refs, sources, keys


def _times_of_query(request: Request) -> tuple[Instant | None, Instant | None]:
    return instant_parameter(request, "valid_at"), instant_parameter(request, "known_at")


def _time(stated: dict[str, object], name: str) -> Instant | None:
    return parse_instant(stated.get(name), name)
