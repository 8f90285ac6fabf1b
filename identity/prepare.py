"""Make a command ready to be resolved: standardise, hash, digest; all that needs no store.

Invariant: pure; what is prepared depends on the command, the contract, the scoring model and the
store's key only, so it can be done before any lock is taken.
Elsewhere: reading statements (`identity.statement`), the transaction (`identity.resolve`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import orjson

from identity.contract import SourceContract
from identity.model import RecordCommand, RecordRef
from matching.model import Profile, encode_profile
from matching.standardise import standardise_clean

__all__ = ["Blocker", "Hasher", "PreparedCommand", "Preparer", "StoredStatement", "digest_command"]

Blocker = Callable[[Profile], tuple[int, ...]]


class Hasher(Protocol):
    """Keyed hashes of the store (`identity.store_sql.sealing.Sealer`)."""

    def digest(self, *parts: bytes) -> bytes:
        """Return a keyed hash of the parts."""

    def ref_hash(self, ref: RecordRef) -> int:
        """Return a keyed 64-bit hash of a record's name."""


@dataclass(slots=True)
class PreparedCommand:
    """A command with all that follows from it alone."""

    command: RecordCommand
    contract: SourceContract
    ref_hash: int
    statement: bytes | None
    digest: bytes
    profile: Profile | None
    encoded_profile: bytes | None
    profile_digest: bytes | None
    hashes: tuple[int, ...]
    warnings: tuple[tuple[str, str], ...]
    model_version: str  # the scoring model that gave the hashes
    reread_vid: int | None = None  # the stored version that is read again, under another contract


class StoredStatement(NamedTuple):
    """The current version of a record as it is stored."""

    vid: int
    digest: bytes
    statement: dict[str, object]


def digest_command(command: RecordCommand, hasher: Hasher) -> tuple[bytes | None, bytes]:
    """Return what a command states as bytes, None for a withdrawal, and the keyed hash that tells contents apart."""
    if command.attributes is None:
        told = (b"withdrawn",) if command.renamed_to is None else (b"renamed", command.renamed_to.encode())
        return None, hasher.digest(*told)
    statement = orjson.dumps(
        {
            "attributes": command.attributes,
            "alternate_keys": command.alternate_keys,
            "same_as": command.same_as,
        },
        option=orjson.OPT_SORT_KEYS,
        default=list,
    )
    return statement, hasher.digest(statement)


class Preparer:
    """Prepares commands under one scoring model and one store's key."""

    def __init__(self, *, blocker: Blocker, hasher: Hasher, model_version: str) -> None:
        self.blocker = blocker
        self.hasher = hasher
        self.model_version = model_version

    def prepare_again(
        self, command: RecordCommand, contract: SourceContract, *, stored: StoredStatement
    ) -> PreparedCommand:
        """Return a stored statement as another contract reads it; its statement and digest stay what they are."""
        prepared = self.prepare(command, contract)
        prepared.statement = orjson.dumps(stored.statement, option=orjson.OPT_SORT_KEYS)
        prepared.digest = stored.digest
        prepared.reread_vid = stored.vid
        return prepared

    def prepare(self, command: RecordCommand, contract: SourceContract) -> PreparedCommand:
        """Return the command with its standardised profile, blocking keys and digests."""
        hasher = self.hasher
        attributes = command.attributes
        statement, digest = digest_command(command, hasher)
        if attributes is None:
            return PreparedCommand(
                command, contract, hasher.ref_hash(command.ref), None, digest,
                None, None, None, (), (), self.model_version,
            )  # fmt: skip
        profile, warnings = standardise_clean(attributes, region=contract.region)
        encoded = encode_profile(profile)
        return PreparedCommand(
            command=command,
            contract=contract,
            ref_hash=hasher.ref_hash(command.ref),
            statement=statement,
            digest=digest,
            profile=profile,
            encoded_profile=encoded,
            profile_digest=hasher.digest(command.ref.source.encode(), encoded),
            hashes=self.blocker(profile),
            warnings=tuple((warning.attribute, warning.code) for warning in warnings) if warnings else (),
            model_version=self.model_version,
        )
