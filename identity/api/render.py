"""Write answers: values of identity as the JSON that the routes promise.

Invariant: pure; times are RFC 3339 in UTC with microseconds.
Elsewhere: the shapes for OpenAPI (`identity.api.shapes`), Arrow (`identity.api.arrow`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson
from starlette.responses import Response

from identity.contract import SourceContract
from identity.model import Cid, CidStatus, CrosswalkEvent, Instant, RecordAnswer, RecordRef
from identity.report import Report
from identity.snapshot import CrosswalkKey
from identity.statement import format_instant
from identity.subscribers import Subscriber
from matching.errors import SameasError

__all__ = [
    "UNKNOWN",
    "contract_document",
    "crosswalk_line",
    "error_line",
    "event_document",
    "json_response",
    "record_line",
    "ref_documents",
    "report_document",
    "resolved_rows",
    "stated_document",
    "subscriber_document",
]

UNKNOWN = "unknown"
"""The status of a CID that was never issued here."""


def json_response(document: object, *, status: int = 200) -> Response:
    """Return the answer that is `document` as JSON."""
    return Response(orjson.dumps(document), status_code=status, media_type="application/json")


def contract_document(contract: SourceContract) -> dict[str, object]:
    """Return a contract as the routes show it."""
    return {"source": contract.name, "version": contract.version, "contract": contract.document}


def stated_document(answer: RecordAnswer) -> dict[str, object]:
    """Return what one statement did."""
    return {
        "source": answer.ref.source,
        "key": answer.ref.key,
        "cid": answer.cid,
        "outcome": answer.outcome.value,
        "known_at": format_instant(answer.known_at),
        "warnings": [{"attribute": attribute, "code": code} for attribute, code in answer.warnings],
    }


def record_line(answer: RecordAnswer) -> bytes:
    """Return the answer line of one statement of a stream, without its newline."""
    return orjson.dumps({"key": answer.ref.key, "cid": answer.cid, "outcome": answer.outcome.value})


def error_line(key: object, error: SameasError) -> bytes:
    """Return the answer line of a line that was refused; the caller's own key, if it is a text."""
    return orjson.dumps(
        {"key": key if isinstance(key, str) else None, "error": {"code": error.code, "detail": error.detail}}
    )


def event_document(event: CrosswalkEvent) -> dict[str, object]:
    """Return one event as published."""
    return {
        "seq": event.seq,
        "id": event.id,
        "type": event.type.value,
        "source": event.source,
        "key": event.key,
        "cid": event.cid,
        "previous_cid": event.previous_cid,
        "version": event.version,
        "valid_from": format_instant(event.valid_from),
        "known_at": format_instant(event.known_at),
        "cause": {"kind": event.cause.kind.value, "ref": event.cause.ref},
    }


def crosswalk_line(row: CrosswalkKey) -> bytes:
    """Return one key of the crosswalk as a line without its newline: the value of a `sameas.crosswalk` message."""
    return orjson.dumps(
        {
            "source": row.source,
            "key": row.key,
            "cid": row.cid,
            "status": row.status.value,
            "version": row.version,
            "known_at": format_instant(row.known_at),
        }
    )


def subscriber_document(subscriber: Subscriber) -> dict[str, object]:
    """Return a subscriber and how far it has come."""
    return {
        "name": subscriber.name,
        "owner": subscriber.owner,
        "cursor": subscriber.cursor,
        "created_at": format_instant(subscriber.created_at),
        "moved_at": format_instant(subscriber.moved_at),
    }


def ref_documents(refs: Iterable[RecordRef]) -> list[dict[str, str]]:
    """Return records as `{"source", "key"}`."""
    return [{"source": ref.source, "key": ref.key} for ref in refs]


def report_document(report: Report) -> dict[str, object]:
    """Return the report of a store; the values in it are personal data."""
    model, oversized = report.model, report.oversized
    return {
        "model": {
            "version": model.version,
            "active_since": format_instant(model.active_since),
            "population": model.population,
            "customers": model.customers,
            "is_outgrown": model.is_outgrown,
            "sources_new": model.sources_new,
            "is_out_of_date": model.is_out_of_date,
        },
        "oversized": {
            "records": oversized.record_count,
            "groups": [
                {
                    "profiles": len(group.pids),
                    "values": [
                        {"rule": one.rule, "value": one.value, "profiles": len(one.pids)}
                        for one in group.values
                    ],
                }
                for group in oversized.groups
            ],
            "is_complete": oversized.is_complete,
        },
    }


def resolved_rows(
    rows: Sequence[tuple[str, CidStatus | None, tuple[Cid, ...]]], horizon: Instant
) -> dict[str, object]:
    """Return CIDs followed to where they are."""
    return {
        "cids": [
            {"cid": cid, "status": UNKNOWN if status is None else status.value, "current": current}
            for cid, status, current in rows
        ],
        "horizon": format_instant(horizon),
    }
