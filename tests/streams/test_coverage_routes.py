"""The shape of coverage's answer is what is measured; the route itself runs in `tests/service/test_serve_coverage.py`."""

from __future__ import annotations

from identity.service import Identity
from streams.coverage import CoverageBook, coverage_document
from streams.coverage_routes import CoverageAnswer
from streams.ledger import DeliveryLedger
from tests.identity.stores import stated, tell


def test_what_is_measured_has_the_shape_that_is_promised(identity: Identity) -> None:
    tell(identity, stated("1", version=7, email=("ann",)))
    DeliveryLedger(identity).follow()

    document = coverage_document(CoverageBook(identity).measure("crm", now=2 * 10**15))

    assert CoverageAnswer.model_validate(document, strict=True).model_dump() == document
    assert list(CoverageAnswer.model_fields) == list(document)
