"""How a webhook is shown (the routes over a server: `tests/service/test_webhook_running.py`)."""

from __future__ import annotations

from streams.webhook_book import Webhook, WebhookState
from streams.webhook_routes import webhook_document

HOOK = Webhook(
    id="wh_1",
    url="https://crm.example.com/",
    sources=("crm",),
    state=WebhookState.DISABLED,
    reason="status 410",
    failing_since=1_700_000_000_000_000,
    failed_count=3,
    next_at=0,
    created_at=1_600_000_000_000_000,
    created_by="key:k_1",
    cursor="1.2",
    waiting_count=4,
)


def test_times_are_texts_and_no_time_is_null() -> None:
    document = webhook_document(HOOK)

    assert document["failing_since"] == "2023-11-14T22:13:20.000000Z"
    assert document["next_at"] is None
    assert (document["state"], document["waiting"], document["sources"]) == ("disabled", 4, ("crm",))
