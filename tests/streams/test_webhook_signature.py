"""Signatures are those of the Standard Webhooks specification."""

from __future__ import annotations

import pytest

from streams.errors import WebhookInvalid
from streams.webhook_signature import format_secret, parse_secret, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_the_specification_is_met() -> None:
    headers = signed_headers([parse_secret(SECRET)], message_id=MESSAGE, timestamp_s=TIME, body=BODY)

    assert headers == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": str(TIME),
        "webhook-signature": SIGNATURE,
    }


def test_each_secret_signs_and_the_newest_comes_first() -> None:
    headers = signed_headers(
        [b"n" * 32, parse_secret(SECRET)], message_id=MESSAGE, timestamp_s=TIME, body=BODY
    )

    first, second = headers["webhook-signature"].split(" ")
    assert second == SIGNATURE
    assert first != second


@pytest.mark.parametrize("change", [{"message_id": "x"}, {"timestamp_s": 1}, {"body": b"{}"}])
def test_id_time_and_body_are_all_signed(change: dict[str, object]) -> None:
    told = {"message_id": MESSAGE, "timestamp_s": TIME, "body": BODY} | change

    assert signed_headers([parse_secret(SECRET)], **told)["webhook-signature"] != SIGNATURE  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_comes_back_from_its_text(size: int) -> None:
    assert parse_secret(format_secret(b"s" * size)) == b"s" * size


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_!!!", "whsec_YQ==", format_secret(b"s" * 65), "c" * 44]
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(WebhookInvalid, match="secret"):
        parse_secret(text)
