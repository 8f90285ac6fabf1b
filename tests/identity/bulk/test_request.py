"""What a load is asked and what it tells."""

from __future__ import annotations

from identity.bulk.request import BULK_RECORDS_MIN, LoadReport, LoadRequest
from tests.identity.bulk.loads import Listed


def test_a_request_says_little_and_a_report_begins_empty() -> None:
    request = LoadRequest("crm", Listed(()), "load-1", "me")

    assert (request.snapshot, request.withdraw_max, request.bulk_records_min) == (
        False,
        0.05,
        BULK_RECORDS_MIN,
    )
    assert LoadReport() == LoadReport(rows=0, rejected=0)
