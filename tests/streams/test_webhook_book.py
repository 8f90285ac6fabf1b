"""Webhooks are kept with their secrets sealed, and begin where they were told to."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from identity.errors import SourceUnknown, StatementRefused
from identity.service import Identity
from streams.errors import WebhookInvalid, WebhookUnknown
from streams.webhook_book import WebhookBook, WebhookState
from streams.webhook_signature import parse_secret
from tests.identity.stores import Place, stated, tell
from tests.promises.world import BEGIN, Clock

URL = "https://crm.example.com/cids"


@pytest.fixture
def book(identity: Identity) -> WebhookBook:
    return WebhookBook(identity, now=Clock())


def test_one_is_kept_as_it_was_stated(book: WebhookBook) -> None:
    hook, secret = book.add(URL, sources=["one", "crm", "one"], begin_at="start", author="test")

    assert book.get(hook.id) == hook
    assert book.list_all() == [hook]
    assert (hook.url, hook.sources, hook.cursor) == (URL, ("crm", "one"), "0.0")
    assert (hook.state, hook.waiting_count, hook.created_by) == (WebhookState.ACTIVE, 0, "test")
    assert hook.created_at > BEGIN
    assert book.secrets_of(hook.id) == [parse_secret(secret)]


def test_it_begins_now_at_the_start_or_at_a_cursor(identity: Identity, book: WebhookBook) -> None:
    tell(identity, stated("1", email=("ann",)), stated("2", email=("bob",)))
    first, last = (event.id for event in identity.changes(None, limit=2)[0])

    begun = [book.add(URL, sources=None, begin_at=at, author="t")[0].cursor for at in ("now", "start", first)]

    assert begun == [last, "0.0", first]
    with pytest.raises(StatementRefused):
        book.add(URL, sources=None, begin_at="yesterday", author="t")


def test_it_does_not_begin_ahead_of_the_feed(identity: Identity, book: WebhookBook) -> None:
    tell(identity, stated("1", email=("ann",)))
    known_at, _, seq = identity.feed_end().partition(".")

    with pytest.raises(StatementRefused, match="ahead"):
        book.add(URL, sources=None, begin_at=f"{known_at}.{int(seq) + 1}", author="t")

    assert book.list_all() == []


def test_what_cannot_be_is_refused_and_leaves_nothing(book: WebhookBook) -> None:
    with pytest.raises(WebhookInvalid):
        book.add("http://crm.example.com", sources=None, begin_at="now", author="t")
    with pytest.raises(WebhookInvalid):
        book.add(URL, sources=[], begin_at="now", author="t")
    with pytest.raises(SourceUnknown):
        book.add(URL, sources=["nobody"], begin_at="now", author="t")
    assert book.list_all() == []


def test_no_secret_can_be_read_in_the_store(place: Place) -> None:
    identity = place.open_identity()
    book = WebhookBook(identity, now=Clock())
    hook, secret = book.add(URL, sources=None, begin_at="now", author="t")
    second = book.rotate_secret(hook.id)

    with identity.store.read() as connection:
        [row] = connection.execute(text("SELECT * FROM webhook"))

    stored = b" ".join(
        bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode() for one in row
    )
    for one in (secret, second):
        assert parse_secret(one) not in stored
        assert one.encode() not in stored
    assert book.secrets_of(hook.id) == [parse_secret(second), parse_secret(secret)]


def test_a_removed_one_is_unknown_and_one_that_never_was_too(book: WebhookBook) -> None:
    hook, _ = book.add(URL, sources=None, begin_at="now", author="t")
    book.remove(hook.id)

    for webhook_id in (hook.id, "wh_0", "'; DROP TABLE webhook"):
        for do in (book.get, book.remove, book.rotate_secret, book.resume, book.secrets_of):
            with pytest.raises(WebhookUnknown):
                do(webhook_id)
