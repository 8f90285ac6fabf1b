"""Take refused messages again: under the contract now in force, or with a body that somebody mended.

Invariant: messages about one record are replayed in the order in which they were refused; the reject is closed in
the transaction that stores what it did, so it is replayed once. One that is refused again stays as it was.
Elsewhere: the rejects themselves (`streams.refused`), reading messages (`streams.reading`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from identity.contract import SourceContract
from identity.errors import StoreBusy
from identity.model import Instant, RecordAnswer, RecordRef
from identity.service import Identity
from identity.statement import read_line
from identity.store_sql.transaction import SqlTransaction
from matching.errors import SameasError
from streams.completing import complete_readings
from streams.drop_load import read_refused_row
from streams.errors import RejectBehind, RejectUnmendable
from streams.fate import Fate, fate_of
from streams.held import count_versions, is_as_found
from streams.model import Rename, Statement
from streams.reading import CommandReader, Reading, Refusal
from streams.refused import Reject, RejectBook, RejectedMessage, RejectOriginKind, RejectState

__all__ = ["Replayed", "Replayer"]

_ATTEMPTS_MAX: Final = 20
_OF_SOURCE: Final = Refusal(
    "statement_invalid",
    "The message is a truncation of its whole source under the contract now in force; discard it.",
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a reject: its message's fate, or why it was refused again."""

    reject_id: int
    fate: Fate | None = None
    refusal: Refusal | None = None


class _Refused(Exception):
    """The message was refused again: the transaction is undone."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


class _ReplayAnew(Exception):
    """Something changed between reading and storing; nothing was stored."""


class Replayer:
    """Replays the rejects of one store on behalf of one person."""

    def __init__(self, identity: Identity, *, author: str, clock: Callable[[], Instant]) -> None:
        self._identity = identity
        self._author = author
        self._clock = clock
        self._rejects = RejectBook(identity.store)
        self._reader = CommandReader()

    def replay(self, reject: Reject, *, body: Mapping[str, object] | None = None) -> Replayed:
        """Take the reject's message again.

        Args:
            body: stands in for the message: a statement as the record route takes it, or `{"withdrawn": true}`; with
                `key` where the message had none that could be read.
        Raises:
            RejectClosed: it was closed before.
            RejectBehind: an older reject of the same record is open.
            RejectUnmendable: the body has no key.
                StoreBusy, StoreUnreachable, StoreFull: the same call can succeed later.
        """
        for _ in range(_ATTEMPTS_MAX):
            try:
                return self._replay(reject, body)
            except _Refused as refused:
                return Replayed(reject.id, refusal=refused.refusal)
            except _ReplayAnew:
                continue
        raise StoreBusy("The record changed each time its reject was read; try again.")

    def _replay(self, reject: Reject, body: Mapping[str, object] | None) -> Replayed:
        message = self._rejects.open_message(reject.id)
        older = self._rejects.find_older(reject)
        if older is not None:
            raise RejectBehind(
                f"Reject {reject.id} comes after reject {older} of the same record; replay or discard that one first."
            )
        contract = self._identity.contracts.get(reject.source).contract
        now = self._clock()
        read = self._read(contract, reject, message, body, now=now)
        is_of_former_epoch = body is None and reject.contract_version < contract.epoch_since
        [reading], relied_on = complete_readings(
            self._identity.store,
            [_without_number(read) if is_of_former_epoch else read],
            now=now,
            is_replay=True,
        )
        if is_of_former_epoch:
            reading = _without_number(reading)
        if reading.change is not None:
            raise _Refused(_OF_SOURCE)
        if reading.refusal is not None:
            raise _Refused(reading.refusal)
        if self._is_overtaken(reject, reading, is_unordered=is_of_former_epoch):
            self._store(reject, replace(reading, commands=()), {}, now=now)
            return Replayed(reject.id, Fate.STALE)
        return Replayed(reject.id, self._store(reject, reading, relied_on, now=now))

    def _read(
        self,
        contract: SourceContract,
        reject: Reject,
        message: RejectedMessage,
        body: Mapping[str, object] | None,
        *,
        now: Instant,
    ) -> Reading:
        if body is None and reject.origin == RejectOriginKind.FILE:
            return read_refused_row(
                contract,
                message.fetched,
                author=self._author,
                now=now,
                as_before=Refusal(reject.code, reject.detail),
            )
        if body is None:
            return self._reader.read(contract, message.fetched, author=self._author, now=now)
        key = body.get("key", message.key)
        if key is None:
            raise RejectUnmendable(
                "The refused message has no key that can be read; give one as `key` in the body."
            )
        try:
            command = read_line(contract, orjson.dumps({**body, "key": key}), author=self._author, now=now)
        except SameasError as refused:
            raise _Refused(Refusal(refused.code, refused.detail)) from refused
        return Reading(message.fetched, contract, self._author, (command.ref,), (command,))

    def _is_overtaken(self, reject: Reject, reading: Reading, *, is_unordered: bool) -> bool:
        """Tell whether the record was stated since, and nothing but arrival says what is newer.

        Args:
            is_unordered: the message is of a former epoch of its source, so that its number says nothing.
        """
        unordered = [
            command.ref
            for command in reading.commands
            if is_unordered or (command.version is None and command.effective_at is None)
        ]
        if not unordered or reading.refs[0] not in unordered:
            return False
        with self._identity.store.inspect() as tx:
            return count_versions(tx, unordered).get(reading.refs[0], 0) > reject.versions_held

    def _store(
        self, reject: Reject, reading: Reading, relied_on: Mapping[RecordRef, int], *, now: Instant
    ) -> Fate:
        """Store what the message does, close the reject, and return the message's fate."""
        fates: list[Fate] = []

        def keep(tx: SqlTransaction, answers: Sequence[RecordAnswer | SameasError]) -> None:
            for answer in answers:
                if isinstance(answer, SameasError):
                    if answer.retryable:
                        raise answer
                    raise _Refused(Refusal(answer.code, answer.detail))
            in_force = self._identity.contracts.recall()[reject.source].contract
            if in_force.version != reading.contract.version or not is_as_found(tx, relied_on):
                raise _ReplayAnew
            fates[:] = [fate_of([answer for answer in answers if isinstance(answer, RecordAnswer)])]
            self._rejects.close(tx, reject.id, RejectState.REPLAYED, by=self._author, now=now)

        self._identity.resolve_together(reading.commands, keep)
        return fates[0]


def _without_number(reading: Reading) -> Reading:
    """Return what a message of a former epoch of its source says now: the same, without its number."""
    change = reading.change
    if isinstance(change, Rename) and change.then is not None:
        change = replace(change, then=replace(change.then, version=None))
    if isinstance(change, Statement | Rename):
        change = replace(change, version=None)
    commands = tuple(replace(command, version=None) for command in reading.commands)
    return replace(reading, change=change, commands=commands)
