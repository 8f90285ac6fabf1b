"""Read a fetched message into the commands that the same statement would be on any other way in.

Invariant: a message becomes commands, a refusal with its code, something that has to be completed from what is held,
or nothing. A message whose contract cannot be compiled is refused, so that one source's mistake stops no other.
Elsewhere: forms of messages (`streams.message`), checking statements (`identity.statement`), completing
(`streams.completing`), taking what was read (`streams.take`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from identity.contract import SourceContract, is_key_text
from identity.model import Cause, CauseKind, Cid, Instant, RecordCommand, RecordRef
from identity.statement import is_cid_text, read_row
from matching.errors import SameasError
from streams.message import MessageReader
from streams.model import Headers, Ignored, NotTaken, Rename, SourceMessage, Statement, Truncation, Withdrawal
from streams.offsets import Partition

__all__ = ["CidSeen", "CommandReader", "Fetched", "Reading", "Refusal", "command_of"]


class Fetched(NamedTuple):
    """A message as it was fetched."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Refusal(NamedTuple):
    """Why a message cannot be taken; never a value of it."""

    code: str
    detail: str


class CidSeen(NamedTuple):
    """The row of this record bears this CID in its source; None where it bears none."""

    ref: RecordRef
    cid: Cid | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a fetched message says: `commands`, a `refusal`, a `change`, or nothing.

    `refs` are the records that it is about, its own first. A `change` has to be completed from what is held before
    its commands can be made, or is one of the whole source. `is_repeat`: it was taken before, and nothing but
    arrival would tell it from news. `seen` is the CID that the source's own row bears, where the contract names its
    field. `mark` says nothing about a record, but may say how far the source's log is.
    """

    fetched: Fetched
    contract: SourceContract
    author: str
    refs: tuple[RecordRef, ...] = ()
    commands: tuple[RecordCommand, ...] = ()
    refusal: Refusal | None = None
    change: Statement | Rename | Truncation | None = None
    is_tombstone: bool = False
    is_repeat: bool = False
    seen: CidSeen | None = None
    mark: Ignored | None = None


class CommandReader:
    """Reads messages of all sources; what a contract version compiles to is kept."""

    def __init__(self) -> None:
        self._readers: dict[str, tuple[int, MessageReader | Refusal]] = {}

    def read(self, contract: SourceContract, fetched: Fetched, *, author: str, now: Instant) -> Reading:
        """Return what the message says under the contract."""
        reader = self._reader(contract)
        if isinstance(reader, Refusal):
            return Reading(fetched, contract, author, refusal=reader)
        said = reader.read(fetched.key, fetched.value, fetched.headers)
        seen = _find_seen(contract, said)
        if isinstance(said, Ignored):
            return Reading(fetched, contract, author, mark=said)
        if isinstance(said, Truncation):
            return Reading(fetched, contract, author, change=said)
        if isinstance(said, Rename):
            keys = (said.old_key, said.new_key) if said.then is None else (said.new_key, said.old_key)
            refs = tuple(RecordRef(contract.name, key) for key in keys)
            return Reading(fetched, contract, author, refs, change=said, seen=seen)
        refs = (RecordRef(contract.name, said.key),) if said.key and is_key_text(said.key) else ()
        if isinstance(said, NotTaken):
            return Reading(fetched, contract, author, refs, refusal=Refusal(said.code, said.detail))
        if isinstance(said, Statement) and said.unavailable and refs:
            return Reading(fetched, contract, author, refs, change=said, seen=seen)
        try:
            command = command_of(contract, said, author=author, now=now)
        except SameasError as refused:
            return Reading(fetched, contract, author, refs, refusal=Refusal(refused.code, refused.detail))
        is_tombstone = isinstance(said, Withdrawal) and said.is_tombstone
        return Reading(fetched, contract, author, refs, (command,), is_tombstone=is_tombstone, seen=seen)

    def _reader(self, contract: SourceContract) -> MessageReader | Refusal:
        known = self._readers.get(contract.name)
        if known is None or known[0] != contract.version:
            known = (contract.version, _compile(contract))
            self._readers[contract.name] = known
        return known[1]


def command_of(
    contract: SourceContract, said: Statement | Withdrawal, *, author: str, now: Instant
) -> RecordCommand:
    """Return the command; raises what `identity.statement` refuses with."""
    cause = Cause(CauseKind.RECORD, "")
    return read_row(contract, said.key, said.to_body(now=now), author=author, now=now, cause=cause)


def _find_seen(contract: SourceContract, said: SourceMessage) -> CidSeen | None:
    """Return the CID in the source's own row; what is no CID counts as none."""
    stated = said.then if isinstance(said, Rename) else said
    if contract.cid_field is None or not isinstance(stated, Statement):
        return None
    text = (stated.seen_cid or "").lower()
    return CidSeen(RecordRef(contract.name, stated.key), Cid(text) if is_cid_text(text) else None)


def _compile(contract: SourceContract) -> MessageReader | Refusal:
    try:
        return MessageReader(contract, cid_field=contract.cid_field)
    except SameasError as refused:
        return Refusal(refused.code, refused.detail)
