"""Seal personal data with one data key a record, and hash what may only be compared.

Invariants: what a record states is readable only with that record's data key; the data key is stored
wrapped by the store's key; blocking keys, profile digests and references are keyed hashes, so that
nobody can test a guess against them without the store's key.
Source: AES-GCM (NIST SP 800-38D) from `cryptography`; BLAKE2b keyed mode (RFC 7693); HKDF (RFC 5869).
Elsewhere: where the store's key comes from (`identity.store_sql.opening`).
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from identity.errors import InvariantBroken
from identity.model import RecordRef

__all__ = ["STORE_KEY_BYTES", "Sealer"]

STORE_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_DATA_KEY_BYTES: Final = 16


class Sealer:
    """Seals, opens and hashes with keys derived from the store's key; safe to share between threads."""

    def __init__(self, store_key: bytes) -> None:
        self.store_key = store_key
        self._wrapping = AESGCM(_derive(store_key, b"wrap data keys"))
        self._digest_key = _derive(store_key, b"digests")
        self.blocking_hash_key = _derive(store_key, b"blocking keys")
        self.fingerprint = blake2b(
            b"fingerprint", key=_derive(store_key, b"fingerprint"), digest_size=8
        ).hexdigest()

    def new_data_key(self) -> tuple[bytes, bytes]:
        """Return a fresh data key and its wrapped form, which is what is stored."""
        data_key = os.urandom(_DATA_KEY_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        return data_key, nonce + self._wrapping.encrypt(nonce, data_key, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key; raises InvariantBroken when the store's key does not fit."""
        try:
            return self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], None)
        except InvalidTag as exc:
            raise InvariantBroken(
                "A data key cannot be unwrapped with the store's key; nothing was read."
            ) from exc

    def seal(self, data_key: bytes, plain: bytes) -> bytes:
        """Return `plain` encrypted and authenticated under the record's data key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(data_key).encrypt(nonce, plain, None)

    def seal_record(self, *plain: bytes) -> tuple[bytes, ...]:
        """Return the wrapped form of a fresh data key, then each of `plain` sealed under it.

        The same as `new_data_key` and `seal`, for loads: one draw of randomness and one cipher a record.
        """
        drawn = os.urandom(_DATA_KEY_BYTES + _NONCE_BYTES * (1 + len(plain)))
        data_key, nonces = drawn[:_DATA_KEY_BYTES], drawn[_DATA_KEY_BYTES:]
        nonce = nonces[:_NONCE_BYTES]
        sealed = [nonce + self._wrapping.encrypt(nonce, data_key, None)]
        encrypt = AESGCM(data_key).encrypt
        for at, one in enumerate(plain, 1):
            nonce = nonces[at * _NONCE_BYTES : (at + 1) * _NONCE_BYTES]
            sealed.append(nonce + encrypt(nonce, one, None))
        return tuple(sealed)

    def open(self, data_key: bytes, sealed: bytes) -> bytes:
        """Return what `seal` sealed; raises InvariantBroken when it was changed or the key is another's."""
        try:
            return AESGCM(data_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except InvalidTag as exc:
            raise InvariantBroken(
                "A sealed value cannot be opened with its data key; nothing was read."
            ) from exc

    def digest(self, *parts: bytes) -> bytes:
        """Return a keyed hash of 16 bytes over the parts; their borders count."""
        hashed = blake2b(key=self._digest_key, digest_size=16)
        for part in parts:
            hashed.update(len(part).to_bytes(4, "big"))
            hashed.update(part)
        return hashed.digest()

    def ref_hash(self, ref: RecordRef) -> int:
        """Return a keyed, signed 64-bit hash of a record's name: lock and index key."""
        return int.from_bytes(self.digest(ref.source.encode(), ref.key.encode())[:8], "big", signed=True)


def _derive(store_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"sameas " + purpose).derive(store_key)
