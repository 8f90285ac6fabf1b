"""Routes that go from keys to CIDs.

Invariant: an answer keeps the order of the question; no personal data is in it.
Elsewhere: the reads themselves (`identity.look_up`), the fast path of one key
(`identity.store_sql.key_reader`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
from identity.look_up import LookUpAnswer
from identity.model import Instant, RecordRef
from identity.statement import format_instant, parse_instant

if TYPE_CHECKING:
    from identity.service import Identity

__all__ = ["TIMES", "add_lookup_routes"]

TIMES: Final = [
    parameter("valid_at", "RFC 3339: as it held in the source at this time", example="2026-01-01T00:00:00Z"),
    parameter("known_at", "RFC 3339: as it was known here at this time"),
]
_MEMBERS: Final = frozenset({"keys", "valid_at", "known_at"})
_REF_MEMBERS: Final = 2
_NO_TIMES: Final = (None, None)


def add_lookup_routes(router: APIRouter, doors: Doors) -> None:
    """Add the routes that look keys up to `router`."""

    async def get_cid_of_key(request: Request) -> Response:
        """Look one key up."""
        source, key = path_text(request, "source"), path_text(request, "key")
        caller = caller_of(request)
        caller.check_sources((source,))
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
        doors.note_look_up(caller, source, 1)
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
        body, caller, wants_arrow = await request.body(), caller_of(request), accepts_arrow(request)
        is_arrow = media_type_of(request) == ARROW
        times = _times_of_query(request) if is_arrow else _NO_TIMES

        def answer(identity: Identity) -> tuple[Response, Counter[str]]:
            asked = _read_arrow(body, times) if is_arrow else _read_json(body)
            caller.check_sources(set(asked.sources))
            found = asked.put_to(identity)
            if wants_arrow:
                return looked_up_stream(asked.sources, asked.keys, found), Counter(asked.sources)
            document = {"cids": asked.answered(found), "horizon": format_instant(found.horizon)}
            return json_response(document), Counter(asked.sources)

        response, counts = await doors.read(answer)
        for source, count in counts.items():
            doors.note_look_up(caller, source, count)
        return response

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


@dataclass(slots=True)
class _Asked:
    """The keys of one request as columns; `names` only if one of them is an alternate key.

    `members` are the keys as they were sent, for the answer to be written into.
    """

    sources: list[str]
    keys: list[str]
    names: list[str | None] | None
    times: tuple[Instant | None, Instant | None]
    members: list[dict[str, str | None]] | None = None

    def put_to(self, identity: Identity) -> LookUpAnswer:
        """Return what identity answers."""
        valid_at, known_at = self.times
        return identity.look_up_columns(
            self.sources, self.keys, self.names, valid_at=valid_at, known_at=known_at
        )

    def answered(self, found: LookUpAnswer) -> list[dict[str, str | None]]:
        """Return the rows of the answer: the members as sent with what was found in them."""
        members = self.members
        if members is None:
            members = [
                {"source": source, "key": key} for source, key in zip(self.sources, self.keys, strict=True)
            ]
        for member, cid, status in zip(members, found.cids, found.statuses, strict=True):
            member["cid"] = cid
            member["status"] = status
        if self.names is not None:
            for member in members:
                member.pop("key_name", None)
        return members


def _read_json(body: bytes) -> _Asked:
    """Read the keys by hand: 10,000 of them through a validating library cost more than the lookup."""
    stated = decode_object(body)
    if not stated.keys() <= _MEMBERS:
        raise BodyInvalid("the body has the members keys, valid_at and known_at only")
    asked = stated.get("keys")
    if not isinstance(asked, list):
        raise BodyInvalid("keys is a list")
    if len(asked) > ROWS_MAX:
        raise BodyTooLarge(f"a request names at most {ROWS_MAX} keys")
    sources, keys, names = _find_plain_columns(asked) or _read_columns(asked)
    return _Asked(sources, keys, names, (_time(stated, "valid_at"), _time(stated, "known_at")), asked)


def _find_plain_columns(asked: list[Any]) -> tuple[list[str], list[str], None] | None:
    """Return the columns of keys that are all plain and of the right shape, else None; the loops run in C."""
    if not (_are_all(dict, asked) and set(map(len, asked)) <= {_REF_MEMBERS}):
        return None
    sources, keys = ([member.get(name) for member in asked] for name in ("source", "key"))
    return (sources, keys, None) if _are_all(str, sources) and _are_all(str, keys) else None


def _are_all(kind: type, values: list[Any]) -> bool:
    return set(map(type, values)) <= {kind}


def _read_columns(asked: list[Any]) -> tuple[list[str], list[str], list[str | None]]:
    """Return the columns of any keys, or refuse the first one that is none."""
    sources: list[str] = []
    keys: list[str] = []
    names: list[str | None] = []
    for index, member in enumerate(asked):
        if type(member) is not dict:
            raise BodyInvalid(f"keys.{index} is an object of texts")
        source, key, name = (member.get(part) for part in ("source", "key", "key_name"))
        named = type(name) is str
        if type(source) is not str or type(key) is not str or len(member) != _REF_MEMBERS + named:
            raise BodyInvalid(f"keys.{index} has source, key and at most key_name, each a text")
        sources.append(source)
        keys.append(key)
        names.append(name)
    return sources, keys, names


def _read_arrow(body: bytes, times: tuple[Instant | None, Instant | None]) -> _Asked:
    columns = read_columns(body, required=("source", "key"), optional=("key_name",))
    sources, keys = ([text for text in columns[name] if text is not None] for name in ("source", "key"))
    names = columns.get("key_name")
    return _Asked(sources, keys, names, times)


def _times_of_query(request: Request) -> tuple[Instant | None, Instant | None]:
    return instant_parameter(request, "valid_at"), instant_parameter(request, "known_at")


def _time(stated: dict[str, object], name: str) -> Instant | None:
    return parse_instant(stated.get(name), name)
