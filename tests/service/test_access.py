"""API keys in headers."""

from __future__ import annotations

import pytest

from service.access import presented_key


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ([(b"x-api-key", b" sk_1 ")], "sk_1"),
        ([(b"authorization", b"Bearer sk_1")], "sk_1"),
        ([(b"authorization", b"BEARER   sk_1")], "sk_1"),
        ([(b"authorization", b"Basic sk_1")], None),
        ([(b"authorization", b"Basic x"), (b"x-api-key", b"sk_2")], "sk_2"),
        ([(b"x-api-key", b"")], None),
        ([(b"x-api-key", b"k" * 257)], None),
        ([], None),
    ],
)
def test_a_key_is_read_from_either_header(headers: list[tuple[bytes, bytes]], text: str | None) -> None:
    assert presented_key({"type": "http", "headers": headers}) == text
