"""Sign what webhooks carry, as the Standard Webhooks specification says (symmetric signatures, `v1`).

Invariant: pure; a signature covers the message's id, the time of the attempt and every byte of the body.
Source: https://github.com/standard-webhooks/standard-webhooks, spec 1.0, with its own library as the tests' reader.
Elsewhere: sending (`streams.webhook_post`), keeping secrets (`streams.webhook_book`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final

from streams.errors import WebhookInvalid

__all__ = ["SECRET_BYTES", "format_secret", "parse_secret", "signed_headers"]

SECRET_BYTES: Final = 32
_BYTES_MIN: Final = 24
_BYTES_MAX: Final = 64
_PREFIX: Final = "whsec_"


def format_secret(secret: bytes) -> str:
    """Return a secret as its receiver configures it."""
    return _PREFIX + base64.b64encode(secret).decode()


def parse_secret(text: str) -> bytes:
    """Return the bytes of a secret; raises WebhookInvalid unless it is `whsec_` and base64 of 24 to 64 bytes."""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise WebhookInvalid("A webhook's secret is whsec_ and base64.") from exc
    if not text.startswith(_PREFIX) or not _BYTES_MIN <= len(secret) <= _BYTES_MAX:
        raise WebhookInvalid("A webhook's secret is whsec_ and base64 of 24 to 64 bytes.")
    return secret


def signed_headers(
    secrets: Iterable[bytes], *, message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of a message; of several secrets any one verifies it."""
    told = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(secret, told, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
